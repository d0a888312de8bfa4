#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                      namespace ol-s-PID
#	+----------------------+                +----------------------+
#	|  one end           veth ----------- veth  the other          |
#	+-----------|----------+                +-----------|----------+
#	            +------- hold, outside of both ---------+
#
#	  rmmod, insmod ---> af_onload.ko
#
# The module leaves when nobody has a socket of it, and not before; a namespace goes with live leases in it.

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
ktap_start
module=$(realpath -m "${ONLOAD_MODDIR:-$selftests/../net}/af_onload.ko")
[ -r "$module" ] || modinfo af_onload >/dev/null 2>&1 || ktap_skip_all "no module to load: set ONLOAD_MODDIR"

. "$(dirname "$0")/lib/hold.sh"
finish() {
	hold_end
	net_down
	[ -d /sys/module/af_onload ] || insert
}

insert() { if [ -r "$module" ]; then run insmod "$module"; else run modprobe af_onload; fi; }
remove() { rmmod af_onload 2>/dev/null; }
still_there() { ! run rmmod af_onload 2>/dev/null; }

for how in 'unleased' 'leased'; do
	command=("$bin/hold" onload)
	[ $how = unleased ] || command=(onload "$bin/hold" inet)
	hold "${command[@]}"
	ktap_check "rmmod is refused: a socket is open, $how" still_there
	ktap_check "which works after that, $how" works
	ktap_check "and is closed, $how" let_go
	ktap_check "rmmod works then, $how" await "rmmod" 30 remove
	ktap_check "insmod again, $how" insert
done

# A redirected socket is one of ours, too.
run sysctl -q -w net.onload.redirect=1
hold "$bin/hold" inet
run sysctl -q -w net.onload.redirect=0
ktap_check "rmmod is refused: a redirected socket is open" still_there
ktap_check "redirected sockets are closed" let_go
ktap_check "rmmod works then, redirected" await "rmmod" 30 remove
ktap_check "insmod again, redirected" insert

# The sockets keep a deleted namespace alive; with them it goes.
net_up net.onload.backoff_ms=0
trap finish EXIT
over_veth
hold onload "$bin/hold" inet
net_down
ktap_check "connection works in deleted namespaces" works
ktap_check "and is closed there" let_go

# Here the link goes while the lease lives.
net_up net.onload.backoff_ms=0
trap finish EXIT
hold onload "$bin/hold" inet
run ip -n "$server" link delete veth
ktap_check "rmmod is refused: the device is gone, the lease is not" still_there
kill -9 "$holder"
let_go 2>/dev/null
net_down
ktap_check "rmmod works after namespaces, devices and a kill" await "rmmod" 60 remove
ktap_check "insmod at last" insert

# All at once: the namespaces, the processes and the module go while the lease lives, and the next ones come.
go_and_come() {
	net_up net.onload.backoff_ms=0
	trap finish EXIT
	hold onload "$bin/hold" inet
	net_down
	kill -9 "$holder"
	{
		until remove; do
			[ -d /sys/module/af_onload ] && [ $SECONDS -lt "$1" ] && sleep 0.02 || return 1
		done
		let_go
	} 2>/dev/null
	insert
}
for ((i = $((10 / ${T_SCALE:-1} + 3)); i > 0; i--)); do
	go_and_come $((SECONDS + 60)) || break
done
ktap_number_is "namespaces, processes and the module went while a lease lived" $i -eq 0
unset T_SERVER_NS T_CLIENT_NS T_ADDR
ktap_program "and all works" 60 onload "$bin/readiness" poll_in

# What a sockmap derives from a leased socket's tables it uses for all sockets, and longer than the module is there.
between="'$bin/events' sockmap6 && i=300; until rmmod af_onload; do sleep 0.1; i=\$((i - 1)); [ \$i -gt 0 ] || exit; done"
ktap_program "sockmaps" 90 env T_ADDR6=::1 T_BETWEEN="$between" "$bin/events" sockmap_plain6
ktap_check "insmod after that" insert
ktap_end
