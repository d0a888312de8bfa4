#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# kernel.sh build|image: where the kernel that we build for keeps its build tree, or its boot image.
# The running kernel if it can build modules, else the newest installed one that can (a container or a
# build machine often runs a kernel without headers; the guests then run the one found here).

set -eu

version=$(uname -r)
if [ ! -e "/lib/modules/$version/build/Makefile" ]; then
	version=$(for d in /lib/modules/*/build/Makefile; do
		[ ! -e "$d" ] || basename "${d%/build/Makefile}"
	done | sort -V | tail -n 1)
	[ -n "$version" ] || { echo "no kernel headers are installed: run make deps" >&2; exit 1; }
fi

case ${1-} in
build) echo "/lib/modules/$version/build" ;;
image)
	[ -r "/boot/vmlinuz-$version" ] || { echo "/boot/vmlinuz-$version is missing: run make deps" >&2; exit 1; }
	echo "/boot/vmlinuz-$version" ;;
*) echo "usage: kernel.sh build|image" >&2; exit 2 ;;
esac
