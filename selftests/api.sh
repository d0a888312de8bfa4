#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	+--------------- this namespace ----------------+
#	|  api: both ends of each connection,           |
#	|  in one process or two            lo          |
#	|     client <---------------------> server     |
#	+-----------------------------------------------+
#
# The same checks on plain sockets, on sockets of the family, and on plain ones under the library: by the soft VI, and
# on wires.

. "$(dirname "$0")/lib/net.sh"
need_module
ktap_start

modprobe -q tls
old=$(cat /proc/sys/net/onload/backoff_ms)
run sysctl -q -w net.onload.backoff_ms=0
# A kernel that takes twice as long shall look at the module: neither at Linux, nor at the library's socket(), and at
# what is the same for both families once.
stock() { [ "${VM_KERNEL:-stock}" = stock ]; }
for ip in 4 6; do
	! stock || ktap_program "inet IPv$ip" 300 "$bin/api" inet $ip
	! stock && [ $ip = 6 ] || ktap_program "AF_ONLOAD IPv$ip" 300 "$bin/api" onload $ip
	onload true 2>/dev/null || { ktap_skip "onload IPv$ip" "no library"; continue; }
	run sysctl -q -w net.onload.wire=0
	! stock && [ $ip = 6 ] || ktap_program "onload inet IPv$ip, soft VI" 300 onload "$bin/api" inet $ip
	run sysctl -q -w net.onload.wire=1
	! stock && [ $ip = 4 ] || ktap_program "onload inet IPv$ip" 300 onload "$bin/api" inet $ip
	! stock || ktap_program "onload AF_ONLOAD IPv$ip" 300 onload "$bin/api" onload $ip
done
run sysctl -q -w net.onload.backoff_ms="$old"
ktap_end
