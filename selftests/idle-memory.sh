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

slab=() all=()
for family in inet onload inet onload; do
	measure $family | read -r bytes pages || { ktap_fail "$sockets sockets of $family"; continue; }
	ktap_note "$family: $bytes bytes a socket in slabs, $pages in all"
	# Of two runs the smaller: noise only adds.
	i=0
	[ $family = inet ] || i=1
	[ -n "${slab[i]}" ] && [ "${slab[i]}" -lt "$bytes" ] || slab[i]=$bytes
	[ -n "${all[i]}" ] && [ "${all[i]}" -lt "$pages" ] || all[i]=$pages
done
ktap_number_is "bytes in slabs, above plain" $((slab[1] - slab[0])) -le $limit
ktap_number_is "bytes in all, above plain" $((all[1] - all[0])) -le $limit
ktap_end
