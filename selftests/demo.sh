#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	        namespace "server"                     namespace "client"
#	  +---------------------------+         +---------------------------+
#	  |       redis-server        |         | redis-benchmark redis-cli |
#	  |                           |         |                           |
#	  |  leased TCP, libonload.so |         |  leased TCP, libonload.so |
#	  |            |              |         |            |              |
#	  |     veth 192.0.2.1        |         |      veth 192.0.2.2       |
#	  +------------|--------------+         +------------|--------------+
#	               +-------------------------------------+
#
# An unmodified Redis over plain sockets, then under "onload": are its data right, and how many of
# their bytes moved at user level? Then the same in one namespace, "host", where connections become
# wires. Runs itself in a guest, which runs "demo.sh --guest".

set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd -P)
me=$top/selftests/$(basename "$0")

clients='1 50'
declare -A requests=([1]=5000 [50]=20000)
total=$((requests[1] + requests[50]))
keys=300
least=95 # percent of the payload bytes

if [ "${1-}" != --guest ]; then
	sed -n '/^#\t/s/^#\t/  /p' "$me"
	echo
	exec "$top/selftests/vm/run" --smp 2 --timeout 1500 -- "$me" --guest
fi

work=$(mktemp -d)
server=
cleanup() {
	[ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || :
	ip netns delete host 2>/dev/null || :
	ip netns delete server 2>/dev/null || :
	ip netns delete client 2>/dev/null || :
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
exec 3>&1

die() { echo "demo: $*" >&2; exit 1; }
say() { { printf '+' && printf ' %q' "$@" && echo; } >&3; }
run() { say "$@"; "$@"; }
# Where the two are at the time
at=server from=client address=192.0.2.1
in_client() { run ip netns exec $from "$@"; }
# Not over TCP: what is counted there is the clients' alone.
control() { redis-cli -s "$work/socket" "$@"; }

# Tries a command until it succeeds.
await() {
	local what=$1 end=$((SECONDS + 60))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "demo: $what: not within a minute" >&2; return 1; }
		sleep 0.1
	done
}

answers() { [ "$(control PING 2>/dev/null)" = PONG ]; }

# start [onload]
start() {
	set -- ip netns exec $at "$@" redis-server --bind $address --protected-mode no --save '' \
		--unixsocket "$work/socket"
	say "$@"
	# exec all the way down, so that the process that we end is the server.
	"$@" >"$work/server" 2>&1 &
	server=$!
	await "an answer of redis-server" answers || die "$(tail -n 5 "$work/server")"
}

stop() {
	kill "$server"
	wait "$server" || :
	server=
}

# What the server says it has been asked: benchmark's own word is not enough.
calls() { control INFO commandstats | sed -n "s/^cmdstat_$1:calls=\([0-9]*\),.*/\1/p"; }

# measure NAME [onload]: requests per second to $work/NAME-CLIENTS-TEST
measure() {
	local name=$1 c test n
	shift
	control CONFIG RESETSTAT >"$work/reset"
	for c in $clients; do
		in_client "$@" redis-benchmark -h $address -t set,get -n "${requests[$c]}" -c "$c" --csv >"$work/csv"
		for test in SET GET; do
			n=$(sed -n "s/^\"$test\",\"\([0-9.]*\)\".*/\1/p" "$work/csv")
			[ -n "$n" ] || die "redis-benchmark gave no result of $test: $(cat "$work/csv")"
			echo "$n" >"$work/$name-$c-$test"
		done
	done
	n=$total
	for test in set get; do
		[ "$(calls $test)" = $n ] || die "redis-server counts $(calls $test) requests $test instead of $n"
	done
	echo "demo: $name: the server counts $n SET and $n GET, as many as were sent"
}

# Known values, of many sizes, stored and read back over one connection.
verify() {
	cat >"$work/verify.py" <<-'EOF'
	import os, random, socket, sys
	address, keys = sys.argv[1], int(sys.argv[2])
	stream = socket.create_connection((address, 6379)).makefile("rwb", 0)

	def ask(*words):
	    stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
	    reply = stream.readline()
	    if not reply.startswith(b"$"):
	        return reply
	    value = b""
	    while len(value) < int(reply[1:]) + 2:
	        value += stream.read(int(reply[1:]) + 2 - len(value))
	    return value[:-2]

	for i in range(keys):
	    key, value = b"key:%d" % i, os.urandom(random.randrange(1, 4096))
	    if ask(b"SET", key, value) != b"+OK\r\n" or ask(b"GET", key) != value:
	        sys.exit("key %d came back other than it was stored" % i)
	EOF
	in_client onload python3 "$work/verify.py" $address $keys || die "wrong data"
	echo "demo: $keys values of up to 4095 bytes came back as they were stored"
}

# show NAMESPACE EXPRESSION: python over the output of onload show -j
show() { onload show -j -n "$1" | python3 -c "import json, sys
show = json.load(sys.stdin)
$2"; }

quiet() { show "$1" 'sys.exit(any(s["state"] == "ESTAB" for s in show["sockets"]))'; }

# share NAMESPACE: a line of the table; fails below $least, and without wires where they can be
share() {
	show "$1" "
t = show['totals']
share = 100 * t['user_share']
print('  %-9s %11d %11d %9.2f %% %7d %7d %8d %8d   %s' % ('$1', t['rx_user'] + t['tx_user'],
	t['rx_all'] + t['tx_all'], share, t['leases'], t['wires'], t['reclaims'], t['refusals'],
	' '.join('%s:%d' % r for r in t['reasons'].items())))
sys.exit(share < $least or ('$1' == 'host' and not t['wires']))"
}

# both NAME: plain and under onload, the results to $work/NAME-...
both() {
	local ns
	start
	measure "$1-plain"
	stop
	for ns in $at $from; do
		run ip netns exec $ns sysctl -q -w net.onload.redirect=1
	done
	start onload
	measure "$1-onload" onload
	verify
	stop
	for ns in $at $from; do
		await "end of the connections in $ns" quiet $ns
	done
}

# table NAME: its results
table() {
	local c test
	printf '  %-8s %8s %12s %12s\n' test clients plain onload
	for c in $clients; do
		for test in SET GET; do
			printf '  %-8s %8s %12s %12s\n' $test "$c" "$(cat "$work/$1-plain-$c-$test")" \
				"$(cat "$work/$1-onload-$c-$test")"
		done
	done
}

run ip netns add server
run ip netns add client
run ip netns add host
run ip -n server link add veth type veth peer name veth netns client
run ip -n server address add $address/30 dev veth
run ip -n client address add 192.0.2.2/30 dev veth
for ns in server client; do
	run ip -n $ns link set lo up
	run ip -n $ns link set veth up
done
run ip -n host link set lo up

both veth
at=host from=host address=127.0.0.1
both lo

printf '\n  requests a second over veth (noise: the guest is emulated)\n'
table veth
printf '\n  requests a second over lo\n'
table lo

printf '\n  payload bytes at user level and by any path\n'
printf '  %-9s %11s %11s %11s %7s %7s %8s %8s   %s\n' \
	namespace user all share leases wires reclaims refusals reasons
good=1
for ns in server client host; do
	share $ns || good=
done
echo
[ -n "$good" ] || die "less than $least % of the payload moved at user level, or nothing by wires"
echo "demo: at least $least % of Redis's payload bytes moved at user level"
