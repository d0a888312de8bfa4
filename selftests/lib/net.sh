# SPDX-License-Identifier: GPL-2.0
#
# Topology for shell tests, sourced after setting nothing. Names are private to the test's process.

selftests=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
. "$selftests/lib/ktap.sh"

# Where "make" put the programs: beside the scripts in a kernel tree or an installation, else in build/.
bin=${T_BIN:-$selftests}
[ -x "$bin/stream" ] || bin=$(realpath -m "$selftests/../build/selftests")
[ ! -x "$selftests/../tools/onload" ] || PATH=$(realpath "$selftests/../tools"):$PATH

server=ol-s-$$ client=ol-c-$$
address=192.0.2.1

need_module() {
	[ -d /proc/sys/net/onload ] || ktap_skip_all "the module af_onload is not loaded"
}

need_onload() {
	need_module
	onload --version >/dev/null 2>&1 && onload true 2>/dev/null ||
		ktap_skip_all "no command onload with its library"
}

need_root() {
	[ "$(id -u)" = 0 ] || ktap_skip_all "not root"
}

net_down() {
	ip netns delete "$server" 2>/dev/null
	ip netns delete "$client" 2>/dev/null
	return 0
}

# Two namespaces joined by a veth pair, both with the sysctl settings given as key=value.
net_up() {
	local ns setting
	trap net_down EXIT
	trap 'exit 1' INT TERM
	run ip netns add "$server" &&
		run ip netns add "$client" &&
		run ip -n "$server" link add veth type veth peer name veth netns "$client" &&
		run ip -n "$server" address add $address/30 dev veth &&
		run ip -n "$client" address add 192.0.2.2/30 dev veth || ktap_skip_all "no network namespaces"
	for ns in "$server" "$client"; do
		ip -n "$ns" link set lo up
		run ip -n "$ns" link set veth up
		for setting; do
			run ip netns exec "$ns" sysctl -q -w "$setting"
		done
	done
	await "carrier" 10 sh -c "ip -n $client link show dev veth | grep -q LOWER_UP"
}

# An emulated processor may be gone for longer than 200 ms, which would look like a time-out; not for 2 s.
patient() {
	local ns
	for ns in "$server" "$client"; do
		run ip -n "$ns" route replace 192.0.2.0/30 dev veth rto_min 2s
		run ip -n "$ns" route replace local 127.0.0.0/8 dev lo table local rto_min 2s
		run ip -n "$ns" route replace local 127.0.0.1 dev lo table local rto_min 2s
	done
}

in_server() { run ip netns exec "$server" "$@"; }
in_client() { run ip netns exec "$client" "$@"; }

# Connections of test programs lead from the client's namespace to the server's.
over_veth() { export T_SERVER_NS=$server T_CLIENT_NS=$client T_ADDR=$address; }
# Within the client's: by the soft VI, or as wires.
over_lo() {
	export T_SERVER_NS=$client T_CLIENT_NS=$client
	unset T_ADDR
	run ip netns exec "$client" sysctl -q -w net.onload.wire=0
}
over_wire() {
	over_lo
	run ip netns exec "$client" sysctl -q -w net.onload.wire=1
}

# Leases of the client's namespace that were ends of wires.
wires() {
	ip netns exec "$client" onload show -j | python3 -c 'import json, sys
print(json.load(sys.stdin)["totals"]["wires"])'
}

# counter NAMESPACE NAME: of nstat
counter() { ip netns exec "$1" nstat -asz "$2" | awk -v name="$2" '$1 == name { print $2 }'; }
