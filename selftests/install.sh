#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	make install ---> /usr/local, /lib/modules ---> socket(AF_ONLOAD) loads the module by itself,
#	                                                "onload" finds its library
#
# What README tells a user to type. Changes the system that it runs on: for guests only.

. "$(dirname "$0")/lib/net.sh"
need_root
ktap_start
top=$(realpath "$selftests/..")
[ -r "$top/net/af_onload.ko" ] || ktap_skip_all "not beside the module's source"
[ "$(modinfo -F vermagic "$top/net/af_onload.ko" | cut -d' ' -f1)" = "$(uname -r)" ] ||
	ktap_skip_all "the module was built for another kernel than this"
[ -n "${VM_KERNEL-}" ] || ktap_skip_all "not a throw-away guest"

installed=$bin/installed
[ -x "$installed/linked" ] || ktap_skip_all "not installed to $installed"

quiet() { "$@" >/dev/null; }
unpack() { tar -C "$installed/root" --exclude=./lib/modules -c . | tar -C / -x --keep-directory-symlink; }

ktap_check "make install" unpack

if [ -d /sys/module/af_onload ]; then run rmmod af_onload; fi
# depmod of a whole distribution takes minutes here; an index of the one module was made where it was installed.
modprobe=$(sysctl -n kernel.modprobe) helper=$(mktemp -p /run)
printf '#!/bin/sh\nexec %q -d %q "$@"\n' "$modprobe" "$installed/root" >"$helper"
chmod 755 "$helper"
trap 'sysctl -q -w kernel.modprobe="$modprobe"; rm -f "$helper"' EXIT
run sysctl -q -w kernel.modprobe="$helper"
ktap_check "the first socket loads the module" \
	python3 -c 'import socket; socket.socket(18, socket.SOCK_STREAM)'
ktap_check "the installed module is the one that was built" \
	cmp "$(modinfo -b "$installed/root" -F filename af_onload)" "$top/net/af_onload.ko"
ktap_check "the installed library leases" \
	run env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin onload-bench rtt --lo --leased -n 2000 -r 1
for page in onload.1 onload-show.1 onload-bench.1 af_onload.7; do
	ktap_check "man page $page" quiet man -w "${page%.*}"
done
version=$(onload --version)
ktap_check "a program is linked with libonload" run env LD_LIBRARY_PATH=/usr/local/lib "$installed/linked" "${version##* }"
ktap_end
