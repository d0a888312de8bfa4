#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                          namespace ol-s-PID
#	+-------------------------+                 +----------------------+
#	|  first --+              |                 |                      |
#	|          +-- one socket veth --------- veth  reader, or writer   |
#	|  second -+              |                 |                      |
#	+-------------------------+                 +----------------------+
#
# Two processes use one socket by turns.

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
ktap_start
net_up net.onload.backoff_ms=0
over_veth
ktap_program plain 120 "$bin/share"
ktap_program onload 300 onload "$bin/share"
over_wire
ktap_program wire 300 onload "$bin/share"
ktap_end
