#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Install what building and testing need and this Debian machine lacks. Quick and silent when nothing is.

set -eu

build='build-essential linux-headers-amd64 kmod bc libelf-dev pkg-config'
guest='linux-image-amd64 qemu-system-x86 busybox-static cpio xz-utils zstd'
peers='redis-server redis-tools nginx-light memcached python3'
tests='iproute2 nftables procps strace perl libcmocka-dev libmnl-dev clang libclang-rt-14-dev spin man-db'
debug='linux-source-6.1 flex bison lz4'
style='sparse cppcheck clang-format'

missing() {
	for package in $build $guest $peers $tests $debug $style; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
	done
}

packages=$(missing | tr '\n' ' ')
[ -n "$packages" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "deps: not root; please install: $packages" >&2
	exit 1
fi
echo "deps: installing $packages"

# Two runs at a time would take away each other's guard below.
exec 9<"$0"
flock 9

# The servers are wanted as programs for the tests: they must not start here because they were unpacked. A guard
# that is already there belongs to the machine and stays.
guard=/usr/sbin/policy-rc.d
if [ -e $guard ]; then
	guard=
else
	printf '#!/bin/sh\nexit 101\n' >$guard
	chmod 755 $guard
fi
log=$(mktemp)
trap 'rm -f $guard "$log"' EXIT
trap 'exit 1' INT TERM HUP

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@" >"$log" 2>&1 || {
		cat "$log" >&2
		echo "deps: apt-get $1 failed" >&2
		exit 1
	}
}
apt update
apt install --yes --no-install-recommends $packages
