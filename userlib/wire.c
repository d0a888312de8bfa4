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
#include "cursor.h"
#include "io.h"
#include "lease.h"
#include "stats.h"
#include "wait.h"
#include "wire_parts.h"

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

void ol_wire_wake(struct ol_ep *e, int fd)
{
	uint32_t generation = ONLOAD_W_GEN(e->lease);

	OL_COUNT(wakes, 1);
	/* If that fails the lease has ended, and all have been woken. */
	ol_lease_tell(e, fd, ONLOAD_WAKE, &generation, sizeof(generation));
}

static uint32_t capacity(uint32_t shift, uint32_t limit)
{
	return 1u << shift < limit ? 1u << shift : limit;
}

static void resize(struct ol_ep *e, uint32_t shift)
{
	e->wtx = e->wire | (uint64_t)shift << 32;
	e->wmask = (1u << shift) - 1;
	e->wcap = capacity(shift, e->c.wire_limit);
}

/*
 * Room for @want bytes, or as many as there are. Looks at the other end's
 * word only if what it said last is not enough: it lies in another cache.
 */
uint32_t ol_wire_room(struct ol_ep *e, uint32_t pos, size_t want)
{
	uint32_t acked, used;

	if (ol_wire_known(e, pos) >= want)
		return (uint32_t)want;
	acked = ONLOAD_X_POS(ol_load_acquire(&e->peer->rx));
	used = pos - acked;
	if (used > e->wcap)
		return UINT32_MAX;
	e->wacked = acked;
	/* Only an empty ring may change its size. */
	if (ol_unlikely(ol_wire_growing(e)) && !used)
		resize(e, e->wgrown);
	return want < e->wcap - used ? (uint32_t)want : e->wcap - used;
}

/* If the exchange that follows fails the kernel corrects it. */
void ol_wire_total(struct onload_wire_head *own, uint32_t pos)
{
	uint64_t total = ol_load(&own->tx_total);

	ol_store(&own->tx_total, total + (uint32_t)(pos - (uint32_t)total));
}

/*
 * A long message is published piece by piece, so that the reader can copy
 * what is there while the rest is being copied; but who sleeps is woken once.
 */
ssize_t ol_wire_send(struct ol_ep *e, int fd, const struct iovec *iov,
		     size_t iovlen, size_t skip, size_t len)
{
	uint64_t word = ol_load(&e->own->tx);
	uint32_t pos = ONLOAD_X_POS(word);
	struct ol_cursor c = { .iov = iov, .n = iovlen, .off = skip };
	uint32_t n, k, told = 0;
	uint8_t *from;

	if (!ol_wire_same(e, word))
		return lost(e);
	/* So that the next can be written while this one is read */
	if (len > e->wcap / 2)
		ol_wire_full(e, fd);
	n = ol_wire_room(e, pos, len);
	if (ol_unlikely(n == UINT32_MAX))
		return nonsense(e, fd);
	while (told < n) {
		uint32_t end = n - told < OL_WIRE_PIECE ? n
							: told + OL_WIRE_PIECE;
		uint32_t done = told;

		while (done < end) {
			k = (uint32_t)ol_cursor_next(&c, end - done, &from);
			if (!k)
				break;
			ol_ring_put(ol_wire_ring(e->own), e->wmask, pos + done,
				    from, k);
			done += k;
		}
		if (done == told)
			break;
		if (!ol_wire_move(e, word, done - told)) {
			if (told)
				break;
			return lost(e);
		}
		word = e->wtx | (uint32_t)(pos + done);
		told = done;
	}
	if (e->wturn)
		ol_wire_hint(e, pos, told);
	if (told)
		ol_wire_tell(e, fd, told);
	return (ssize_t)told;
}

/* There is place again: has anybody asked for so much? */
void ol_wire_freed(struct ol_ep *e, int fd, uint64_t tx, uint32_t pos,
		   uint32_t bits)
{
	uint32_t cap = capacity(ONLOAD_X_SHIFT(tx), e->c.wire_peer_limit);
	uint32_t left = ONLOAD_X_POS(tx) - pos;

	if (!left ||
	    (bits & ONLOAD_WAKE_TX && left <= cap && cap - left >= cap / 3))
		ol_wire_wake(e, fd);
}

ssize_t ol_wire_recv(struct ol_ep *e, int fd, const struct iovec *iov,
		     size_t iovlen, size_t skip, size_t len)
{
	uint64_t word = ol_load(&e->own->rx);
	uint64_t tx = ol_load_acquire(&e->peer->tx);
	uint32_t pos = ONLOAD_X_POS(word);
	uint32_t n = ol_wire_unread(e, tx, pos);
	struct ol_cursor c = { .iov = iov, .n = iovlen, .off = skip };

	if (!ol_wire_same(e, word))
		return lost(e);
	if (ol_unlikely(n == UINT32_MAX))
		return nonsense(e, fd);
	if (!n) {
		/* Has the other end left? Linux knows what comes next. */
		return ol_wire_same(e, tx) ? 0 : OL_WIRE_LOST;
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
		ol_ring_get(ol_wire_ring(e->peer),
			    (1u << ONLOAD_X_SHIFT(tx)) - 1, pos + done, to, k);
	}
	return ol_wire_received(e, fd, word, tx, n) ? (ssize_t)n : lost(e);
}

void ol_wire_full(struct ol_ep *e, int fd)
{
	uint32_t generation = ONLOAD_W_GEN(e->lease);
	int shift;

	if (e->wfixed || ol_wire_growing(e))
		return;
	shift = ol_lease_tell(e, fd, ONLOAD_GROW, &generation,
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
	uint32_t cap = e->wcap;
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
	/* As begun: usually, but whoever left a lease by siglongjmp may come
	 * back to it, and then there are bytes in the ring.
	 */
	const uint64_t tx = ol_load(&own->tx);
	uint32_t shift = ONLOAD_X_SHIFT(tx);

	if (shift > e->c.wire_max_shift)
		shift = e->c.wire_shift;
	ol_store(&e->own, own);
	ol_store(&e->peer, peer);
	e->wgrown = shift;
	e->wfixed = false;
	e->wturn = false;
	ol_store_release(&e->wire, ONLOAD_X_MAKE(e->c.wire_gen, 0, 0));
	resize(e, shift);
	/* No room, until the other end has been asked. */
	e->wacked = ONLOAD_X_POS(tx) - e->wcap;
}

/*
 * Who was given less than he asked for may wait for an event next, and there
 * is none for what has arrived meanwhile: take that too.
 */
ssize_t ol_wire_recv_rest(struct ol_ep *e, int fd, uint8_t *buf, size_t len)
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
