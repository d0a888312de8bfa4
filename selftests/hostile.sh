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
# A process that does its worst with the memory that it shares with the kernel: whatever it writes there, its own
# connections suffer and nothing else. The kernel's log is part of the verdict.

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
ktap_end
