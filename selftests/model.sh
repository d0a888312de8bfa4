#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The models of the lease and of wires (Documentation/lease.pml, wire.pml), exhaustively, then each deliberate bug,
# which the model checker must find. On this machine: no guest, no module.

. "$(dirname "$0")/lib/ktap.sh"
cd "$(dirname "$0")/.." || exit 1

models=$PWD/Documentation
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
# Wires: bytes one way, with raw system calls; one each way; the death of the process that sends; two threads that send,
# and two that send and receive; a ring that is made longer
oneway='-DWIRE -DN0=2 -DN1=0 -DRAW=1'
bothways='-DWIRE -DN0=1 -DN1=1'
death='-DWIRE -DN0=2 -DN1=0 -DRECLAIMS=1 -DDEATH'
senders='-DWIRE -DN0=3 -DN1=0 -DNMAX=3 -DTHREADS=2 -DRECLAIMS=1 -DJOINS=1'
threads='-DWIRE -DN0=1 -DN1=1 -DTHREADS=2 -DRECLAIMS=1 -DJOINS=1'
longer='-DWIRE -DN0=3 -DN1=0 -DNMAX=3 -DGROW -DRECLAIMS=1'

# explore NAME LEVEL DEFINE...: the checker's report goes to $out/NAME.log. It is optimised at LEVEL, which takes longer
# than most searches: a bug is found soon.
explore() {
	local name=$1 level=$2 how='-DSAFETY -DNOFAIR' search=-E model=$models/lease.pml
	shift 2
	case " $* " in *' -DWIRE '* | *' -DSLEEP '*) model=$models/wire.pml ;; esac
	# Only END has a property over time; what blocks elsewhere is judged by its init process.
	case " $* " in *' -DEND '*) how='' search='-a -f' ;; esac
	mkdir "$out/$name" && cd "$out/$name" || return
	spin -a "$@" "$model" >"$out/$name.log" 2>&1 &&
		gcc $level -w $how -DMEMLIM=$megabytes -o pan pan.c >>"$out/$name.log" 2>&1 &&
		timeout "$seconds" ./pan $search -n -m$depth >>"$out/$name.log" 2>&1
}

# Every state was visited and nothing was wrong.
is_sound() {
	local log=$out/$1.log n
	n=$(awk '/states, stored/ { print $1; exit }' "$log")
	states=$((states + ${n:-0}))
	ktap_note "$1: ${n:-no} states, $(awk '/total actual memory/ { print $1 + 0; exit }' "$log") MB"
	grep -q 'errors: 0' "$log" && ! grep -qE 'not completed|max search depth|MEMLIM' "$log" ||
		{ sed 's/^/# /' "$log"; return 1; }
}

# A counterexample was found, not a limit.
is_found() {
	grep -E '^pan:1: (assertion violated|acceptance cycle)' "$out/$1.log" | sed "s/^pan:1/# $1/"
	[ "${PIPESTATUS[0]}" = 0 ] || { sed 's/^/# /' "$out/$1.log"; return 1; }
}

# sound NAME WHAT DEFINE..., bug NAME WHAT DEFINE...: to be explored
judges=() levels=() names=() whats=() defines=() bugs=0
sound() { judges+=(is_sound) levels+=(-O1) names+=("$1") whats+=("$2") defines+=("${*:3}"); }
bug() {
	judges+=(is_found) levels+=(-O0) names+=("$1") whats+=("found: $2") defines+=("${*:3} -DBUG_$1")
	bugs=$((bugs + 1))
}

sound readers "two readers: no byte lost or doubled, one owner" $readers
sound writers "two writers: no byte lost or doubled, one owner" $writers
sound duplex "reader and writer: no byte lost or doubled, one owner" $duplex
sound slot "a slot used by two flows: nobody writes into another's lease" -DSLOT
sound wake "no wake-up is lost" -DWAKE
sound end "every reclaim ends" -DEND
sound oneway "a wire, bytes one way: none lost, doubled or out of order" $oneway
sound bothways "a wire, bytes both ways: none lost, doubled or out of order" $bothways
sound death "a wire, death of an end: what it sent arrives" $death
sound senders "a wire, two threads send: no byte lost, doubled or out of order" $senders
sound threads "a wire, two threads send and receive: no byte lost, doubled or out of order" $threads
sound longer "a wire whose ring is made longer: no byte lost, doubled or out of order" $longer
sound sleep "no wake-up is lost on a wire" -DSLEEP

bug KICK_FIRST "kick before commit" $writers
bug COMMIT_FIRST "commit before the state is complete" $writers
bug EARLY_REUSE "transmit ring reused before the acknowledgement is committed" $writers
bug PUBLISH_FIRST "position published before the record" $readers
bug LEASE_UNLOCKED "lease asked for without the endpoint's lock" $readers
bug NO_IN_KERNEL "operations not counted in" $duplex
bug FREE_AT_CLOSE "slot free at close, with a thread inside" -DSLOT
bug RINGS_AT_RELEASE "rings freed at release, with a thread inside" -DSLOT
bug DEAD_UNSEEN "a lease in a context without mapping" -DSLOT
bug CLEAR_LATE "need_wake cleared after the second look" -DWAKE
bug SPIN_CLEARS "need_wake cleared by a thread that spins while another polls" -DWAKE
bug CHECK_FIRST "queue joined after the look, not under the same lock" -DWAKE
bug RECLAIM_SILENT "reclaim wakes nobody" -DWAKE
bug PEEK_FOR_EVER "the gate peeks until user level stands still" -DEND
bug DRAIN_FOR_EVER "the ring is drained as long as the peer fills it" -DEND
bug CUT_ONE "leaving ends publishing at one end only" $oneway
bug RX_STAYS "leaving does not end receiving" $oneway
bug BEHIND "unread bytes go behind those of TCP" $oneway
bug NO_PROOF "a wire begins while bytes are under way by TCP" $oneway
bug UNREAD "a wire begins while Linux has unread bytes" $oneway
bug CONST_LATE "a lease begun with what a later one was to be" $oneway
bug NO_WIRE_IN_KERNEL "a wire begins while a thread is inside" $bothways -DBUG_NO_IN_KERNEL
bug BYTES_LATE "position published before the byte" $oneway -DBUG_PUBLISH_FIRST
bug WHY_LOST "a wire forgets that the mapping has ended" $death
bug DEAD_WIRED "a wire with an end that has no mapping" $death -DBUG_DEAD_UNSEEN
bug UNLOCKED "a wire used without the endpoint's lock" $senders
bug GROW_FULL "a ring changes its size with bytes in it" $longer
bug ARM_LATE "who sleeps says so after the look" -DSLEEP -DREADERS=1
bug NO_REARM "a ring read empty without saying so to who polls" -DSLEEP -DREADERS=2
bug LOOK_FIRST "the look at who sleeps before the position" -DSLEEP
bug CLEAR_AFTER "the bits taken down after the wake-up" -DSLEEP
bug ROOM_UNSEEN "room given back without a look at who sends" -DSLEEP
bug CUT_SILENT "the end of a wire wakes nobody" -DSLEEP

# As many at a time as there are processors
for i in "${!names[@]}"; do
	[ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n
	explore "${names[i]}" "${levels[i]}" ${defines[i]} &
done
wait

ktap_start
for i in "${!names[@]}"; do
	ktap_check "${whats[i]}" "${judges[i]}" "${names[i]}"
done
echo "# total: $states states of the model explored"
echo "# total: $bugs deliberate bugs of the model tried"
ktap_end
