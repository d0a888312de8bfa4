/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process's context, its slots, and the lease of one endpoint. All but
 * ol_lease_due(), ol_lease_now() and ol_lease_reason() need the endpoint's lock.
 */
#ifndef OL_LEASE_H
#define OL_LEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "fd.h"
#include "tcp.h"

/*
 * A transaction: the next state is computed in the slot's other half, so that
 * a reclaim at any instruction finds the current one whole.
 */
struct ol_txn {
	uint64_t word;
	uint32_t prod;
	const struct onload_tcp_state *cur;
	struct onload_tcp_state *st;
};

/* Worth a system call? Cheap, and without the lock: an unlucky race asks
 * once more or once less.
 */
bool ol_lease_due(struct ol_ep *e);

/* Has one begun, perhaps without our asking? Without the lock. */
bool ol_lease_begun(struct ol_ep *e);

/* @flags: ONLOAD_L_AFTER, or 0 */
bool ol_lease_take(struct ol_ep *e, int fd, uint32_t flags);

/*
 * After a system call that left Linux's queue empty: the moment to ask again,
 * if that was what stood against it, as under load there may be no other.
 */
void ol_lease_drained(ol_handle h, int fd);

/* Brings nonblock, rcv_ns and snd_ns up to date */
void ol_lease_modes(struct ol_ep *e, int fd);

void ol_lease_lost(struct ol_ep *e);
/*
 * To the kernel, about the lease; as ol_control_set(). If the number names
 * something else by now, by another descriptor of the socket.
 */
int ol_lease_tell(struct ol_ep *e, int fd, int opt, const void *val,
		  size_t len);
/* The lease goes on if nobody could be told. */
void ol_lease_hand_back(struct ol_ep *e, int fd, enum onload_reason why);
/* Without the lock: whoever has it finds the lease gone. */
void ol_lease_abandon(struct ol_ep *e, int fd);

/* The same by handle, before a call whose effect a lease would hide */
void ol_lease_end(ol_handle h, int fd);

void ol_lease_detach(struct ol_ep *e, int fd);
void ol_lease_release(struct ol_ep *e);
void ol_lease_reset(void);
void ol_lease_blank(void);

/* For the public interface, without the lock: stale when they return. */
bool ol_lease_now(struct ol_ep *e);
uint32_t ol_lease_reason(struct ol_ep *e);

/*
 * Is the lease gone because another is about to begin, or has begun? Then ask
 * for that before anything else.
 */
static inline bool ol_lease_moving(const struct onload_slot *slot)
{
	uint32_t reason = ol_load(&slot->reason);

	return reason == ONLOAD_R_WIRE || reason == ONLOAD_R_PEER ||
	       ol_load(&slot->word) & ONLOAD_W_USER;
}

static inline struct ol_rings ol_lease_rings(const struct ol_ep *e)
{
	return (struct ol_rings){ .rx = e->rx, .tx = e->tx };
}

static inline struct ol_clock ol_clock(const struct ol_ep *e)
{
	struct timespec ts;
	uint32_t ns;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ns = (uint32_t)ts.tv_nsec;
	/* Modulo 2^32, as everything that is compared with them */
	return (struct ol_clock){
		.us = (uint32_t)ts.tv_sec * 1000000u + ns / 1000u,
		.ms = (uint32_t)ts.tv_sec * 1000u + ns / 1000000u +
		      (uint32_t)e->c.mono_off_ms,
	};
}

/* False: the lease is gone. Look at t->cur, then call ol_txn_open() to change. */
static inline bool ol_txn_begin(struct ol_ep *e, struct ol_txn *t)
{
	t->word = ol_load_acquire(&e->slot->word);
	if (ol_unlikely((t->word & ~(uint64_t)ONLOAD_W_SEQ) != e->lease)) {
		ol_lease_lost(e);
		return false;
	}
	t->prod = ol_load_acquire(&e->slot->rx_prod);
	t->cur = &e->slot->state[t->word & 1];
	t->st = &e->slot->state[~t->word & 1];
	return true;
}

static inline void ol_txn_open(struct ol_txn *t)
{
	*t->st = *t->cur;
}

/* False: none of it happened. */
static inline bool ol_txn_commit(struct ol_ep *e, struct ol_txn *t)
{
	__u64 word = t->word;

	if (ol_likely(ol_cas(&e->slot->word, &word, ONLOAD_W_NEXT(t->word))))
		return true;
	ol_lease_lost(e);
	return false;
}

#endif
