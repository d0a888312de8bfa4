#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                      namespace ol-s-PID
#	+----------------------+                +--------------------+
#	|  sleeps in poll(),   |                |  sends, closes,    |
#	|  select(), epoll   veth ----------- veth  resets, reads    |
#	+----------------------+                +--------------------+
#
# Who sleeps on a leased socket is woken as on any other.

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
ktap_start
net_up net.onload.backoff_ms=0
over_veth
ktap_program plain 120 "$bin/readiness"
ktap_program onload 300 onload "$bin/readiness"
over_wire
ktap_program wire 300 onload "$bin/readiness"
ktap_end
