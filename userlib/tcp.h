/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TCP in the established state, as a pure function: state, record and clock
 * in; state and segment requests out. No system call, no global, no
 * allocation; the same code serves every virtual interface, the native tests
 * and the fuzzer.
 *
 * It is deliberately the straight road only (RFC 9293 3.10.7.4 in order,
 * RFC 7323 timestamps, RFC 6298 timer, RFC 5681 growth). What it does not
 * like it leaves in the ring, and says why: Linux then sees that record as if
 * it had just arrived.
 */
#ifndef OL_TCP_H
#define OL_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <linux/onload.h>

struct ol_clock {
	uint32_t us; /* monotonic microseconds for round trips; 0: not read */
	uint32_t ms; /* the kernel's CLOCK_MONOTONIC, for deadlines */
};

/* Where a flow's rings are. Both are mapped twice in a row. */
struct ol_rings {
	const uint8_t *rx;
	uint8_t *tx;
};

/*
 * ol_tcp_rx - process records up to ring position @prod
 *
 * Advances rx_proc, and rx_cons past records without unread bytes. Returns
 * ONLOAD_R_NONE when rx_proc reached prod, else the reason to hand the flow
 * back, with @st as it was before the offending record: still committable.
 * Nonsense in the ring (the kernel wrote it, so: scribbled) is
 * ONLOAD_R_CORRUPT.
 */
enum onload_reason ol_tcp_rx(struct onload_tcp_state *st,
			     const struct onload_flow_const *c,
			     const struct ol_rings *r, uint32_t prod,
			     struct ol_clock now);

/* Unread bytes, what recv() could return. */
static inline uint32_t ol_tcp_unread(const struct onload_tcp_state *st)
{
	return st->rcv_nxt - st->copied_seq;
}

/*
 * ol_tcp_read - copy at most @len unread bytes to @iov
 *
 * @iov may have any number of elements; copying begins at its start. Unless
 * @peek, advances copied_seq and rx_cons. Returns the bytes copied; SIZE_MAX
 * when the ring is nonsense.
 */
size_t ol_tcp_read(struct onload_tcp_state *st,
		   const struct onload_flow_const *c, const struct ol_rings *r,
		   const struct iovec *iov, size_t iovlen, size_t len,
		   bool peek);

/*
 * Free bytes in the transmit ring. @una is the snd_una of the last committed
 * state: bytes that only an uncommitted state calls acknowledged must stay,
 * because a reclaim may still import them.
 */
static inline uint32_t ol_tcp_space(const struct onload_tcp_state *st,
				    const struct onload_flow_const *c,
				    uint32_t una)
{
	return c->tx_size - (st->write_seq - una);
}

/*
 * ol_tcp_write - copy at most @len bytes from @iov, beginning @skip bytes
 * into it, to the transmit ring, and advance write_seq. Returns the bytes
 * copied, at most ol_tcp_space().
 */
size_t ol_tcp_write(struct onload_tcp_state *st,
		    const struct onload_flow_const *c, const struct ol_rings *r,
		    const struct iovec *iov, size_t iovlen, size_t skip,
		    size_t len, uint32_t una);

#define OL_TCP_MORE 0x1 /* MSG_MORE: hold a partial segment */
#define OL_TCP_ACK  0x2 /* acknowledge now what is owed (before sleeping) */

/*
 * ol_tcp_output - decide what to send
 *
 * Fills at most @max requests (all but fd, slot and generation, which the
 * caller adds), advances snd_nxt, rcv_wup and rcv_wnd, and sets deadline_ms.
 * @prod is the ring position up to which the ring is filled: the announced
 * window is what the ring can still hold. The caller commits, then kicks.
 * Returns the number of requests.
 */
int ol_tcp_output(struct onload_tcp_state *st,
		  const struct onload_flow_const *c, uint32_t prod,
		  struct ol_clock now, unsigned int how,
		  struct onload_seg *segs, int max);

/*
 * Short cuts for what most calls are, in tcp_short.c. Each does in one pass
 * over @cur, to the bit, what the functions above do one after the other, or
 * returns 0 and says nothing: then @st is to be opened anew, and the long way
 * is gone. The memory that is read and written is as theirs.
 *
 * ol_tcp_short_recv - one segment of in-order payload, which @len bytes at
 *	@to can take, and for which nothing is to be sent: ol_tcp_rx(),
 *	ol_tcp_read(), ol_tcp_output(). Returns the bytes.
 * ol_tcp_short_send - @len bytes, no more than a segment, which may leave at
 *	once, with no record to be processed: ol_tcp_write(), ol_tcp_output().
 *	Returns whether @seg is the request.
 */
__attribute__((noinline)) size_t
ol_tcp_short_recv(const struct onload_tcp_state *restrict cur,
		  struct onload_tcp_state *restrict st,
		  const struct onload_flow_const *c, const struct ol_rings *r,
		  uint32_t prod, struct ol_clock now, void *to, size_t len);
__attribute__((noinline)) bool
ol_tcp_short_send(const struct onload_tcp_state *restrict cur,
		  struct onload_tcp_state *restrict st,
		  const struct onload_flow_const *c, const struct ol_rings *r,
		  uint32_t prod, struct ol_clock now, const void *from,
		  size_t len, struct onload_seg *seg);

/*
 * ol_tcp_stuck - unsent bytes that no segment in flight will release: the
 * peer's window is closed, or too small for Nagle. Only Linux probes, so the
 * flow is to be handed back.
 */
bool ol_tcp_stuck(const struct onload_tcp_state *st,
		  const struct onload_flow_const *c);

#endif
