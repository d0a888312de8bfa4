#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                      namespace ol-s-PID
#	+----------------------+                +----------------------+
#	|  busybox wget      veth ----------- veth  busybox httpd      |
#	|  net.onload.redirect=1                |  net.onload.redirect=1
#	+----------------------+                +----------------------+
#
# A static program, which no library can help, has sockets of ours and does not know.

. "$(dirname "$0")/lib/net.sh"
need_root
need_module
[ -x /bin/busybox ] || ktap_skip_all "no /bin/busybox"
ktap_start
net_up net.onload.redirect=1

work=$(mktemp -d)
httpd= slow=
finish() {
	[ -z "$httpd" ] || kill "$httpd" 2>/dev/null
	[ -z "$slow" ] || kill "$slow" 2>/dev/null
	rm -rf "$work"
	net_down
}
trap finish EXIT
mkdir "$work/www"
head -c 3000000 /dev/urandom >"$work/www/file"

say ip netns exec "$server" /bin/busybox httpd -f -p $address:80 -h "$work/www"
ip netns exec "$server" /bin/busybox httpd -f -p $address:80 -h "$work/www" &
httpd=$!
listening() { ip netns exec "$server" ss -tln | grep -q ":80 "; }
ktap_check "httpd listens" await "a listener" 20 listening

for i in 1 2 3; do
	in_client timeout 60 /bin/busybox wget -q -O "$work/got" "http://$address/file"
	ktap_check "wget $i has the file" cmp "$work/www/file" "$work/got"
done
missing() { ! in_client timeout 60 /bin/busybox wget -q -O /dev/null "http://$address/none" 2>/dev/null; }
ktap_check "an error is one" missing

# A connection that stays, to be looked at: nc is the client, which says nothing.
mkfifo "$work/silence"
exec 3<>"$work/silence"
say ip netns exec "$client" /bin/busybox nc $address 80
ip netns exec "$client" /bin/busybox nc $address 80 <&3 >"$work/said" &
slow=$!
established() { ip netns exec "$1" ss -tn state established | grep -q "$address:80"; }
ktap_check "nc is connected" await "a connection" 20 established "$client"

for ns in "$server" "$client"; do
	say ip netns exec "$ns" ss -tnp
	ip netns exec "$ns" ss -tnp >"$work/ss"
	sed 's/^/# /' "$work/ss"
	ktap_check "ss -tnp in ${ns%-*} has process and addresses" \
		grep -q "ESTAB.*$address:80.*busybox" "$work/ss"
done

if onload show -j -n "$server" >"$work/show" 2>&1; then
	sed 's/^/# /' "$work/show"
	sockets='import json, sys
sockets = json.load(open(sys.argv[1]))["sockets"]
sys.exit(not any(sys.argv[2] in json.dumps(s) and s["state"].startswith(sys.argv[3]) for s in sockets))'
	ktap_check "onload show lists the connection" python3 -c "$sockets" "$work/show" "$address" ESTAB
	ktap_check "onload show lists the listener" python3 -c "$sockets" "$work/show" "$address" LISTEN
else
	ktap_skip "onload show" "no such command"
fi
ktap_end
