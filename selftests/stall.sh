#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                         namespace ol-s-PID
#	+-----------------------+                  +---------------------+
#	|  plays, then stops:   |                  |  judge, with a clock|
#	|  SIGSTOP, a loop    veth ------------- veth                    |
#	|                       |   nft drops here |                     |
#	+-----------------------+                  +---------------------+
#
# An application that is not scheduled holds nobody up: the kernel completes, about as fast as plain TCP.

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
ktap_start
net_up net.onload.backoff_ms=0
over_veth
run ip netns exec "$server" nft -f - <<-end || ktap_note "no nftables: one check less"
	table inet t { chain input { type filter hook input priority 0; }; }
end
export T_DROP="ip netns exec $server nft add rule inet t input tcp dport != 0 drop"
export T_PASS="ip netns exec $server nft flush chain inet t input"
ip netns exec "$server" nft list table inet t >/dev/null 2>&1 || unset T_DROP

times=$(mktemp -d)
trap 'rm -rf "$times"; net_down' EXIT
ktap_program plain 300 "$bin/stall" >"$times/plain"
cat "$times/plain"
ktap_program onload 300 onload "$bin/stall" >"$times/onload"
cat "$times/onload"

for ns in "$server" "$client"; do run ip netns exec "$ns" sysctl -q -w net.onload.lease_term_ms=500; done
ktap_program onload 300 onload "$bin/stall" busy

# A guest's clock is coarse and its processors are shared: no more than "not stuck" is asked.
awk '$3 == "took" { print $2, $4 }' "$times/plain" | while read -r name plain; do
	onload=$(awk -v name="$name" '$2 == name && $3 == "took" { print $4 }' "$times/onload")
	ktap_number_is "$name: milliseconds, plain $plain" "${onload:-none}" -le $((3 * plain + 1000))
done
ktap_end
