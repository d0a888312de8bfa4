#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                         namespace ol-s-PID
#	+------------------------+                 +------------------------+
#	|  eight senders, which  |                 |  kill: reads, compares |
#	|  die at random         veth --------- veth with what each counted |
#	+------------------------+                 +------------------------+
#
# Both also within one namespace: over lo, and as wires.
# Whatever instruction a process dies at, its peer gets every byte for which send() had returned, then the end.

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
ktap_start
deaths=$((1000 / ${T_SCALE:-1}))
seed=${T_SEED:-$RANDOM}
net_up net.onload.backoff_ms=0
over_veth
ktap_note "seed $seed"
ktap_program plain 300 "$bin/kill" -s "$seed" -n $((deaths / 10))
ktap_program veth 600 onload "$bin/kill" -s "$seed" -n "$deaths"
over_lo
ktap_program lo 600 onload "$bin/kill" -s "$seed" -n $((deaths / 4))
over_wire
ktap_program wire 600 onload "$bin/kill" -s "$seed" -n $((deaths / 2)) -w $((deaths / 20))
ktap_end
