#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	+------------- this namespace, or one a try -----------+
#	|  fault: one end by the ABI --- lo --- the other end  |
#	|         fail-nth: 1st, 2nd, 3rd... request fails     |
#	+------------------------------------------------------+
#
# Every allocation and registration of the module fails once, by the kernel's fault injection: a lease is refused, or
# a reclaim still succeeds; no stream has a hole. The stacks that the kernel prints at each failure tell which of the
# module's functions have met one.

. "$(dirname "$0")/lib/net.sh"
need_root
need_module
debugfs=/sys/kernel/debug tracing=/sys/kernel/tracing
[ -e /proc/self/fail-nth ] && [ -d $debugfs/failslab ] || ktap_skip_all "a kernel without fault injection"
ktap_start

work=$(mktemp -d)
term= knobs=() console=$(cut -f1 /proc/sys/kernel/printk)

# knob FILE VALUE: until the end of the test
knob() {
	knobs+=("$debugfs/$1" "$(cat "$debugfs/$1")")
	echo "$2" >"$debugfs/$1"
}
unprobe() {
	[ ! -d $tracing/events/kprobes/onload_fault ] || {
		echo 0 >$tracing/events/kprobes/onload_fault/enable
		echo '-:onload_fault' >>$tracing/kprobe_events
	}
}
finish() {
	local i
	unprobe
	for ((i = ${#knobs[@]} - 2; i >= 0; i -= 2)); do
		echo "${knobs[i + 1]}" >"${knobs[i]}"
	done
	echo "$console" >/proc/sys/kernel/printk
	[ -z "$term" ] || sysctl -q -w net.onload.lease_term_ms="$term"
	rm -rf "$work"
	net_down
}
trap finish EXIT

# By default only requests that may not sleep, and large ones, can fail. Stacks go to the log, not to the console.
for kind in failslab fail_page_alloc fail_usercopy; do
	knob $kind/verbose 2
done
knob failslab/ignore-gfp-wait N
knob fail_page_alloc/ignore-gfp-wait N
knob fail_page_alloc/ignore-gfp-highmem N
knob fail_page_alloc/min-order 0
echo 1 >/proc/sys/kernel/printk

marker="fault.sh: $$ begins"
echo "$marker" >/dev/kmsg

# Leases here end when they are told to.
term=$(sysctl -n net.onload.lease_term_ms)
run sysctl -q -w net.onload.lease_term_ms=1000

# The programs count only what they see fail.
echo 'p:onload_fault onload_net_init' >$tracing/kprobe_events && echo 1 >$tracing/events/kprobes/onload_fault/enable
case ${T_ONLY:-all} in
load) ;;
all) ktap_program "fault" 1200 "$bin/fault" ;;
*) ktap_program "fault" 1200 "$bin/fault" "$T_ONLY"; ktap_end ;;
esac
unprobe

# Loading. Nobody may have a socket of ours then; those that were retired go after a grace period.
module=$(realpath -m "${ONLOAD_MODDIR:-$selftests/../net}/af_onload.ko")
remove() { rmmod af_onload 2>/dev/null; }
if [ -r "$module" ]; then
	cp "$module" "$work/"
	ktap_check "the module can leave" await "rmmod" 60 remove
	ktap_program "fault" 1200 "$bin/fault" load "$work/af_onload.ko"
	ktap_check "the module is back" insmod "$work/af_onload.ko"
else
	ktap_skip "loading" "no module to load: set ONLOAD_MODDIR"
fi

[ -z "${T_ONLY:-}" ] || ktap_end

# What "onload show" asks fails once, too: it shows everything or says why not.
show_fails() {
	local call=$1 nth out rc
	for nth in {1..20}; do
		out=$(strace -f -qq -o "$work/strace" -e trace="$call" -e inject="$call":error=ENOBUFS:when="$nth" \
			onload show 2>&1)
		rc=$?
		grep -q INJECTED "$work/strace" || return $rc
		[ $rc -ne 0 ] && [[ $out = *"No buffer space available"* ]] || {
			ktap_note "$call $nth: status $rc, $out"
			return 1
		}
	done
	return 1
}
for call in sendto recvmsg; do
	ktap_check "onload show says that $call() failed" show_fails $call
done

# Who asked: of each failure's stack the innermost frame that is ours
dmesg | awk -v marker="$marker" '
	index($0, marker) { on = 1 }
	!on { next }
	/FAULT_INJECTION: forcing a failure/ { open = 1; all++ }
	open && /\+0x.*\[af_onload\]/ && !/ \? / {
		sub(/\+0x.*/, "")
		n[$NF]++
		open = 0
	}
	END {
		print "all", all + 0
		for (f in n) print f, n[f]
	}' | sort -k2nr >"$work/hit"
sed 's/^/# /' "$work/hit"
ktap_number_is "failures in the log" "$(awk '$1 == "all" { print $2 }' "$work/hit")" -gt 0
for site in onload_create onload_ctx_create onload_gate_open onload_rings_alloc onload_map_twice \
	    onload_getsockopt onload_seg_skb onload_push onload_linux_setsockopt \
	    onload_get_totals onload_init onload_sysctl_init onload_ops_init \
	    onload_netlink_init; do
	ktap_check "a request of $site() failed" grep -q "^$site " "$work/hit"
done

# In softirq, too, and for everybody: of a hundred requests that cannot wait, one fails. Linux's streams survive that.
net_up net.onload.backoff_ms=0
over_veth
knob failslab/verbose 0
knob failslab/ignore-gfp-wait Y
knob failslab/times 1000000
knob failslab/probability 1
ktap_program "packets without memory, plain" 300 "$bin/stream" -b 400000
ktap_program "packets without memory" 600 onload "$bin/stream" -b 400000 -l $((2000 / ${T_SCALE:-1})) -d 1000
left=$(cat $debugfs/failslab/times)
ktap_note "$((1000000 - left)) faults injected at random"
ktap_number_is "faults at random" $((1000000 - left)) -gt 0
echo "# total: $((1000000 - left)) injected faults"
ktap_end
