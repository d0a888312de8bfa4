#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs tests as one KTAP document, each indented below its own result. The kernel log gets a line before each, so that
# what it complains of has a culprit. What a test says by its exit status only gets a result line, too.

shopt -s lastpipe
cd "$(dirname "$0")" || exit 1

rc=0 number=0
echo "KTAP version 1"
echo "1..$#"
for name; do
	echo "selftests: onload: $name" 2>/dev/null >/dev/kmsg || :
	started=$SECONDS bad=0 why=
	timeout -k 10 "${T_TIMEOUT:-1800}" "./$name" 2>&1 </dev/null | while IFS= read -r line; do
		echo "  $line"
		case $line in
		'not ok '*) bad=$((bad + 1)) ;;
		'1..0 # SKIP'*) why=${line#*SKIP} ;;
		esac
	done
	status=${PIPESTATUS[0]}
	echo "  # $name took $((SECONDS - started)) s"
	number=$((number + 1))
	case $status in
	0) echo "ok $number $name" ;;
	4)
		[ -z "$why" ] || echo "  ok 1 $name # SKIP$why"
		echo "ok $number $name # SKIP"
		;;
	*)
		[ $bad -gt 0 ] || echo "  not ok 1 $name: exit status $status"
		echo "not ok $number $name # exit status $status"
		rc=1
		;;
	esac
done
exit $rc
