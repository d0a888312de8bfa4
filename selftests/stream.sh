#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                            namespace ol-s-PID
#	+--------------------------+                  +--------------------------+
#	|  stream, its one process |                  |  stream, the other       |
#	|      sender   ---------- veth ------------ veth ----->   receiver      |
#	|      receiver <--------- 192.0.2.2 -- 192.0.2.1 ----     sender        |
#	|      disturber           |  netem, at last  |          disturber       |
#	|            lo            |                  |                          |
#	+--------------------------+                  +--------------------------+
#
# Whatever ends the leases, and however often, the bytes are right; and without loss nobody ever waits for a
# retransmission time-out.

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
ktap_start

leases=$((10000 / ${T_SCALE:-1}))
few=$((500 / ${T_SCALE:-1}))
bytes=$((1000000 / ${T_SCALE:-1} + 50000)) # each way, at least
seed=${T_SEED:-$RANDOM}

net_up net.onload.backoff_ms=0
patient
ktap_note "seed $seed"

timeouts() { echo $(($(counter "$server" TcpExtTCPTimeouts) + $(counter "$client" TcpExtTCPTimeouts))); }

# calm NAME OPTIONS...: as well no time-out passes
calm() {
	local name=$1 before
	shift
	before=$(timeouts)
	ktap_program "$name" 1200 onload "$bin/stream" -s "$seed" -b $bytes "$@"
	ktap_number_is "$name: retransmission time-outs" $(($(timeouts) - before)) -eq 0
}

over_veth
ktap_program "plain, veth" 120 "$bin/stream" -s "$seed" -b $bytes
calm "$leases leases, veth" -l "$leases" -d 1000 -r 30
over_lo
calm "$((leases / 5)) leases, lo" -l $((leases / 5)) -d 1000 -r 30
over_wire
calm "$((leases / 5)) leases, wires" -l $((leases / 5)) -d 1000 -r 30
ktap_number_is "leases that were ends of wires" "$(wires)" -ge $((leases / 10))

over_veth
for ns in "$server" "$client"; do run ip netns exec "$ns" sysctl -q -w net.onload.wire=2; done
before=$(wires)
ktap_program "wires between namespaces" 300 onload "$bin/stream" -s "$seed" -b $bytes -l "$few" -d 1000 -r 30
ktap_number_is "leases that were ends of them" $(($(wires) - before)) -ge $((few / 10))
for ns in "$server" "$client"; do run ip netns exec "$ns" sysctl -q -w net.onload.wire=1; done

over_veth
for ns in "$server" "$client"; do
	run ip -n "$ns" route replace 192.0.2.0/30 dev veth
done
for harm in 'loss 1%' 'delay 1ms reorder 25% 50%' 'duplicate 5%'; do
	for ns in "$server" "$client"; do
		run ip netns exec "$ns" tc qdisc replace dev veth root netem $harm || harm=
	done
	if [ -z "$harm" ]; then
		ktap_skip "netem" "no sch_netem"
		break
	fi
	ktap_program "$few leases, $harm" 300 onload "$bin/stream" -s "$seed" -b $bytes -l "$few" -d 1000
done
ktap_end
