#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                            namespace ol-s-PID
#	+-------------------------+                  +-------------------------+
#	|  stream     hook output veth ----------- veth hook input     stream  |
#	|             counts, conntrack              | counts, drops, conntrack|
#	+-------------------------+                  +-------------------------+
#
# The rules of nftables judge leased traffic as any other.

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
nft --version >/dev/null 2>&1 || ktap_skip_all "no nft"
ktap_start
net_up net.onload.backoff_ms=0
over_veth

in_server nft add table inet t || ktap_skip_all "no nftables"
in_server nft add chain inet t input '{ type filter hook input priority 0; }'
in_server nft add rule inet t input meta l4proto tcp counter
in_client nft add table inet t
in_client nft add chain inet t output '{ type filter hook output priority 0; }'
in_client nft add rule inet t output meta l4proto tcp counter

# bytes NAMESPACE [WORD]: of the first counter in the rule with that word
bytes() { ip netns exec "$1" nft list table inet t | awk -v word="${2:-counter}" '
	$0 ~ word && /counter/ { for (i = 1; i < NF; i++) if ($i == "bytes") { print $(i + 1); exit } }'; }

# Mostly leased: nothing disturbs.
ktap_program "counted" 300 onload "$bin/stream" -b 2000000 -r 0
ktap_number_is "bytes that the client's output counted" "$(bytes "$client")" -ge 2000000
ktap_number_is "bytes that the server's input counted" "$(bytes "$server")" -ge 2000000

# A rule in mid-stream
progress() { [ "$(bytes "$server")" -gt "$1" ]; }
standstill() {
	local before
	before=$(bytes "$server" accepted)
	sleep 0.5
	[ "$before" = "$(bytes "$server" accepted)" ]
}
in_server nft flush chain inet t input
in_server nft add rule inet t input meta l4proto tcp counter comment '"accepted"'
long=$((8000000 / ${T_SCALE:-1} + 5000000))
say onload "$bin/stream" -b $long -r 0
out=$(mktemp)
onload "$bin/stream" -b $long -r 0 >"$out" 2>&1 &
stream=$!
ktap_check "stream begins" await "a megabyte" 60 progress 1000000
in_server nft insert rule inet t input meta l4proto tcp counter drop comment '"dropped"'
ktap_check "a drop rule stops it" await "standstill" 30 standstill
ktap_check "and it has not ended" kill -0 $stream
ktap_number_is "bytes dropped" "$(bytes "$server" dropped)" -gt 0
handle=$(ip netns exec "$server" nft -a list chain inet t input | awk '/dropped/ { print $NF }')
in_server nft delete rule inet t input handle "$handle"
wait $stream
rc=$?
sed 's/^/# /' "$out"
rm -f "$out"
ktap_number_is "without it the stream completes: status" $rc -eq 0

# Connection tracking sees a connection without a flaw.
for ns in "$server" "$client"; do
	run ip netns exec "$ns" nft flush ruleset
	run ip netns exec "$ns" nft -f - <<-end
		table inet t {
			chain input {
				type filter hook input priority 0; policy drop;
				ct state invalid counter drop
				ct state established,related accept
				tcp dport != 0 ct state new accept
			}
			chain output {
				type filter hook output priority 0;
				ct state invalid counter drop
			}
		}
	end
done
patient
before=$(($(counter "$server" TcpExtTCPTimeouts) + $(counter "$client" TcpExtTCPTimeouts)))
ktap_program "ct state invalid drop" 300 onload "$bin/stream" -l $((500 / ${T_SCALE:-1})) -d 1000
after=$(($(counter "$server" TcpExtTCPTimeouts) + $(counter "$client" TcpExtTCPTimeouts)))
ktap_number_is "retransmission time-outs" $((after - before)) -eq 0
for ns in "$server" "$client"; do
	invalid=$(ip netns exec "$ns" nft list table inet t |
		awk '/invalid counter/ { for (i = 1; i < NF; i++) if ($i == "packets") n += $(i + 1) } END { print n + 0 }')
	ktap_number_is "${ns%-*}: invalid packets" "$invalid" -eq 0
done

# A tracked connection whose entry is lost, as when rules are loaded anew: it is taken up again by what comes in, and
# only then may anything go out. The rules come first here, and with them connection tracking's hooks.
net_down
net_up net.onload.backoff_ms=0
run ip netns exec "$server" nft -f - <<-end
	table inet t {
		chain input {
			type filter hook input priority 0; policy drop;
			meta l4proto tcp counter comment "accepted"
			ct state established,new accept
		}
		chain output {
			type filter hook output priority 0;
			ct state established accept
			meta l4proto tcp drop
		}
	}
end
modprobe -q nf_conntrack_netlink
forget='import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.send(struct.pack("=IHHIIBBH", 20, 0x102, 5, 1, 0, 0, 0, 0))
length, kind, flags, seq, pid, error = struct.unpack_from("=IHHIIi", s.recv(4096))
raise SystemExit(kind != 2 or error)'
in_server python3 -c "$forget" || { ktap_skip "connection tracking forgets" "no ctnetlink"; ktap_end; }
out=$(mktemp)
say onload "$bin/stream" -b 6000000 -r 0
timeout 120 onload "$bin/stream" -b 6000000 -r 0 >"$out" 2>&1 &
stream=$!
for megabyte in 1 2 3; do
	ktap_check "megabyte $megabyte" await "a megabyte" 60 progress ${megabyte}000000
	ktap_check "connection tracking forgets" in_server python3 -c "$forget"
done
wait $stream
rc=$?
sed 's/^/# /' "$out"
rm -f "$out"
ktap_number_is "the stream completes: status" $rc -eq 0
ktap_end
