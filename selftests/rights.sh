#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	 namespace ol-c-PID                      namespace ol-s-PID
#	+----------------------+                +----------------------+
#	|  one end           veth ----------- veth  the other          |
#	+----------------------+                +----------------------+
#
# Who may do what, and how much (Documentation/rights.rst); and what others are told about it.

. "$(dirname "$0")/lib/net.sh"
need_root
need_onload
nft --version >/dev/null 2>&1 || ktap_skip_all "no nft"
ktap_start
net_up net.onload.backoff_ms=0 net.onload.lease_term_ms=1000
. "$(dirname "$0")/lib/hold.sh"
finish() {
	[ -z "$T_CGROUP" ] || rmdir "$T_CGROUP"
	! mountpoint -q "$work/cgroup" || umount "$work/cgroup"
	hold_end
	net_down
}
trap finish EXIT
over_veth

chmod 755 "$work"
cp "$bin/rights" "$work/rights"
chmod 4755 "$work/rights"
mkdir "$work/cgroup"
export T_CGROUP= T_SETUID=$work/rights
if run mount -t cgroup2 none "$work/cgroup" 2>/dev/null; then
	echo +memory >"$work/cgroup/cgroup.subtree_control"
	if mkdir "$work/cgroup/rights" && [ -e "$work/cgroup/rights/memory.max" ]; then
		T_CGROUP=$work/cgroup/rights
		echo 12M >"$T_CGROUP/memory.max"
	fi
fi
[ -n "$T_CGROUP" ] || unset T_CGROUP
ktap_program rights 300 "$bin/rights" $T_ONLY
: "${T_CGROUP=}"

# With the library, and nothing but a user's rights
nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
unset T_SERVER_NS T_CLIENT_NS T_ADDR
run ip netns exec "$client" $nobody onload "$bin/readiness" poll_in | sed 's/^/# /'
ktap_number_is "an unprivileged program: status" "${PIPESTATUS[0]}" -eq 0

# Ids are those of whoever asks.
hold ip netns exec "$client" onload "$bin/hold" inet
show() { onload show -j -n "$client"; }
elsewhere() { unshare --pid --fork onload show -j -n "$client"; }
ktap_check "show: the holder's pid" grep -q "\"holder\": *$holder\b" <(show)
ktap_check "show: the user" grep -q '"uid": *0\b' <(show)
ktap_check "show: no pid in another pid namespace" \
	awk '/"uid"/ { seen = 1 } /"holder": *[1-9]/ { holder = 1 } END { exit !seen || holder }' <(elsewhere)
ktap_check "show: nobody in another user namespace" \
	grep -q '"uid": *65534\b' <(ip netns exec "$client" unshare --user onload show -j)
ktap_check "show: root by another number" \
	grep -q '"uid": *77\b' <(ip netns exec "$client" unshare --user --map-user=77 onload show -j)
let_go
ktap_end
