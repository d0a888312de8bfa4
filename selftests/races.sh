#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	+--------------- this namespace ----------------+
#	|  races: both ends of each connection          |
#	|     client <---------- lo -----------> server |
#	+-----------------------------------------------+
#
# What other threads, signal handlers and processes do to a socket that a call is inside of: on plain sockets, and under
# the library by the soft VI and on wires.

. "$(dirname "$0")/lib/net.sh"
need_module
ktap_start

modprobe -q tls
old=$(cat /proc/sys/net/onload/backoff_ms)
run sysctl -q -w net.onload.backoff_ms=0
[ "${VM_KERNEL:-stock}" != stock ] || ktap_program "plain" 300 "$bin/races" 4
if onload true 2>/dev/null; then
	run sysctl -q -w net.onload.wire=0
	ktap_program "soft VI" 300 onload "$bin/races" 4
	run sysctl -q -w net.onload.wire=1
	ktap_program "wires" 300 onload "$bin/races" 6
else
	ktap_skip "onload" "no library"
fi
run sysctl -q -w net.onload.backoff_ms="$old"
ktap_end
