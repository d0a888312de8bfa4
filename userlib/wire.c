// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The order of things, which is all there is to it (C11 7.17.3):
 *
 * - Bytes before their position: the sender's compare-and-exchange of its tx
 *   releases them, the receiver's load of it acquires.
 * - Bytes are read before their place is given back: the receiver's
 *   compare-and-exchange of its rx releases, the sender's load acquires.
 * - Whoever moves a position then looks whether the other end sleeps; whoever
 *   is about to sleep says so and then looks at the position. For one of the
 *   two to see the other, store and load must not change places: both are
 *   sequentially consistent, as is the kernel's side (wire_wait.c).
 * - The kernel ends the lease by taking ONLOAD_X_USER out of the very words
 *   that we exchange: a commit fails, or the kernel saw it.
 *
 * The other end may be hostile: what it says is clamped, and can only make
 * us read bytes of its own area.
 */
#include <errno.h>
#include <string.h>

#include "control.h"
#include "cursor.h"
#include "io.h"
#include "lease.h"
#include "stats.h"
#include "wait.h"
#include "wire.h"

/* What does not change in a position word during a lease */
#define SAME (~0ull << 39)

static uint32_t min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool publish(__u64 *word, __u64 old, __u64 new)
{
	return __atomic_compare_exchange_n(word, &old, new, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static ssize_t lost(struct ol_ep *e)
{
	ol_lease_lost(e);
	return OL_WIRE_LOST;
}

static ssize_t nonsense(struct ol_ep *e, int fd)
{
	ol_lease_hand_back(e, fd, ONLOAD_R_LIBRARY);
	return OL_WIRE_LOST;
}

static void wake(struct ol_ep *e, int fd)
{
	uint32_t generation = ONLOAD_W_GEN(e->lease);

	OL_COUNT(wakes, 1);
	/* If that fails the lease has ended, and all have been woken. */
	ol_control_set(fd, ONLOAD_WAKE, &generation, sizeof(generation));
}

static void ring_put(uint8_t *ring, uint32_t size, uint32_t pos,
		     const uint8_t *from, uint32_t len)
{
	uint32_t at = pos & (size - 1);
	uint32_t first = min32(len, size - at);

	memcpy(ring + at, from, first);
	if (ol_unlikely(first < len))
		memcpy(ring, from + first, len - first);
}

static void ring_get(const uint8_t *ring, uint32_t size, uint32_t pos,
		     uint8_t *to, uint32_t len)
{
	uint32_t at = pos & (size - 1);
	uint32_t first = min32(len, size - at);

	memcpy(to, ring + at, first);
	if (ol_unlikely(first < len))
		memcpy(to + first, ring, len - first);
}

static uint32_t capacity(uint32_t shift, uint32_t limit)
{
	return min32(1u << shift, limit);
}

/*
 * Room for @want bytes, or as many as there are. Looks at the other end's
 * word only if what it said last is not enough: it lies in another cache.
 */
static uint32_t room(struct ol_ep *e, uint32_t pos, size_t want)
{
	uint32_t cap = capacity(e->wshift, e->c.wire_limit);
	uint32_t used = pos - e->wacked;

	if (ol_likely(cap - used >= want))
		return (uint32_t)want;
	e->wacked = ONLOAD_X_POS(ol_load_acquire(&e->peer->rx));
	used = pos - e->wacked;
	if (used > cap)
		return UINT32_MAX;
	/* Only an empty ring may change its size. */
	if (ol_unlikely(e->wgrown > e->wshift) && !used) {
		e->wshift = e->wgrown;
		cap = capacity(e->wshift, e->c.wire_limit);
	}
	return want < cap - used ? (uint32_t)want : cap - used;
}

static inline bool send_publish(struct ol_ep *e, int fd, uint64_t word,
				uint32_t n)
{
	struct onload_wire_head *own = e->own;
	uint64_t next = e->wire | (uint64_t)e->wshift << 32 |
			(uint32_t)(ONLOAD_X_POS(word) + n);

	/* For display: if the exchange fails the kernel corrects it. */
	ol_store(&own->tx_total, ol_load(&own->tx_total) + n);
	if (ol_unlikely(!publish(&own->tx, word, next)))
		return false;
	OL_COUNT(tx_user, n);
	if (ol_unlikely(__atomic_load_n(&e->peer->wake, __ATOMIC_SEQ_CST) &
			ONLOAD_WAKE_RX))
		wake(e, fd);
	return true;
}

ssize_t ol_wire_send(struct ol_ep *e, int fd, const struct iovec *iov,
		     size_t iovlen, size_t skip, size_t len)
{
	uint64_t word = ol_load(&e->own->tx);
	uint32_t pos = ONLOAD_X_POS(word);
	struct ol_cursor c = { .iov = iov, .n = iovlen, .off = skip };
	uint32_t n;

	if ((word & SAME) != e->wire)
		return lost(e);
	n = room(e, pos, len);
	if (ol_unlikely(n == UINT32_MAX))
		return nonsense(e, fd);
	if (!n)
		return 0;
	for (uint32_t done = 0, k; done < n; done += k) {
		uint8_t *from;

		k = (uint32_t)ol_cursor_next(&c, n - done, &from);
		if (!k) {
			n = done;
			break;
		}
		ring_put(ol_wire_ring(e->own), 1u << e->wshift, pos + done,
			 from, k);
	}
	return send_publish(e, fd, word, n) ? (ssize_t)n : lost(e);
}

/* Bytes to read, or UINT32_MAX if the other end's word is nonsense */
static inline uint32_t unread(const struct ol_ep *e, uint64_t tx, uint32_t pos)
{
	uint32_t shift = ONLOAD_X_SHIFT(tx);
	uint32_t n = ONLOAD_X_POS(tx) - pos;

	if (ol_unlikely(shift > e->c.wire_max_shift || n > 1u << shift))
		return UINT32_MAX;
	return n;
}

static inline bool recv_publish(struct ol_ep *e, int fd, uint64_t word,
				uint64_t tx, uint32_t n)
{
	uint32_t pos = ONLOAD_X_POS(word) + n;
	uint32_t left = ONLOAD_X_POS(tx) - pos;
	uint32_t cap, bits;

	if (ol_unlikely(!publish(&e->own->rx, word, e->wire | pos)))
		return false;
	OL_COUNT(rx_user, n);
	bits = __atomic_load_n(&e->peer->wake, __ATOMIC_SEQ_CST);
	if (ol_likely(!(bits & (ONLOAD_WAKE_TX | ONLOAD_WAKE_EMPTY))))
		return true;
	cap = capacity(ONLOAD_X_SHIFT(tx), e->c.wire_peer_limit);
	if (!left ||
	    (bits & ONLOAD_WAKE_TX && left <= cap && cap - left >= cap / 3))
		wake(e, fd);
	return true;
}

ssize_t ol_wire_recv(struct ol_ep *e, int fd, const struct iovec *iov,
		     size_t iovlen, size_t skip, size_t len)
{
	uint64_t word = ol_load(&e->own->rx);
	uint64_t tx = ol_load_acquire(&e->peer->tx);
	uint32_t pos = ONLOAD_X_POS(word);
	uint32_t n = unread(e, tx, pos);
	struct ol_cursor c = { .iov = iov, .n = iovlen, .off = skip };

	if ((word & SAME) != e->wire)
		return lost(e);
	if (ol_unlikely(n == UINT32_MAX))
		return nonsense(e, fd);
	if (!n) {
		/* Has the other end left? Linux knows what comes next. */
		return (tx & SAME) == e->wire ? 0 : OL_WIRE_LOST;
	}
	if (n > len)
		n = (uint32_t)len;
	for (uint32_t done = 0, k; done < n; done += k) {
		uint8_t *to;

		k = (uint32_t)ol_cursor_next(&c, n - done, &to);
		if (!k) {
			n = done;
			break;
		}
		ring_get(ol_wire_ring(e->peer), 1u << ONLOAD_X_SHIFT(tx),
			 pos + done, to, k);
	}
	return recv_publish(e, fd, word, tx, n) ? (ssize_t)n : lost(e);
}

void ol_wire_full(struct ol_ep *e, int fd)
{
	uint32_t generation = ONLOAD_W_GEN(e->lease);
	int shift;

	if (e->wfixed || e->wgrown > e->wshift)
		return;
	shift = ol_control_set(fd, ONLOAD_GROW, &generation,
			       sizeof(generation));
	if (shift > 0)
		e->wgrown = (uint32_t)shift;
	else
		e->wfixed = true;
}

static void raise_wake(struct ol_ep *e, uint32_t bit)
{
	__atomic_fetch_or(&e->own->wake, bit, __ATOMIC_SEQ_CST);
}

bool ol_wire_arm_recv(struct ol_ep *e)
{
	if (ol_likely(!ol_load(&e->own->polled)))
		return true;
	raise_wake(e, ONLOAD_WAKE_RX);
	return ONLOAD_X_POS(__atomic_load_n(&e->peer->tx, __ATOMIC_SEQ_CST)) ==
	       ONLOAD_X_POS(ol_load(&e->own->rx));
}

bool ol_wire_arm_send(struct ol_ep *e)
{
	uint32_t cap = capacity(e->wshift, e->c.wire_limit);
	uint32_t used;

	if (ol_likely(!ol_load(&e->own->polled)))
		return true;
	raise_wake(e, ONLOAD_WAKE_TX);
	used = ONLOAD_X_POS(ol_load(&e->own->tx)) -
	       ONLOAD_X_POS(__atomic_load_n(&e->peer->rx, __ATOMIC_SEQ_CST));
	return used <= cap && cap - used < cap / 3;
}

void ol_wire_begin(struct ol_ep *e, struct onload_wire_head *own,
		   const struct onload_wire_head *peer)
{
	e->own = own;
	e->peer = peer;
	e->wacked = 0;
	e->wshift = e->c.wire_shift;
	e->wgrown = e->c.wire_shift;
	e->wfixed = false;
	ol_store_release(&e->wire, ONLOAD_X_MAKE(e->c.wire_gen, 0, 0));
}

/*
 * Who was given less than he asked for may wait for an event next, and there
 * is none for what has arrived meanwhile: take that too.
 */
static ssize_t recv_rest(struct ol_ep *e, int fd, uint8_t *buf, size_t len)
{
	size_t done = 0;

	do {
		struct iovec iov = { buf + done, len - done };
		ssize_t n = ol_wire_recv(e, fd, &iov, 1, 0, len - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	} while (done < len && !ol_wire_arm_recv(e));
	return (ssize_t)done;
}

/* recv() and send() are cancellation points. */
static inline bool enter(struct ol_ep *e, ol_handle h)
{
	ol_wait_testcancel();
	if (ol_unlikely(!ol_ep_enter(e, h)))
		return false;
	if (ol_likely(e->wire != 0))
		return true;
	ol_ep_unlock(e);
	return false;
}

bool ol_wire_try_recv(int fd, ol_handle h, void *buf, size_t len, bool now,
		      ssize_t *ret)
{
	struct ol_ep *e = ol_ep_of(h);
	bool ok = false;
	uint64_t word, tx;
	uint32_t n;

	if (ol_unlikely(!len || (uintptr_t)buf < OL_PAGE_ZERO) || !enter(e, h))
		return false;
	word = ol_load(&e->own->rx);
	tx = ol_load_acquire(&e->peer->tx);
	n = unread(e, tx, ONLOAD_X_POS(word));
	if (n && n != UINT32_MAX && (word & SAME) == e->wire) {
		if (n > len)
			n = (uint32_t)len;
		ring_get(ol_wire_ring(e->peer), 1u << ONLOAD_X_SHIFT(tx),
			 ONLOAD_X_POS(word), buf, n);
		*ret = (ssize_t)n;
		ok = recv_publish(e, fd, word, tx, n);
		if (ok && n < len && ol_unlikely(!ol_wire_arm_recv(e)))
			*ret += recv_rest(e, fd, (uint8_t *)buf + n, len - n);
	} else if (!n && now && (word & tx & SAME) == e->wire &&
		   ol_wire_arm_recv(e)) {
		/* Who polls must learn quickly that there is nothing. */
		*ret = -1;
		ok = true;
	}
	ol_ep_unlock(e);
	if (ok && *ret < 0)
		errno = EAGAIN;
	return ok;
}

bool ol_wire_try_send(int fd, ol_handle h, const void *buf, size_t len)
{
	struct ol_ep *e = ol_ep_of(h);
	bool ok = false;
	uint64_t word;
	uint32_t n;

	if (ol_unlikely(!len || (uintptr_t)buf < OL_PAGE_ZERO) || !enter(e, h))
		return false;
	word = ol_load(&e->own->tx);
	if ((word & SAME) == e->wire) {
		n = room(e, ONLOAD_X_POS(word), len);
		if (n == len) {
			ring_put(ol_wire_ring(e->own), 1u << e->wshift,
				 ONLOAD_X_POS(word), buf, n);
			ok = send_publish(e, fd, word, n);
		}
	}
	ol_ep_unlock(e);
	return ok;
}
