#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The model of the lease (Documentation/lease.pml), exhaustively, then each deliberate bug, which the model checker
# must find. On this machine: no guest, no module.

. "$(dirname "$0")/lib/ktap.sh"
cd "$(dirname "$0")/.." || exit 1

model=$PWD/Documentation/lease.pml
out=$PWD/build/model
seconds=300 megabytes=2000 depth=100000
states=0

command -v spin >/dev/null || { ktap_start; ktap_skip_all "spin is not installed: run make deps"; }
rm -rf "$out" && mkdir -p "$out"

# Threads 1 and 2 of the library read (R) or write (W), which bytes come in (NR) and go out (NT). All at once is too
# much; each of these meets the others' steps in the kernel.
readers='-DOWN -DR1=1 -DW1=0 -DR2=1 -DW2=0 -DNR=2 -DNT=0'
writers='-DOWN -DR1=0 -DW1=1 -DR2=0 -DW2=1 -DNR=1 -DNT=2'
duplex='-DOWN -DR1=0 -DW1=1 -DR2=1 -DW2=0 -DNR=1 -DNT=1'

# explore NAME DEFINE...: the checker's report goes to $out/NAME.log
explore() {
	local name=$1 how='-DSAFETY -DNOFAIR' search=-E
	shift
	# Only END has a property over time; what blocks elsewhere is judged by its init process.
	case " $* " in *' -DEND '*) how='' search='-a -f' ;; esac
	mkdir "$out/$name" && cd "$out/$name" || return
	spin -a "$@" "$model" >"$out/$name.log" 2>&1 &&
		gcc -O1 -w $how -DMEMLIM=$megabytes -o pan pan.c >>"$out/$name.log" 2>&1 &&
		timeout "$seconds" ./pan $search -n -m$depth >>"$out/$name.log" 2>&1
	cd "$OLDPWD" || exit 1
}

# Every state was visited and nothing was wrong.
sound() {
	explore "$@"
	local log=$out/$1.log n
	n=$(awk '/states, stored/ { print $1; exit }' "$log")
	states=$((states + ${n:-0}))
	ktap_note "$1: ${n:-no} states, $(awk '/total actual memory/ { print $1 + 0; exit }' "$log") MB"
	grep -q 'errors: 0' "$log" && ! grep -qE 'not completed|max search depth|MEMLIM' "$log" ||
		{ sed 's/^/# /' "$log"; return 1; }
}

# A counterexample was found, not a limit.
found() {
	explore "$@"
	grep -E '^pan:1: (assertion violated|acceptance cycle)' "$out/$1.log" | sed "s/^pan:1/# $1/"
	[ "${PIPESTATUS[0]}" = 0 ] || { sed 's/^/# /' "$out/$1.log"; return 1; }
}

bug() {
	local name=$1 what=$2
	shift 2
	ktap_check "found: $what" found "$name" "$@" "-DBUG_$name"
}

ktap_start
ktap_check "two readers: no byte lost or doubled, one owner" sound readers $readers
ktap_check "two writers: no byte lost or doubled, one owner" sound writers $writers
ktap_check "reader and writer: no byte lost or doubled, one owner" sound duplex $duplex
ktap_check "a slot used by two flows: nobody writes into another's lease" sound slot -DSLOT
ktap_check "no wake-up is lost" sound wake -DWAKE
ktap_check "every reclaim ends" sound end -DEND

bug KICK_FIRST "kick before commit" $writers
bug COMMIT_FIRST "commit before the state is complete" $writers
bug EARLY_REUSE "transmit ring reused before the acknowledgement is committed" $writers
bug PUBLISH_FIRST "position published before the record" $readers
bug LEASE_UNLOCKED "lease asked for without the endpoint's lock" $readers
bug NO_IN_KERNEL "operations not counted in" $duplex
bug FREE_AT_CLOSE "slot free at close, with a thread inside" -DSLOT
bug RINGS_AT_RELEASE "rings freed at release, with a thread inside" -DSLOT
bug WHY_LOST "a lease forgets that the mapping has ended" -DSLOT
bug DEAD_UNSEEN "a lease in a context without mapping" -DSLOT
bug CLEAR_LATE "need_wake cleared after the second look" -DWAKE
bug SPIN_CLEARS "need_wake cleared by a thread that spins while another polls" -DWAKE
bug CHECK_FIRST "queue joined after the look, not under the same lock" -DWAKE
bug RECLAIM_SILENT "reclaim wakes nobody" -DWAKE
bug PEEK_FOR_EVER "the gate peeks until user level stands still" -DEND
bug DRAIN_FOR_EVER "the ring is drained as long as the peer fills it" -DEND
echo "# total: $states states of the model explored"
echo "# total: $((ktap_number - 6)) deliberate bugs of the model tried"
ktap_end
