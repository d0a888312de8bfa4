#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Instructions, in a guest whose clock counts them: of a round trip, plain against leased; of one over
# sockets that are never leased; of an idle lease and its end. Arguments go to the first of them,
# behind ours: "bench.sh -s 64,1024".

set -eu

top=$(cd "$(dirname "$0")/.." && pwd -P)

measure() {
	onload-bench "$@" || failed=1
	echo
}

if [ "${1-}" = --inside ]; then
	shift
	failed=0
	[ $# -gt 0 ] || echo "64-byte ping-pong of two processes, over a veth pair and over loopback, one processor:"
	measure rtt --icount --veth --lo --both -s 64 -n 20000 -t 400 "$@"
	[ $# = 0 ] || exit $failed
	echo "The same without the library, so without leases:"
	measure rtt --icount --veth --unleased -s 64 -n 20000 -t 400
	echo "A lease of an idle connection, and its end:"
	measure lease --icount --veth -n 20000 -t 400
	exit $failed
fi
exec "$top/selftests/vm/run" --icount --smp 1 --timeout 1500 -- "$top/selftests/bench.sh" --inside "$@"
