# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A connection that somebody has (hold.c), in the background; read after net.sh.

holder=
work=$(mktemp -d)

# hold COMMAND...: until let_go
hold() {
	say "$@"
	rm -f "$work/in" "$work/out"
	mkfifo "$work/in"
	"$@" <"$work/in" >"$work/out" 2>&1 &
	holder=$!
	exec 3>"$work/in"
	await "held" 30 grep -q held "$work/out" || sed 's/^/# /' "$work/out"
}
# It exchanges a byte each way.
works() {
	: >"$work/out"
	echo go >&3
	await "works" 10 grep -q works "$work/out"
}
let_go() {
	exec 3>&-
	wait "$holder"
	local rc=$?
	holder=
	return $rc
}
# For the trap
hold_end() {
	[ -z "$holder" ] || kill "$holder" 2>/dev/null
	rm -rf "$work"
}
