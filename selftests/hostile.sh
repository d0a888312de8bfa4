#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                         namespace ol-s-PID
#	+----------------------+                   +----------------------+
#	|  attack            veth -------------- veth                     |
#	|                      |              +- twin                     |
#	+----------------------+              |    +--------------------+
#	 namespace ol-t-PID: the same address |
#	+----------------------+              |
#	|                    veth ------------+
#	+----------------------+
#
# Processes that do their worst with the memory that they share with the kernel: whatever they write there, their own
# connections suffer and nothing else. First what an attacker would try on purpose, then storms of what chance finds.
# The kernel's log is part of the verdict.
#
#   T_ONLY=name	only that attack, and no storm
#   STORM_SEED	default: random
#   STORM_SECONDS	of each storm; default 5

. "$(dirname "$0")/lib/net.sh"
need_root
need_module
ktap_start
unset LD_PRELOAD
twin=ol-t-$$
net_up net.onload.backoff_ms=0 net.onload.lease_term_ms=1000
trap 'net_down; ip netns delete $twin 2>/dev/null' EXIT
run ip netns add "$twin" &&
	run ip -n "$server" link add twin type veth peer name veth netns "$twin" &&
	run ip -n "$server" address add $address/30 dev twin &&
	run ip -n "$server" link set twin up &&
	run ip -n "$twin" address add 192.0.2.2/30 dev veth &&
	run ip -n "$twin" link set veth up

# But for that of the twins, over lo
ktap_program attack 300 env T_TWIN_SERVER="$server" T_TWIN_A="$client" T_TWIN_B="$twin" \
	ip netns exec "$client" "$bin/attack" $T_ONLY
[ -z "${T_ONLY:-}" ] || ktap_end

# storm NAME OPTION...
storm() {
	local name=$1
	shift
	ktap_program "$name" $((seconds + 180)) "$bin/hostile" -s "$seed" -t $seconds "$@"
	# The next one's witnesses know only its own connections.
	for ns in "$server" "$client"; do
		ip netns exec "$ns" ss -Kt state connected >/dev/null
	done
}
seed=${STORM_SEED:-$RANDOM}
seconds=${STORM_SECONDS:-$((5 / ${T_SCALE:-1} + 3))}
for ns in "$server" "$client"; do
	run ip netns exec "$ns" sysctl -q -w net.onload.lease_term_ms=20
done
run ip -n "$server" address add 2001:db8::1/64 dev veth nodad
run ip -n "$client" address add 2001:db8::2/64 dev veth nodad
over_veth
storm "IPv4"
T_ADDR=2001:db8::1 storm "IPv6" -6
# Both ends hostile to each other, within one namespace
if run ip netns exec "$server" sysctl -q -w net.onload.wire=1; then
	unset T_SERVER_NS T_CLIENT_NS T_ADDR
	ktap_program "wires" $((seconds + 180)) ip netns exec "$server" "$bin/hostile" -s "$seed" -t $seconds -w
else
	ktap_skip "wires: storm" "net.onload.wire cannot be switched on"
fi
run onload show -n "$client" | sed 's/^/# /'
ktap_end
