#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# debug-kernel.sh build|dir|modules [FLAVOUR]: the kernels that check us.
#
#   build	make it, unless that is done already (about 10 minutes on 2 processors)
#   dir		print where it is: bzImage, config, and build/, the KDIR= of modules
#   modules	build our modules for it, in build/modules-FLAVOUR/ of this tree
#
# FLAVOUR is debug (the default) or kcsan: tinyconfig of Debian's linux-source package, with the fragments
# selftests/vm/debug.config and, on top of that, selftests/vm/FLAVOUR.config. Nothing is patched.
# What is built is kept by a key of all that it depends on, in $DEBUG_KERNEL_CACHE (build/debug-kernel).

set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd -P)
verb=${1-} flavour=${2:-debug}
cache=$(realpath -m "${DEBUG_KERNEL_CACHE:-$top/build/debug-kernel}")
archive=/usr/src/linux-source-6.1.tar.xz

die() { echo "debug-kernel: $*" >&2; exit 1; }

fragments=("$top/selftests/vm/debug.config")
[ "$flavour" = debug ] || fragments+=("$top/selftests/vm/$flavour.config")
[ -r "${fragments[-1]}" ] || die "no such flavour: $flavour"
[ -r $archive ] || die "no $archive: run make deps"

version=$(dpkg-query -W -f '${Version}' linux-source-6.1)
key=$version-$flavour-$({ cat "${fragments[@]}"; gcc --version; } | sha256sum | head -c 8)
dir=$cache/$key

# Warnings are about tiny.config's choices, which ours override: what counts is that the result has ours.
configure() {
	local line missing=0
	{
		make -s tinyconfig &&
			scripts/kconfig/merge_config.sh -m .config "${fragments[@]}" &&
			make -s olddefconfig
	} >log 2>&1 || { tail -n 30 log >&2; die "no configuration: $PWD"; }
	while read -r line; do
		case $line in
		CONFIG_*) grep -qxF "$line" .config ;;
		'# CONFIG_'*' is not set') line=${line#\# } && ! grep -q "^${line%% *}=" .config ;;
		esac || { echo "debug-kernel: not in the configuration: $line" >&2; missing=1; }
	done < <(cat "${fragments[@]}" | tac | awk '{ name = $1 == "#" ? $2 : $1; sub(/=.*/, "", name) } !seen[name]++')
	[ $missing = 0 ] || exit 1
}

# Headers, scripts and symbols: what the distribution's linux-headers package has
build_tree() {
	{
		find . arch/x86 -maxdepth 1 -name 'Makefile*'
		find include scripts arch/x86/include Module.symvers -type f -o -type l
		find arch/x86 -name 'Kbuild.platforms' -o -name Platform -o -name '*.lds'
		[ ! -x tools/objtool/objtool ] || echo tools/objtool/objtool
		echo .config
	} | grep -v '\.o$' | sort -u | tar -cf - -T - | tar -xf - -C "$1"
}

build() {
	local work=$dir.work
	mkdir -p "$work"
	# A build that was interrupted goes on from where it was.
	if [ ! -e "$work/.unpacked" ]; then
		tar -xJf $archive -C "$work" --strip-components=1 \
			--exclude='*/arch/[a-wyz]*/*.[chS]' --exclude='*.dts*'
		touch "$work/.unpacked"
	fi
	cd "$work"
	configure
	make -s -j"$(nproc)" bzImage modules >log 2>&1 ||
		{ tail -n 30 log >&2; die "no success: $work"; }
	rm -rf "$dir.new"
	mkdir -p "$dir.new/build"
	cp arch/x86/boot/bzImage System.map "$dir.new/"
	cp .config "$dir.new/config"
	build_tree "$dir.new/build"
	cd "$top"
	mv -T "$dir.new" "$dir"
	rm -rf "$work"
}

# Kbuild leaves its objects beside the sources, and those there are the stock kernel's.
modules() {
	local out=$top/build/modules-$flavour
	mkdir -p "$out"
	exec 8>"$out.lock"
	flock 8
	(cd "$top" && find Kbuild net drivers uapi \( -name '*.[chS]' -o -name Kbuild -o -name Makefile \) \
		! -name '*.mod.c' -exec cp -p --update --parents -t "$out" {} +)
	make -s -C "$dir/build" M="$out" modules >"$out.log" 2>&1 || { cat "$out.log" >&2; die "modules: no success"; }
}

case $verb in
build)
	mkdir -p "$cache"
	exec 9>"$cache/.lock"
	flock 9
	[ -d "$dir" ] || build
	echo "$dir"
	;;
dir | modules)
	[ -d "$dir" ] || die "$dir is not built: run make $flavour-kernel"
	if [ "$verb" = dir ]; then echo "$dir"; else modules; fi
	;;
*) echo "usage: debug-kernel.sh build|dir|modules [FLAVOUR]" >&2; exit 2 ;;
esac
