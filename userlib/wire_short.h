/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The short way over a wire: one buffer, and bytes or room are there. What is
 * not like that has changed nothing here, and wire.c with recv.c or send.c does
 * it at length. In line, because what a message costs is mostly registers that
 * are saved for calls.
 */
#ifndef OL_WIRE_SHORT_H
#define OL_WIRE_SHORT_H

#include <errno.h>

#include "io.h"
#include "short.h"
#include "wait.h"
#include "wire_parts.h"

/*
 * Nothing to read, without the lock: who polls must learn that quickly. The
 * pointers stay valid whatever happens, so at worst this reads a page that is
 * another socket's by now; what was read counts only if the endpoint still
 * has its wire and is still the socket's that was meant, asked in this order.
 * Not if somebody is to be woken by the next byte: the bit must be up.
 */
static inline bool ol_wire_idle(struct ol_ep *e, ol_handle h)
{
	const struct onload_wire_head *own;
	uint64_t wire, tx, rx;
	bool idle;

	ol_look_begin();
	wire = ol_load_acquire(&e->wire);
	own = ol_load(&e->own);
	tx = ol_load_acquire(&ol_load(&e->peer)->tx);
	rx = ol_load_acquire(&own->rx);
	idle = wire && !(((tx ^ wire) | (rx ^ wire)) >> 39) &&
	       ONLOAD_X_POS(tx) == ONLOAD_X_POS(rx) && !ol_load(&own->polled) &&
	       ol_load_acquire(&e->lk) >> 32 == h >> 32;
	ol_look_end();
	return idle;
}

/* What the caller is to return, or OL_LONG. @flags: as for the call. */
static __always_inline ssize_t ol_wire_short_recv(int fd, ol_handle h,
						  void *buf, size_t len,
						  int flags)
{
	struct ol_ep *e = ol_ep_of(h);
	ssize_t ret = OL_LONG;
	uint64_t word, tx;
	uint32_t n;

	if (ol_unlikely(flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL) ||
			(uintptr_t)buf < OL_PAGE_ZERO || !len))
		return OL_LONG;
	ol_wait_testcancel();
	if (flags & MSG_DONTWAIT && ol_wire_idle(e, h)) {
		errno = EAGAIN;
		return -1;
	}
	if (ol_unlikely(!ol_ep_try(e, h)))
		return OL_LONG;
	if (ol_likely(e->wire != 0)) {
		word = ol_load(&e->own->rx);
		tx = ol_load_acquire(&e->peer->tx);
		n = ol_wire_unread(e, tx, ONLOAD_X_POS(word));
		/* Neither 0 nor nonsense */
		if (ol_likely((int32_t)n > 0) && ol_wire_same(e, word)) {
			if (n > len)
				n = (uint32_t)len;
			ol_ring_get(ol_wire_ring(e->peer),
				    (1u << ONLOAD_X_SHIFT(tx)) - 1,
				    ONLOAD_X_POS(word), buf, n);
			if (ol_wire_received(e, fd, word, tx, n))
				ret = (ssize_t)n;
			if (ret < (ssize_t)len &&
			    ol_unlikely(ret >= 0 && !ol_wire_arm_recv(e)))
				ret += ol_wire_recv_rest(e, fd,
							 (uint8_t *)buf + ret,
							 len - (size_t)ret);
		}
	}
	ol_ep_unlock(e);
	return ret;
}

static __always_inline ssize_t ol_wire_short_send(int fd, ol_handle h,
						  const void *buf, size_t len,
						  int flags)
{
	struct ol_ep *e = ol_ep_of(h);
	ssize_t ret = OL_LONG;
	uint64_t word;

	if (ol_unlikely(flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL) ||
			(uintptr_t)buf < OL_PAGE_ZERO || !len ||
			len > OL_WIRE_PIECE))
		return OL_LONG;
	ol_wait_testcancel();
	if (ol_unlikely(!ol_ep_try(e, h)))
		return OL_LONG;
	if (ol_likely(e->wire != 0)) {
		word = ol_load(&e->own->tx);
		ol_line_mine(&e->own->tx);
		if (ol_wire_same(e, word) &&
		    (ol_likely(ol_wire_known(e, ONLOAD_X_POS(word)) >= len) ||
		     ol_wire_room(e, ONLOAD_X_POS(word), len) == len)) {
			ol_ring_put(ol_wire_ring(e->own), e->wmask,
				    ONLOAD_X_POS(word), buf, (uint32_t)len);
			if (ol_likely(ol_wire_move(e, word, (uint32_t)len))) {
				if (e->wturn)
					ol_wire_hint(e, ONLOAD_X_POS(word),
						     (uint32_t)len);
				ol_wire_tell(e, fd, (uint32_t)len);
				ret = (ssize_t)len;
			}
		}
	}
	ol_ep_unlock(e);
	return ret;
}

#endif
