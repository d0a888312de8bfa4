#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID               namespace ol-s-PID
#	+--------------------+           +---------------------------------+
#	|  clients         veth ------- veth  nginx, memcached, asyncio   |
#	|                    |           |  clients again, over lo (wires) |
#	+--------------------+           +---------------------------------+
#
# Unmodified servers and clients under "onload": what they say to each other arrives, and moved at user level. By the
# soft VI over veth, then over wires in one namespace. Redis has demo.sh.

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
ktap_start
net_up net.onload.redirect=1

work=$(mktemp -d)
pid=
stop() {
	[ -z "$pid" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null
	pid=
}
finish() {
	stop
	rm -rf "$work"
	net_down
}
trap finish EXIT
chmod 755 "$work"
apps="python3 $selftests/apps.py"
client_side() { run timeout 180 ip netns exec "$from" onload "$@"; }

# serve PORT COMMAND...: exec all the way down, so that the process that we end is the server
serve() {
	local port=$1
	shift
	say ip netns exec "$server" onload "$@"
	ip netns exec "$server" onload "$@" >"$work/server" 2>&1 &
	pid=$!
	await "a listener" 60 listens "$port" || { sed 's/^/# /' "$work/server"; return 1; }
}
listens() { ip netns exec "$server" ss -Htln "sport = :$1" | grep -q .; }

# Payload bytes in the server's namespace so far: at user level, by any path
bytes() {
	onload show -j -n "$server" | python3 -c 'import json, sys
t = json.load(sys.stdin)["totals"]
print(t["rx_user"] + t["tx_user"], t["rx_all"] + t["tx_all"])'
}

# scene NAME COMMAND...: the client's part, and that at least $least % of it was done at user level
scene() {
	local name="$1, $path" user all more_user more_all
	shift
	read -r user all < <(bytes)
	ktap_check "$name" client_side "$@"
	stop
	await "end of the connections" 30 ended
	read -r more_user more_all < <(bytes)
	user=$((more_user - user)) all=$((more_all - all))
	ktap_note "$user of $all bytes at user level"
	ktap_number_is "$name: at user level" $((100 * user / (all + 1))) -ge $least
}
ended() { ! onload show -j -n "$server" | grep -q '"ESTAB"'; }

head -c 700 /dev/urandom >"$work/short"
head -c 300000 /dev/urandom >"$work/long"
cat >"$work/nginx.conf" <<END
daemon off;
user root;
pid $work/nginx.pid;
error_log stderr;
events { }
http { access_log off; server { listen $address:8080; root $work; } }
END
rounds=$((20 / ${T_SCALE:-1} + 3))
for path in "soft VI" wires; do
	# Replies that are longer than the window go by Linux on the soft VI: how much depends on who is scheduled when.
	if [ "$path" = wires ]; then from=$server least=33; else from=$client least=1; fi
	if serve 8080 nginx -p "$work" -c "$work/nginx.conf"; then
		scene nginx $apps http $address 8080 $rounds "$work/short" "$work/long"
	else
		ktap_fail "nginx"
	fi
	stop
	if serve 11211 memcached -u nobody -l $address -t 2 -U 0; then
		scene memcached $apps memcached $address 11211 $((rounds * 4))
	else
		ktap_fail "memcached"
	fi
	stop
	# Twenty streams that never rest need not be leased, but must be right.
	if serve 7007 $apps echo_server $address 7007; then
		ktap_check "asyncio, $path" client_side $apps echo $address 7007 20 100000
	else
		ktap_fail "asyncio"
	fi
	stop
done
ktap_end
