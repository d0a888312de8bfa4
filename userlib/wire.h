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

/*
 * All of a call in one step: @buf was filled as far as there were bytes, or
 * sent whole; or, if @now, there are none and nobody is to wait for them.
 * False: nothing has happened.
 */
bool ol_wire_try_recv(int fd, ol_handle h, void *buf, size_t len, bool now,
		      ssize_t *ret);
bool ol_wire_try_send(int fd, ol_handle h, const void *buf, size_t len);

#endif
