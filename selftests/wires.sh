#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	+---------------- namespace ol-c-PID -----------------+
#	|  wires: 2000 clients === wires === 2000 accepted    |
#	|  pairing: one process == wire == the other          |
#	|  dialogue: one thread == wire == the other          |
#	+-----------------------------------------------------+
#
# Many wires, one after the other, ended by either end or both at once; and many at once, in the memory that
# Documentation/wire.rst states.

. "$(dirname "$0")/lib/net.sh"
. "$(dirname "$0")/lib/hold.sh"
need_root
need_onload
ktap_start
pairs=$((10000 / ${T_SCALE:-1}))
many=$((2000 / ${T_SCALE:-1}))
seed=${T_SEED:-$RANDOM}
net_up net.onload.backoff_ms=0
finish() {
	hold_end
	net_down
}
trap finish EXIT

# says WORD: of a connection, where its bytes have gone since
says() { works && onload show -j -n "$client" | grep -q "\"wire\": *\"$1\""; }
for word in wire remote off; do
	case $word in
	wire) over_wire ;;
	off) over_lo ;;
	remote) over_veth ;;
	esac
	hold onload "$bin/hold" inet
	ktap_check "onload show says $word" await "$word" 10 says $word
	let_go
done

over_wire
ktap_note "seed $seed"
ktap_program "plain" 300 "$bin/pairing" -s "$seed" -n $((pairs / 10))
ktap_program "$pairs pairings" 900 onload "$bin/pairing" -s "$seed" -n $((pairs * 3 / 2))
ktap_number_is "pairs of leases that were wires" "$(($(wires) / 2))" -ge "$pairs"
# The library spins only where it is told to.
ktap_program "a dialogue" 120 env -u ONLOAD_SPIN_USEC onload "$bin/dialogue"
ktap_program "$many wires" 300 env ONLOAD_SLOTS=$((2 * many)) onload "$bin/wires" "$many" 64
ktap_end
