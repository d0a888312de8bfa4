#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# "make check": the native tests here, the others in guests. The last line is the sum.
#
#   CHECK_SCALE=10		a tenth of what is done thousands of times
#   CHECK_ONLY="api.sh ..."	only these tests, in one guest
#   FUZZ_SECONDS=60		how long the fuzzer runs

set -u

top=$(cd "$(dirname "$0")/.." && pwd -P)
out=$top/build/check
scale=${CHECK_SCALE:-1}
passed=0 failed=0 skipped=0
totals= # what tests count besides results, in lines "# total: ..."
started=$SECONDS

mkdir -p "$out" && cd "$top" || exit 1

# A failure that no result line told of
broken() {
	echo "not ok $1"
	failed=$((failed + 1))
}

# show NAME INDENT COMMAND...: its output here and in a file, its results added
show() {
	local name=$1 indent=$2 rc p f s
	shift 2
	echo "# $name: $*"
	"$@" 2>&1 | tee "$out/$name.log"
	rc=${PIPESTATUS[0]}
	read -r p f s < <(awk -v ok="^${indent}ok " -v bad="^${indent}not ok " '
		$0 ~ bad { f++ }
		$0 ~ ok { if (/# SKIP/) s++; else p++ }
		END { print p + 0, f + 0, s + 0 }' "$out/$name.log")
	totals+=$(sed -n 's/^ *# total: /\n# /p' "$out/$name.log")
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

# guest NAME TEST...
guest() {
	local name=$1
	shift
	VM_LOG=$out/$name.dmesg show "$name" '  ' selftests/vm/run --smp 2 --timeout 2400 -- \
		make -s -C selftests run_tests T_SCALE="$scale" TESTS="$*"
}

make -s -C selftests all || broken "selftests do not build"

if [ -n "${CHECK_ONLY:-}" ]; then
	guest only $CHECK_ONLY
else
	show native '' make -s -C selftests/native check
	show model '' selftests/model.sh
	if make -s fuzz >"$out/fuzz.log" 2>&1; then
		executions=$(awk '/number_of_executed_units/ { print $2 }' "$out/fuzz.log")
		echo "ok fuzz: ${executions:-unknown} executions"
		passed=$((passed + 1))
	else
		tail -n 30 "$out/fuzz.log" | sed 's/^/# /'
		broken "fuzz"
	fi
	guest api api.sh readiness.sh badinput.sh hostile.sh share.sh reuse.sh signals.sh busybox.sh idle-memory.sh module.sh
	guest stream stream.sh
	guest harm kill.sh stall.sh firewall.sh
fi

[ -z "$totals" ] || echo -e "${totals#\\n}"
echo "# $((SECONDS - started)) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
