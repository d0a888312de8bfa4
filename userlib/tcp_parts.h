/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the straight road (tcp.c) and its short cuts (tcp_short.c) share. */
#ifndef OL_TCP_PARTS_H
#define OL_TCP_PARTS_H

#include <arpa/inet.h>
#include <string.h>

#include "tcp.h"

#define TCP_HDR	    20u
#define TCP_ACK	    0x00100000u
#define TCP_PSH	    0x00080000u
#define TCP_URG	    0x00200000u
#define TCP_RST	    0x00040000u
#define TCP_SYN	    0x00020000u
#define TCP_FIN	    0x00010000u
#define TCP_NOT_PSH 0x0ff70000u /* reserved bits and flags but PSH */

#define OPT_EOL	       0
#define OPT_NOP	       1
#define OPT_SACK       5
#define OPT_TS	       8
#define OPT_TS_LEN     10
#define OPT_TS_ALIGNED 0x0101080au /* NOP NOP TS, as everybody sends it */

#define ACK_DELAY_MS 40
#define RTO_MIN_MS   200
#define RTO_MAX_MS   120000u
#define RTT_MAX_US   (RTO_MAX_MS * 1000u)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static inline bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool after(uint32_t a, uint32_t b)
{
	return before(b, a);
}

/* Zero means "none" for every point in time that the state holds. */
static inline uint32_t some(uint32_t t)
{
	return t ? t : 1;
}

static inline uint32_t load_once(const void *p)
{
	return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
}

/* Unaligned: options may begin anywhere. */
static inline uint32_t load_be(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return ntohl(v);
}

/* The loopback device has segments longer than a request may be. */
static inline uint32_t send_mss(const struct onload_flow_const *c)
{
	return min_u32(c->mss, ONLOAD_SEG_MAX);
}

struct segment {
	uint32_t seq;
	uint32_t ack;
	uint32_t wnd;
	uint32_t len;
	uint32_t tsval;
};

/*
 * RFC 6298 in Linux's units. The floor is kept in rttvar itself, because Linux
 * computes its time-out from it without another floor.
 */
static inline void sample_rtt(struct onload_tcp_state *st,
			      const struct onload_flow_const *c, uint32_t rtt)
{
	uint32_t var = st->rttvar_us;
	int32_t err;

	rtt = min_u32(some(rtt), RTT_MAX_US);
	if (st->srtt_us) {
		err = (int32_t)(rtt - (st->srtt_us >> 3));
		st->srtt_us += (uint32_t)err;
		var -= var >> 2;
		var += (uint32_t)(err < 0 ? -err : err);
	} else {
		st->srtt_us = rtt << 3;
		var = rtt << 1;
	}
	st->rttvar_us = max_u32(var, c->rto_min_ms * 1000);
	st->rto_ms = ((st->srtt_us >> 3) + st->rttvar_us) / 1000;
	st->rto_ms = max_u32(st->rto_ms, RTO_MIN_MS);
	st->rto_ms = min_u32(st->rto_ms, RTO_MAX_MS);
}

/*
 * RFC 5681 with bytes counted (RFC 3465), and only if the window was what
 * limited us: an application that sends little proves nothing about the path.
 * @flight is what was in flight when the batch of records began.
 */
static inline void grow_cwnd(struct onload_tcp_state *st, uint32_t mss,
			     uint32_t acked, uint32_t flight)
{
	uint64_t full = (uint64_t)st->cwnd * mss;
	uint32_t n;

	if (st->cwnd < st->ssthresh) {
		if (2 * (uint64_t)flight < full)
			return;
		st->cwnd_cnt += acked;
		n = min_u32(st->cwnd_cnt / mss, st->ssthresh - st->cwnd);
		st->cwnd += n;
		st->cwnd_cnt -= n * mss;
	} else if ((uint64_t)flight + mss > full) {
		st->cwnd_cnt += acked;
		if (st->cwnd_cnt >= full) {
			st->cwnd_cnt -= (uint32_t)full;
			st->cwnd++;
		}
	}
}

static inline void take_ack(struct onload_tcp_state *st,
			    const struct onload_flow_const *c,
			    const struct segment *s, uint32_t flight,
			    struct ol_clock now)
{
	uint32_t acked = s->ack - st->snd_una;

	if (!before(s->seq, st->snd_wl1)) {
		st->snd_wl1 = s->seq;
		st->snd_wnd = s->wnd;
		st->max_window = max_u32(st->max_window, s->wnd);
	}
	if (!acked)
		return;

	st->snd_una = s->ack;
	if (unlikely(st->rtt_start_us && !before(s->ack, st->rtt_seq))) {
		sample_rtt(st, c, now.us - st->rtt_start_us);
		st->rtt_start_us = 0;
	}
	grow_cwnd(st, send_mss(c), acked, flight);
}

static inline void take_payload(struct onload_tcp_state *st,
				const struct onload_flow_const *c, uint32_t len,
				uint32_t gso_size, struct ol_clock now)
{
	uint32_t mss = gso_size ? gso_size : len;

	st->rcv_nxt += len;
	st->rcv_mss = max_u32(st->rcv_mss, min_u32(mss, c->advmss));
	st->ack_bytes += len;
	if (st->ack_bytes > st->rcv_mss || c->flags & ONLOAD_C_QUICKACK)
		st->flags |= ONLOAD_S_ACK_NOW;
	/* Also then: should the process die here, Linux must acknowledge. */
	if (!st->ack_ms)
		st->ack_ms = some(now.ms + ACK_DELAY_MS);
}

/*
 * Publishes when the kernel has to step in. The retransmission clock also
 * runs for bytes that are only held back: past it Linux pushes or probes.
 */
static inline void set_deadline(struct onload_tcp_state *st,
				struct ol_clock now, bool restart)
{
	uint32_t at;

	if (st->write_seq == st->snd_una)
		st->rto_at_ms = 0;
	else if (restart || !st->rto_at_ms)
		st->rto_at_ms = some(now.ms + st->rto_ms);

	at = st->rto_at_ms;
	if (st->ack_ms && (!at || before(st->ack_ms, at)))
		at = st->ack_ms;
	st->deadline_ms = at;
}

/* The largest window that there is ever a point in announcing. */
static inline uint32_t window_max(const struct onload_flow_const *c)
{
	return min_u32(min_u32(c->rcv_wnd_max, c->rx_size / 2),
		       65535u << c->rcv_wscale);
}

/*
 * The window to announce. Half of the ring's free bytes, as records have
 * headers. The right edge never goes left, so what is left of the last
 * announcement (@left) is rounded up to the unit of the window field; and it
 * goes right in worthwhile steps only (RFC 9293 3.8.6.2.2).
 */
static inline uint32_t window(const struct onload_tcp_state *st,
			      const struct onload_flow_const *c, uint32_t prod,
			      uint32_t left)
{
	const uint32_t unit = 1u << c->rcv_wscale;
	const uint32_t max = window_max(c);
	const uint32_t used = prod - st->rx_cons;
	uint32_t wnd = used < c->rx_size ? (c->rx_size - used) / 2 : 0;

	wnd = min_u32(wnd, max) & ~(unit - 1);
	if (wnd < left || wnd - left < min_u32(st->rcv_mss, max / 2))
		wnd = (left + unit - 1) & ~(unit - 1);
	return min_u32(wnd, 65535u << c->rcv_wscale);
}

static inline bool ack_due(const struct onload_tcp_state *st,
			   struct ol_clock now, unsigned int how)
{
	if (st->flags & ONLOAD_S_ACK_NOW)
		return true;
	return st->ack_ms && (how & OL_TCP_ACK || !before(now.ms, st->ack_ms));
}

/* The reader has made room that the sender should know about. */
static inline bool update_due(const struct onload_tcp_state *st,
			      const struct onload_flow_const *c, uint32_t wnd,
			      uint32_t left)
{
	return wnd > left && wnd / 2 >= left &&
	       wnd - left >= min_u32(2 * st->rcv_mss, window_max(c) / 2);
}

static inline void fill(const struct onload_tcp_state *st,
			struct onload_seg *seg, uint32_t len, uint32_t wnd)
{
	seg->seq = st->snd_nxt;
	seg->len = len;
	seg->ack = st->rcv_nxt;
	seg->wnd = wnd;
	seg->tsecr = st->ts_recent;
	seg->flags = 0;
	seg->reserved = 0;
}

/* One at a time is timed, from the moment that it is handed over. */
static inline void time_segment(struct onload_tcp_state *st,
				struct ol_clock now)
{
	if (!st->rtt_start_us) {
		st->rtt_start_us = now.us;
		st->rtt_seq = st->snd_nxt;
	}
}

/* What was received and the window @wnd are on their way to the peer. */
static inline void acknowledged(struct onload_tcp_state *st, uint32_t wnd)
{
	st->rcv_wup = st->rcv_nxt;
	st->rcv_wnd = wnd;
	st->ts_seq = st->rcv_nxt;
	st->ack_bytes = 0;
	st->ack_ms = 0;
	st->flags &= ~(uint32_t)ONLOAD_S_ACK_NOW;
}

/* What is left of the window that was announced last */
static inline uint32_t window_left(const struct onload_tcp_state *st)
{
	uint32_t left = st->rcv_wup + st->rcv_wnd - st->rcv_nxt;

	return (int32_t)left < 0 ? 0 : left;
}

/*
 * Whether the partial segment at the end of the ring waits: Nagle's rule as
 * Minshall has it, that is, for the acknowledgement of another partial one.
 * The original rule would wait for a peer that delays its acknowledgement of
 * the last full segment, which Linux does not.
 */
static inline bool hold_partial(const struct onload_tcp_state *st,
				const struct onload_flow_const *c,
				unsigned int how)
{
	if (how & OL_TCP_MORE || c->flags & ONLOAD_C_CORK)
		return true;
	return !(c->flags & ONLOAD_C_NODELAY) &&
	       after(st->snd_sml, st->snd_una) &&
	       !after(st->snd_sml, st->snd_nxt);
}

#endif
