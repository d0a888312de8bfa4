/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the long and the short way over a wire have in common; see wire.c. */
#ifndef OL_WIRE_PARTS_H
#define OL_WIRE_PARTS_H

#include <string.h>

#include "lease.h"
#include "line.h"
#include "stats.h"
#include "wire.h"

/* Is it of the lease that the endpoint knows? The rest changes during one. */
static inline bool ol_wire_same(const struct ol_ep *e, uint64_t word)
{
	return ol_likely(!((word ^ e->wire) >> 39));
}

static inline bool ol_wire_publish(__u64 *word, __u64 old, __u64 new)
{
	return ol_likely(__atomic_compare_exchange_n(
		word, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

/* What is longer is published in pieces of that. */
#define OL_WIRE_PIECE 4096

/*
 * Hints for a dialogue of short messages, measured by make bench-native: what
 * was sent leaves our cache for one that both ends share, and the lines of a
 * next message as long as this one come to ours. In a stream they only take
 * away what is needed again. Of a long message the reader has the beginning by
 * the time that its end was sent: there the former comes too late to help. No-ops
 * on processors that do not know them.
 */
#define OL_WIRE_HINT_MAX  16384 /* bytes of a message */
#define OL_WIRE_YOURS_MAX 8192	/* ditto */

static inline void ol_wire_hint(struct ol_ep *e, uint32_t pos, uint32_t n)
{
	const uint8_t *ring = ol_wire_ring(e->own);

	e->wturn = false;
	if (n > OL_WIRE_HINT_MAX)
		return;
	ol_line_yours(e->own);
	for (uint32_t i = 0; i < n; i += OL_LINE) {
		if (n <= OL_WIRE_YOURS_MAX)
			ol_line_yours(&ring[(pos + i) & e->wmask]);
		ol_line_mine(&ring[(pos + n + i) & e->wmask]);
	}
}

static inline void ol_ring_put(uint8_t *ring, uint32_t mask, uint32_t pos,
			       const uint8_t *from, uint32_t len)
{
	uint32_t at = pos & mask;
	uint32_t first = mask + 1 - at;

	if (ol_likely(len <= first)) {
		memcpy(ring + at, from, len);
		return;
	}
	memcpy(ring + at, from, first);
	memcpy(ring, from + first, len - first);
}

static inline void ol_ring_get(const uint8_t *ring, uint32_t mask, uint32_t pos,
			       uint8_t *to, uint32_t len)
{
	uint32_t at = pos & mask;
	uint32_t first = mask + 1 - at;

	if (ol_likely(len <= first)) {
		memcpy(to, ring + at, len);
		return;
	}
	memcpy(to, ring + at, first);
	memcpy(to + first, ring, len - first);
}

/* Room, as far as is known without looking at the other end */
static inline uint32_t ol_wire_known(const struct ol_ep *e, uint32_t pos)
{
	return e->wcap - (pos - e->wacked);
}

/* Publishes the next @n bytes after @word. False: the lease is gone. */
static inline bool ol_wire_move(struct ol_ep *e, uint64_t word, uint32_t n)
{
	uint32_t pos = ONLOAD_X_POS(word) + n;

	if (ol_unlikely((ONLOAD_X_POS(word) ^ pos) >> OL_WIRE_TOTAL_SHIFT))
		ol_wire_total(e->own, pos);
	return ol_wire_publish(&e->own->tx, word, e->wtx | pos);
}

/* After that: does the reader sleep? */
static inline void ol_wire_tell(struct ol_ep *e, int fd, uint32_t n)
{
	OL_COUNT(tx_user, n);
	if (ol_unlikely(__atomic_load_n(&e->peer->wake, __ATOMIC_SEQ_CST) &
			ONLOAD_WAKE_RX))
		ol_wire_wake(e, fd);
}

/* Bytes to read, or UINT32_MAX if the other end's word is nonsense */
static inline uint32_t ol_wire_unread(const struct ol_ep *e, uint64_t tx,
				      uint32_t pos)
{
	uint32_t shift = ONLOAD_X_SHIFT(tx);
	uint32_t n = ONLOAD_X_POS(tx) - pos;

	if (ol_unlikely(shift > e->c.wire_max_shift || n > 1u << shift))
		return UINT32_MAX;
	return n;
}

static __always_inline bool ol_wire_received(struct ol_ep *e, int fd,
					     uint64_t word, uint64_t tx,
					     uint32_t n)
{
	uint32_t pos = ONLOAD_X_POS(word) + n;
	uint32_t bits;

	if (!ol_wire_publish(&e->own->rx, word, e->wire | pos))
		return false;
	e->wturn = true;
	OL_COUNT(rx_user, n);
	bits = __atomic_load_n(&e->peer->wake, __ATOMIC_SEQ_CST);
	if (ol_unlikely(bits & (ONLOAD_WAKE_TX | ONLOAD_WAKE_EMPTY)))
		ol_wire_freed(e, fd, tx, pos, bits);
	return true;
}

#endif
