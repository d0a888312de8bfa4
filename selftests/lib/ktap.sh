# SPDX-License-Identifier: GPL-2.0
#
# KTAP for shell tests, sourced. A test is one flat document; the lines of the programs that it runs are numbered
# anew and named after the run. Exit status: 0 all passed, 1 some failed, 4 all skipped.

shopt -s lastpipe

ktap_number=0 ktap_failed=0 ktap_skipped=0

ktap_result() {
	echo "$1 $((++ktap_number)) $2"
	case $1,$2 in
	not*) ktap_failed=$((ktap_failed + 1)) ;;
	*'# SKIP'*) ktap_skipped=$((ktap_skipped + 1)) ;;
	esac
}

ktap_pass() { ktap_result ok "$1"; }
ktap_fail() { ktap_result 'not ok' "$1"; }
ktap_skip() { ktap_result ok "$1 # SKIP${2:+ $2}"; }
ktap_note() { sed 's/^/# /' <<<"$*"; }

# ktap_check NAME COMMAND...: passes if the command does
ktap_check() {
	local name=$1
	shift
	if "$@"; then ktap_pass "$name"; else ktap_fail "$name"; fi
}

# A number is at most, at least, exactly what it should be. ktap_number_is NAME HAVE -le|-ge|-eq WANT
ktap_number_is() {
	if [ "$2" "$3" "$4" ] 2>/dev/null; then
		ktap_pass "$1"
	else
		ktap_note "$1: is $2, should be $3 $4"
		ktap_fail "$1"
	fi
}

# ktap_program NAME SECONDS COMMAND...: takes over the result lines of a program. What it says by its exit status
# only is a failure of its own.
ktap_program() {
	local name=$1 seconds=$2 line results=0 before=$ktap_failed rc
	shift 2
	say "$@"
	timeout -k 5 "$seconds" "$@" 2>&1 | while IFS= read -r line; do
		case $line in
		'ok '* | 'not ok '*)
			results=$((results + 1))
			[[ $line =~ ^((not )?ok)\ [0-9]+\ (- )?(.*) ]]
			ktap_result "${BASH_REMATCH[1]}" "$name: ${BASH_REMATCH[4]}"
			;;
		'KTAP version'* | 'TAP version'* | 1..*) ;;
		'#'*) echo "$line" ;;
		*) echo "# $line" ;;
		esac
	done
	rc=${PIPESTATUS[0]}
	case $rc in
	0) [ $results -gt 0 ] || ktap_pass "$name" ;;
	4) [ $results -gt 0 ] || ktap_skip "$name" ;;
	124 | 137) ktap_fail "$name: not done within $seconds s" ;;
	*) [ "$ktap_failed" -gt "$before" ] || ktap_fail "$name: exit status $rc" ;;
	esac
}

# Echoes the command which is about to run.
say() { { printf '# $' && printf ' %q' "$@" && echo; }; }
run() { say "$@"; "$@"; }

# await WHAT SECONDS COMMAND...: polls until the command succeeds
await() {
	local what=$1 end=$((SECONDS + $2))
	shift 2
	until "$@"; do
		[ $SECONDS -lt $end ] || { ktap_note "$what: not in time"; return 1; }
		sleep 0.1
	done
}

ktap_start() { echo "KTAP version 1"; }

ktap_end() {
	echo "1..$ktap_number"
	[ $ktap_failed -eq 0 ] || exit 1
	[ $ktap_number -eq 0 ] || [ $ktap_skipped -lt $ktap_number ] || exit 4
	exit 0
}

# The whole test cannot run here.
ktap_skip_all() {
	echo "1..0 # SKIP $1"
	exit 4
}
