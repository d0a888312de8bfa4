#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The style checks, one line each. All run; any failure fails.

set -eu

cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0

check() {
	local name=$1
	shift
	if "$@" >"$out" 2>&1; then
		echo "ok    $name"
	else
		echo "FAIL  $name"
		sed 's/^/      /' "$out"
		failed=1
	fi
}

# Tracked files and those about to be, but nothing generated.
sources() {
	git ls-files --cached --others --exclude-standard -- "$@" |
		while read -r f; do [ ! -f "$f" ] || echo "$f"; done
}

# Debian's kbuild package has no checkpatch; its source package is one big archive, so keep what we take.
checkpatch_dir() {
	local tar dir
	tar=$(ls /usr/src/linux-source-*.tar.xz | sort -V | tail -n 1)
	dir=${XDG_CACHE_HOME:-$HOME/.cache}/af_onload/checkpatch-$(stat -c %Y "$tar")
	if [ ! -d "$dir" ]; then
		mkdir -p "$dir.$$"
		tar -xJf "$tar" -C "$dir.$$" --strip-components=2 --occurrence=1 --no-anchored \
			scripts/checkpatch.pl scripts/spelling.txt scripts/const_structs.checkpatch
		mv -T "$dir.$$" "$dir" 2>/dev/null || rm -rf "$dir.$$"
	fi
	echo "$dir"
}

# Not for us: CONST_STRUCT (a flow has its own copy of proto_ops), COMPLEX_MACRO and MACRO_ARG_REUSE (tables as
# X macros), BIT_MACRO (user space has no BIT_ULL), TYPO_SPELLING (it takes British for wrong); and the layout that
# every trace header has.
check_checkpatch() {
	local dir failed=0
	local ignore=CONST_STRUCT,COMPLEX_MACRO,MACRO_ARG_REUSE,BIT_MACRO,TYPO_SPELLING
	local trace=OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT
	dir=$(checkpatch_dir)
	one() {
		local ignored=$1
		shift
		[ $# -eq 0 ] || perl "$dir/checkpatch.pl" --strict --no-tree --no-summary --terse --show-types \
			--ignore "$ignored" -f "$@" || failed=1
	}
	one "$ignore" $(sources 'net/*.[ch]' 'uapi/*.h' 'drivers/*.[ch]' ':!*trace.h')
	one "$ignore,$trace" $(sources 'net/*trace.h')
	return $failed
}

# Kbuild goes on after a warning of sparse, so its words decide.
check_sparse() {
	local said
	said=$(make C=2 modules 2>&1) || { echo "$said"; return 1; }
	! grep -E '(warning|error):' <<<"$said"
}

check_clang_format() {
	local files
	files=$(sources 'userlib/*.[ch]' 'tools/*.[ch]' 'selftests/*.[ch]')
	[ -z "$files" ] || clang-format --dry-run -Werror $files
}

check_cppcheck() {
	local files
	files=$(sources 'userlib/*.c' 'tools/*.c')
	[ -z "$files" ] || cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr \
		--error-exitcode=1 -I uapi -I userlib $files
}

check checkpatch check_checkpatch
check sparse check_sparse
check clang-format check_clang_format
check cppcheck check_cppcheck
exit $failed
