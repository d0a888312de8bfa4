#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                           namespace ol-s-PID
#	+------------------------+                 +------------------------+
#	|  stream, kill,         |                 |  their other ends      |
#	|  hostile               veth --------- veth                        |
#	+------------------------+     netem       +------------------------+
#
# Round after round with new seeds until the time is over: streams whose leases end at random, over a good link and
# bad ones, storms of deaths, and storms of hostile processes.
#
#   SOAK_MINUTES	10 by default
#   SOAK_SEED		the first round's seed; the next rounds' are 1 more each. Default: random

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
ktap_start
minutes=${SOAK_MINUTES:-10}
seed=${SOAK_SEED:-$RANDOM}
end=$((SECONDS + 60 * minutes))
out=$(mktemp)
net_up net.onload.backoff_ms=0
trap 'rm -f "$out"; net_down' EXIT
links=('' 'loss 1%' 'delay 1ms reorder 25% 50%' 'duplicate 5%')
rounds=0 leases=0 bytes=0 deaths=0 hostile=0

# A program's lines here, and in $out for the counts
attempt() {
	ktap_program "$@" >"$out"
	cat "$out"
}

# The number of lines is not known before, and "|" would lose the counts of ktap: hence the file.
sum() { awk "$1" "$out"; }

link() {
	local ns
	for ns in "$server" "$client"; do
		ip netns exec "$ns" tc qdisc delete dev veth root 2>/dev/null
		[ -z "$1" ] || run ip netns exec "$ns" tc qdisc add dev veth root netem $1
	done
}

while [ $SECONDS -lt $end ]; do
	harm=${links[rounds % ${#links[@]}]}
	ktap_note "round $((++rounds)), seed $seed${harm:+, $harm}, $((end - SECONDS)) s left"
	if [ $((rounds % 3)) = 0 ]; then over_lo; else over_veth; fi
	link "$harm"
	attempt "stream, seed $seed" 600 onload "$bin/stream" -s $seed -l 200 -b 300000 -d 1000 -r 30
	leases=$((leases + $(sum '/^# side/ { n += $8 } END { print n + 0 }')))
	bytes=$((bytes + $(sum '/^# side/ { n += $7 } END { print n + 0 }')))
	link ''
	attempt "kill, seed $seed" 600 onload "$bin/kill" -s $seed -n 40
	deaths=$((deaths + $(sum '/deaths,/ { print $2 }')))
	over_veth
	# Its witnesses know only its own connections.
	for ns in "$server" "$client"; do
		ip netns exec "$ns" ss -Kt state connected >/dev/null
	done
	attempt "hostile, seed $seed" 300 "$bin/hostile" -s $seed -t 20
	hostile=$((hostile + $(sum '/^# total: .* hostile operations/ { n += $3 } END { print n + 0 }')))
	seed=$((seed + 1))
done
ktap_note "soak: $minutes minutes, $rounds rounds, $leases leases, $bytes bytes received, $deaths deaths," \
	"$hostile hostile operations"
ktap_number_is "leases" $leases -gt 0
ktap_number_is "deaths" $deaths -gt 0
ktap_number_is "hostile operations" $hostile -gt 0
ktap_end
