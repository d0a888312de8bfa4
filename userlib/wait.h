/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for records. Without the endpoint's lock, so that another thread
 * can send or receive meanwhile; the caller looks again afterwards.
 */
#ifndef OL_WAIT_H
#define OL_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/single_threaded.h>

#include "lease.h"

#define OL_FOREVER UINT64_MAX
/* The same, but a signal ends it even if SA_RESTART is set. */
#define OL_ENDLESS (UINT64_MAX / 2)

/* What is waited for, taken under the lock */
struct ol_wait {
	struct onload_slot *slot;
	uint64_t lease;
	uint32_t index;
	uint32_t seen; /* rx_prod, or the position in value */
	/* On a wire: a word of the other end, and what it was */
	const __u64 *at;
	uint64_t value;
	struct ol_luck *luck;
};

static inline struct ol_wait ol_wait_for(struct ol_ep *e, uint32_t seen)
{
	return (struct ol_wait){ .slot = e->slot,
				 .lease = e->lease,
				 .index = e->index,
				 .seen = seen,
				 .luck = &e->luck };
}

static inline struct ol_wait ol_wait_for_word(struct ol_ep *e, const __u64 *at,
					      uint64_t value)
{
	struct ol_wait w = ol_wait_for(e, ONLOAD_X_POS(value));

	w.at = at;
	w.value = value;
	return w;
}

extern bool ol_wait_self_cancelled;

static inline bool ol_wait_cancellable(void)
{
	return !__libc_single_threaded || ol_load(&ol_wait_self_cancelled);
}

/* Monotonic nanoseconds */
uint64_t ol_wait_clock(void);

extern uint64_t ol_wait_spin_ns; /* atomic; 0: nobody spins */

bool ol_wait_spin_for(const struct ol_wait *w, uint64_t ns, uint64_t until);

/*
 * True: something arrived, or the lease ended, while spinning; for no longer
 * than @until. That a signal was handled meanwhile goes unseen.
 */
static inline bool ol_wait_spin(const struct ol_wait *w, uint64_t until)
{
	uint64_t ns = ol_load(&ol_wait_spin_ns);

	return ns && ol_wait_spin_for(w, ns, until);
}

/*
 * The cancellation point that a call is even if it does not sleep. Nobody
 * cancels the only thread but itself, which preload.c notes.
 */
static inline void ol_wait_testcancel(void)
{
	if (ol_unlikely(ol_wait_cancellable()))
		pthread_testcancel();
}

/*
 * 0 look again, -ETIMEDOUT, -EINTR, -ESTALE. A cancellation point. A signal
 * whose handler has SA_RESTART is no end of a wait that has none, nor of one
 * with ONLOAD_WAIT_RESTART in @events.
 */
int ol_wait_sleep(const struct ol_wait *w, int fd, uint32_t events,
		  uint64_t until_ns);

void ol_wait_set_spin(unsigned int usec);
unsigned int ol_wait_get_spin(void);

#endif
