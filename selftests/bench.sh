#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Instructions of a round trip, plain against leased, in a guest whose clock counts them. Arguments
# go to onload-bench, behind ours: "bench.sh -s 64,1024 -j".

set -eu

top=$(cd "$(dirname "$0")/.." && pwd -P)

[ $# -gt 0 ] ||
	echo "64-byte ping-pong of two processes, over a veth pair and over loopback, one processor:"
exec "$top/selftests/vm/run" --icount --smp 1 --timeout 900 -- \
	onload-bench rtt --icount --veth --lo --both -s 64 -n 20000 -t 400 "$@"
