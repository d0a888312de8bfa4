#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                      namespace ol-s-PID
#	+----------------------+                +----------------------+
#	|  one end, leased   veth ----------- veth  the other          |
#	+----------------------+                +----------------------+
#
# Errors from the network, devices that go down, memory that is short, others who take the socket over.

. "$(dirname "$0")/lib/net.sh"
need_root
need_module
nft --version >/dev/null 2>&1 || ktap_skip_all "no nft"
ktap_start
unset LD_PRELOAD
net_up net.onload.backoff_ms=0 net.onload.lease_term_ms=1000
# What goes down shall come up with all its addresses.
for ns in "$server" "$client"; do
	run ip netns exec "$ns" sysctl -q -w net.ipv6.conf.veth.keep_addr_on_down=1
done
run ip -n "$server" address add 2001:db8::1/64 dev veth nodad
run ip -n "$client" address add 2001:db8::2/64 dev veth nodad
over_veth
export T_TCP_MEM
T_TCP_MEM=$(sysctl -n net.ipv4.tcp_mem)
ktap_program events 300 env T_ADDR6=2001:db8::1 "$bin/events" $T_ONLY
sysctl -q -w net.ipv4.tcp_mem="$T_TCP_MEM"
ktap_end
