#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
#	+------------------ this namespace -------------------+
#	|  idle-memory: 5000 clients --- lo --- 5000 accepted |
#	|       plain sockets, then those of the family       |
#	+-----------------------------------------------------+
#
# A socket that was never leased costs what a plain one does.

. "$(dirname "$0")/lib/net.sh"
need_root
need_module
ktap_start

sockets=$((10000 / ${T_SCALE:-1}))
limit=512

# Slabs in use: what the last run left in them must be gone first.
measure() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	say "$bin/idle-memory" "$1" $sockets >&2
	"$bin/idle-memory" "$1" $sockets
}

# Pages on the processors' own lists are in nobody's use, yet not counted as free: keep these short.
knob=vm.percpu_pagelist_high_fraction
fraction=$(sysctl -n $knob)
trap 'sysctl -q -w $knob=$fraction' EXIT
run sysctl -q -w $knob=1000000

# The middle one of three: what the rest of the system frees or takes meanwhile falls on either side.
middle() {
	printf '%s\n' "$@" | sort -n | sed -n 2p
}

# What the first run of each finds to be cleaned up, the machine's and its own, is nobody's.
measure inet >/dev/null
measure onload >/dev/null

inet_slab=() inet_all=() onload_slab=() onload_all=()
for family in inet onload inet onload inet onload; do
	measure $family | read -r bytes pages || { ktap_fail "$sockets sockets of $family"; continue; }
	ktap_note "$family: $bytes bytes a socket in slabs, $pages in all"
	declare -n slab=${family}_slab all=${family}_all
	slab+=("$bytes") all+=("$pages")
done
above() {
	local -n ours=onload_$1 plain=inet_$1
	echo $(($(middle "${ours[@]}") - $(middle "${plain[@]}")))
}
ktap_number_is "bytes in slabs, above plain" "$(above slab)" -le $limit
ktap_number_is "bytes in all, above plain" "$(above all)" -le $limit
ktap_end
