#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tests inside the kernel (net/test), for a kernel with KUnit: loads their module in the place of ours and takes
# over what they say in the kernel log, where the guest looks for complaints besides.

. "$(dirname "$0")/lib/ktap.sh"
cd "$(dirname "$0")" || exit 1

dir=${ONLOAD_MODDIR:-../net}
tests=$dir/af_onload_test.ko
mark="onload kunit $$"

[ -f "$tests" ] || ktap_skip_all "no $tests: this kernel has no KUnit"

# KUnit's own KTAP, made flat: a suite's cases, or a case's parameters, if it has any. A case or suite that failed
# without a line below it to say so is a result, too.
flatten() {
	sed 's/^\[[^]]*\] //' | awk -v mark="$mark" '
	index($0, mark) { on = 1; next }
	!on { next }
	function result(name) { sub(/ok [0-9]+ -? ?/, "", name); return name }
	/^    # Subtest: / { suite = $3; next }
	/^        # Subtest: / { of = $3; params = 0; next }
	/^        (not )?ok / {
		params++
		bad += $1 == "not"
		print ($1 == "not" ? "bad " : "good ") suite ": " of ": " result(substr($0, $1 == "not" ? 13 : 9))
		next
	}
	/^    (not )?ok / {
		if (!params || ($1 == "not" && !bad))
			print ($1 == "not" ? "bad " : "good ") suite ": " result(substr($0, $1 == "not" ? 9 : 5))
		failed += $1 == "not"
		params = bad = 0
		next
	}
	/^(not )?ok / {
		if ($1 == "not" && !failed)
			print "bad " suite
		failed = 0
		print "suite " suite
		next
	}
	/^ *(KTAP version|1\.\.[0-9]|# [^:]+: pass:|# Totals:)/ { next }
	{ print "note " $0 }'
}

ktap_start
if [ -d /sys/module/af_onload ]; then
	ktap_check "af_onload makes room" rmmod af_onload
	loaded=1
fi
echo "$mark" >/dev/kmsg
ktap_check "the tests are loaded" insmod "$tests"

suites=0 before=$ktap_number
while read -r what text; do
	case $what in
	good) ktap_pass "$text" ;;
	bad) ktap_fail "$text" ;;
	suite) suites=$((suites + 1)) ;;
	note) echo "# $text" ;;
	esac
done < <(dmesg | flatten)
echo "# total: $((ktap_number - before)) KUnit tests"

files=(../net/test/*_test.c)
ktap_number_is "every suite has run" "$suites" -eq ${#files[@]}
ktap_check "the tests are unloaded" rmmod af_onload_test
[ -z "${loaded:-}" ] || ktap_check "af_onload is back" insmod "$dir/af_onload.ko"
ktap_end
