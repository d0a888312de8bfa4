/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sending and receiving over a wire: two byte rings between two processes,
 * one written by each. All but ol_wire_on() need the endpoint's lock, and an
 * endpoint on a wire.
 */
#ifndef OL_WIRE_H
#define OL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "fd.h"

#define OL_WIRE_LOST (-1) /* the lease is gone, or will be: ask Linux */

/* A hint, without the lock */
static inline bool ol_wire_on(ol_handle h)
{
	return ol_load(&ol_ep_of(h)->wire) != 0;
}

static inline uint8_t *ol_wire_ring(const struct onload_wire_head *head)
{
	return (uint8_t *)head + ONLOAD_WIRE_HEAD;
}

/*
 * Bytes copied in or out: 0 if there is no room or nothing to read, or
 * OL_WIRE_LOST. What was copied is published; the other end is woken if it
 * asked for that. @skip bytes of @iov are done already; at most @len move.
 */
ssize_t ol_wire_send(struct ol_ep *e, int fd, const struct iovec *iov,
		     size_t iovlen, size_t skip, size_t len);
ssize_t ol_wire_recv(struct ol_ep *e, int fd, const struct iovec *iov,
		     size_t iovlen, size_t skip, size_t len);

/* Is the ring to change its size when it is empty? */
static inline bool ol_wire_growing(const struct ol_ep *e)
{
	return e->wgrown > ONLOAD_X_SHIFT(e->wtx);
}

/* The ring was found full: have it made longer, if it may be. */
void ol_wire_full(struct ol_ep *e, int fd);

/*
 * Before EAGAIN, when somebody polls: have him woken. False: look again, it
 * is there by now.
 */
bool ol_wire_arm_recv(struct ol_ep *e);
bool ol_wire_arm_send(struct ol_ep *e);

/* The lease has begun */
void ol_wire_begin(struct ol_ep *e, struct onload_wire_head *own,
		   const struct onload_wire_head *peer);

/* Parts of the above that wire_parts.h and wire_short.h leave to wire.c */
uint32_t ol_wire_room(struct ol_ep *e, uint32_t pos, size_t want);
void ol_wire_wake(struct ol_ep *e, int fd);
void ol_wire_freed(struct ol_ep *e, int fd, uint64_t tx, uint32_t pos,
		   uint32_t bits);
ssize_t ol_wire_recv_rest(struct ol_ep *e, int fd, uint8_t *buf, size_t len);

/* So seldom is tx_total brought up to date: every 1 << 30 bytes */
#define OL_WIRE_TOTAL_SHIFT 30
void ol_wire_total(struct onload_wire_head *own, uint32_t pos);

#endif
