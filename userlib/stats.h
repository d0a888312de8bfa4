/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library counts (ONLOAD_STATS) and says (ONLOAD_VERBOSE). */
#ifndef OL_STATS_H
#define OL_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/onload.h>

#include "barrier.h"

#define OL_STATS(X)                                                           \
	X(sockets, "sockets opened or accepted")                              \
	X(leases, "leases granted")                                           \
	X(lost, "leases that the kernel took back")                           \
	X(busy, "calls left to the kernel because another thread was inside") \
	X(kicks, "kicks")                                                     \
	X(segments, "segments kicked")                                        \
	X(wires, "leases that were ends of wires")                            \
	X(wakes, "wake-ups of the other end of a wire")                       \
	X(waits, "waits in the kernel")                                       \
	X(spins, "waits that ended while spinning")                           \
	X(rx_user, "bytes received at user level")                            \
	X(tx_user, "bytes sent at user level")                                \
	X(rx_kernel, "bytes received by system calls")                        \
	X(tx_kernel, "bytes sent by system calls")

struct ol_stats {
#define X(name, text) uint64_t name;
	OL_STATS(X)
#undef X
	uint64_t refused[ONLOAD_R_MAX];
	uint64_t lost_by[ONLOAD_R_MAX];
	uint64_t handed_back[ONLOAD_R_MAX];
};

extern struct ol_stats ol_stats;
extern bool ol_stats_on;
extern bool ol_verbose;

#define OL_COUNT(what, n)                            \
	do {                                         \
		if (ol_unlikely(ol_stats_on))        \
			ol_add(&ol_stats.what, (n)); \
	} while (0)

void ol_stats_reset(void);
const char *ol_reason_text(uint32_t reason);
void ol_note_refused(int fd, uint32_t reason);
void ol_note(const char *text);

#endif
