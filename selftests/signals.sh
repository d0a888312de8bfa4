#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                        namespace ol-s-PID
#	+------------------------+                +-------------------+
#	|  main    -- send() --+ |                |                   |
#	|  SIGALRM -- send() --+ veth -------- veth  counts per source |
#	|  SIGUSR1 -- send() --+ |                |                   |
#	+------------------------+                +-------------------+
#
# Handlers send on the socket on which they interrupted send().

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
ktap_start
net_up net.onload.backoff_ms=0
over_veth
ktap_program plain 120 "$bin/signals"
ktap_program veth 300 onload "$bin/signals"
over_lo
ktap_program lo 300 onload "$bin/signals"
over_wire
ktap_program wire 300 onload "$bin/signals"
ktap_end
