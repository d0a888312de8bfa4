#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	+------------------ this namespace -------------------+
#	|  badinput                                           |
#	|     | wrong arguments  | nonsense in the mapping    |
#	|  SOL_ONLOAD ------- af_onload.ko ------ lo          |
#	+-----------------------------------------------------+
#
# Every mistake has its errno; nothing that a process writes hurts another.

. "$(dirname "$0")/lib/net.sh"
need_root
need_module
ktap_start
modprobe -q tls
old=$(cat /proc/sys/net/onload/backoff_ms)
run sysctl -q -w net.onload.backoff_ms=0
unset LD_PRELOAD
ktap_program ABI 300 "$bin/badinput"
ktap_program mapping 300 "$bin/scribble"
run sysctl -q -w net.onload.backoff_ms="$old"
ktap_end
