#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# "make check": the native tests here, the others in guests, on the stock kernel and on the one that checks us. The
# last line is the sum; those before it say what it is made of.
#
#   CHECK_SCALE=10		a tenth of what is done thousands of times; on the debug kernel a fiftieth of that
#   CHECK_ONLY="api.sh ..."	only these tests, in one guest
#   CHECK_KERNEL=debug		that guest's kernel: stock (the default), debug or kcsan
#   FUZZ_SECONDS=60		how long the fuzzer runs

set -u

top=$(cd "$(dirname "$0")/.." && pwd -P)
out=$top/build/check
scale=${CHECK_SCALE:-1}
only=${CHECK_ONLY:-}
kernel=${CHECK_KERNEL:-stock}
passed=0 failed=0 skipped=0
declare -A results # by part: native, or the guest's kernel
declare -A totals  # what tests count besides results, in lines "# total: NUMBER WHAT"
started=$SECONDS

mkdir -p "$out" && cd "$top" || exit 1
rm -f "$out"/*.log "$out"/*.rc

# A failure that no result line told of
broken() {
	echo "not ok $1"
	failed=$((failed + 1))
}

# total NUMBER WHAT
total() { totals[$2]=$((${totals[$2]:-0} + $1)); }

# run NAME COMMAND...: output here and in a file
run() {
	local name=$1
	shift
	echo "# $name: $*"
	"$@" 2>&1 | tee "$out/$name.log"
	echo "${PIPESTATUS[0]}" >"$out/$name.rc"
}

# beside NAME COMMAND...: output in a file, and here when it is over: others run at the same time
beside() {
	local name=$1
	run "$@" >"$out/$name.all"
	cat "$out/$name.all"
}

# count PART NAME INDENT: the results that it printed
count() {
	local part=$1 name=$2 indent=$3 rc p f s number what
	if ! read -r rc <"$out/$name.rc"; then
		broken "$name: did not run"
		return
	fi 2>/dev/null
	read -r p f s < <(awk -v ok="^${indent}ok " -v bad="^${indent}not ok " '
		$0 ~ bad { f++ }
		$0 ~ ok { if (/# SKIP/) s++; else p++ }
		END { print p + 0, f + 0, s + 0 }' "$out/$name.log")
	while read -r number what; do
		if [[ $number =~ ^[0-9]+$ ]]; then total "$number" "$what"; else broken "$name: total $number"; fi
	done < <(sed -n 's/^ *# total: //p' "$out/$name.log")
	results[$part]=$((${results[$part]:-0} + p + f + s))
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$rc" -ge 123 ] && [ "$rc" -le 125 ]; then
		# The guest's verdict counts whatever the tests say.
		broken "$name: guest's status $rc"
	elif [ "$f" = 0 ] && [ "$rc" != 0 ]; then
		broken "$name: exit status $rc"
	elif [ $((p + f + s)) = 0 ]; then
		broken "$name: no results"
	fi
}

# guest KERNEL SCALE NAME TEST...
guest() {
	local kernel=$1 scale=$2 name=$3
	shift 3
	VM_LOG=$out/$name.dmesg run "$name" \
		selftests/vm/run --smp 2 --timeout 2400 --kernel "$kernel" -- \
		make -s -C selftests run_tests T_SCALE="$scale" TESTS="$*"
}

# Built once for each version of the distribution's source and of the configuration
built() {
	local began=$SECONDS
	scripts/debug-kernel.sh build "$1" >"$out/$1-kernel" 2>&1 || {
		sed 's/^/# /' "$out/$1-kernel"
		return 1
	}
	echo "# $1 kernel: $((SECONDS - began)) s"
}

fuzz() {
	local executions
	make -s fuzz >"$out/fuzz" 2>&1 || {
		tail -n 30 "$out/fuzz" | sed 's/^/# /'
		echo "not ok fuzz"
		return 1
	}
	executions=$(awk '/number_of_executed_units/ { n += $2 } END { print n + 0 }' "$out/fuzz")
	echo "ok fuzz"
	echo "# total: $executions fuzz executions"
}

make -s -C selftests all || broken "selftests do not build"

if [ -n "$only" ]; then
	if [ "$kernel" = stock ] || built "$kernel"; then
		guest "$kernel" "$scale" only $only
	fi
	count "$kernel" only '  '
else
	# The kernel that checks us takes minutes of both processors, and is needed last: it gets what others leave.
	# Guests want to be punctual: one after the other, and not beside what else is computed.
	{ chrt --idle --pid 0 $BASHPID; built debug; } &
	building=$!
	beside native make -s -C selftests/native check &
	natively=$!
	beside fuzz fuzz &
	fuzzing=$!
	beside model selftests/model.sh
	wait $natively $fuzzing
	guest stock "$scale" api api.sh races.sh readiness.sh badinput.sh hostile.sh share.sh reuse.sh signals.sh busybox.sh \
		idle-memory.sh module.sh install.sh
	guest stock "$scale" stream stream.sh wires.sh
	guest stock "$scale" harm kill.sh stall.sh firewall.sh events.sh rights.sh apps.sh
	wait $building && debug=1
	# Ten times slower there, and each way through the module once is what counts. Nothing else runs now, and a guest
	# keeps one processor busy.
	if [ -n "${debug:-}" ]; then
		guest debug $((50 * scale)) calls kunit.sh api.sh races.sh badinput.sh hostile.sh events.sh reuse.sh \
			>"$out/calls.all" &
		guest debug $((50 * scale)) ends kill.sh stream.sh module.sh fault.sh
		wait $!
		cat "$out/calls.all"
	fi
	count native native ''
	count native fuzz ''
	count model model ''
	for name in api stream harm; do
		count stock $name '  '
	done
	for name in calls ends; do
		count debug $name '  '
	done
fi

for what in "${!totals[@]}"; do
	echo "# ${totals[$what]} $what"
done | sort -k3
for part in native model stock debug kcsan; do
	case $part in
	native) what="native tests" ;;
	model) what="tests of the model" ;;
	*) what="guest tests, $part kernel" ;;
	esac
	[ -z "${results[$part]:-}" ] || echo "# ${results[$part]} $what"
done
echo "# $((SECONDS - started)) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
