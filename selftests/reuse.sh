#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	+----------------- this namespace -----------------+
#	|  keeper ----+                                    |
#	|             +-- one connection -- lo -- its end  |
#	|  process ---x                                    |
#	|          same number: a log file                 |
#	+--------------------------------------------------+
#
# A number that was a leased socket becomes a file.

. "$(dirname "$0")/lib/net.sh"
need_onload
ktap_start
ktap_program plain 120 "$bin/reuse"
ktap_program wire 300 onload "$bin/reuse"
run sysctl -q -w net.onload.wire=0
ktap_program "soft VI" 300 onload "$bin/reuse"
run sysctl -q -w net.onload.wire=1
ktap_end
