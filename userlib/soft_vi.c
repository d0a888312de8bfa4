// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>

#include "control.h"
#include "soft_vi.h"
#include "stats.h"

bool ol_kick(struct ol_ep *e, int fd, struct onload_seg *segs, int n)
{
	uint32_t generation = ONLOAD_W_GEN(e->lease);
	int done;

	for (int i = 0; i < n; i++) {
		segs[i].fd = ONLOAD_SEG_SELF;
		segs[i].slot = e->index;
		segs[i].generation = generation;
		segs[i].reserved = 0;
	}
	OL_COUNT(kicks, 1);
	done = ol_lease_tell(e, fd, ONLOAD_KICK, segs,
			     (size_t)n * sizeof(*segs));
	if (ol_likely(done == n)) {
		OL_COUNT(segments, (uint64_t)n);
		return true;
	}
	if (done == -ESTALE && !ol_lease_now(e))
		ol_lease_lost(e);
	else
		ol_lease_hand_back(e, fd, ONLOAD_R_LIMITED);
	return false;
}
