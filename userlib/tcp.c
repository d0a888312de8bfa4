// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * TCP in the established state; see tcp.h for the contract.
 *
 * A record is judged completely before the state changes, so a flow can be
 * handed back in front of any record. Everything in a ring can change under
 * us (another thread of the process may scribble): a length is loaded once,
 * checked, and used from the register.
 */
#include <arpa/inet.h>
#include <string.h>

#include "tcp.h"

#define TCP_HDR		20u
#define TCP_ACK		0x00100000u
#define TCP_URG		0x00200000u
#define TCP_RST		0x00040000u
#define TCP_SYN		0x00020000u
#define TCP_FIN		0x00010000u
#define TCP_NOT_PSH	0x0ff70000u /* reserved bits and flags but PSH */

#define OPT_EOL		0
#define OPT_NOP		1
#define OPT_SACK	5
#define OPT_TS		8
#define OPT_TS_LEN	10
#define OPT_TS_ALIGNED	0x0101080au /* NOP NOP TS, as everybody sends it */

#define ACK_DELAY_MS	40
#define RTO_MIN_MS	200
#define RTO_MAX_MS	120000u
#define RTT_MAX_US	(RTO_MAX_MS * 1000u)

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

/* So that the usual road needs neither its registers nor its stack */
#define NOINLINE	__attribute__((noinline))

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

struct record {
	const uint8_t *tcp;
	uint32_t size;	/* in the ring */
	uint32_t hlen;	/* TCP header with options */
	uint32_t plen;	/* payload */
	uint32_t word;	/* data offset, flags, window */
};

/*
 * Looks at the record at @pos, of which at most @left bytes are in the ring;
 * false if it is no record. @left is at most rx_size, so what passes here lies
 * within the two mappings of the ring.
 */
static inline bool record_at(const struct onload_flow_const *c,
			     const struct ol_rings *r, uint32_t pos,
			     uint32_t left, struct record *rec)
{
	const uint8_t *p = r->rx + (pos & (c->rx_size - 1));
	uint32_t len = load_once(p + offsetof(struct onload_rec, len));

	if (unlikely(len < TCP_HDR || len > ONLOAD_REC_MAX))
		return false;
	rec->size = ONLOAD_REC_SIZE(len);
	if (unlikely(rec->size > left))
		return false;

	rec->tcp = p + sizeof(struct onload_rec);
	rec->word = ntohl(load_once(rec->tcp + 12));
	rec->hlen = rec->word >> 28 << 2;
	if (unlikely(rec->hlen < TCP_HDR || rec->hlen > len))
		return false;
	rec->plen = len - rec->hlen;
	return true;
}

/* The positions of a ring come from shared memory, too. */
static inline bool positions_ok(const struct onload_flow_const *c,
				uint32_t cons, uint32_t proc, uint32_t prod)
{
	return prod - cons <= c->rx_size && proc - cons <= prod - cons &&
	       !((cons | proc | prod) & (ONLOAD_REC_ALIGN - 1));
}

static inline uint32_t record_seq(const struct record *rec)
{
	return ntohl(load_once(rec->tcp + 4));
}

/*
 * Finds the timestamp. A flow without timestamps may have no options at all,
 * since there is none left that the straight road knows.
 */
static enum onload_reason parse_options(const struct record *rec, bool want_ts,
					uint32_t *tsval)
{
	const uint8_t *p = rec->tcp + TCP_HDR;
	uint32_t n = rec->hlen - TCP_HDR;
	uint32_t i = 0, len;
	bool found = false;
	uint8_t kind;

	while (i < n) {
		kind = p[i];
		if (kind == OPT_EOL)
			break;
		if (kind == OPT_NOP) {
			i++;
			continue;
		}
		len = i + 1 < n ? p[i + 1] : 0;
		if (len < 2 || len > n - i)
			return ONLOAD_R_ODD;
		if (kind == OPT_SACK)
			return ONLOAD_R_LOSS;
		if (kind != OPT_TS || len != OPT_TS_LEN || !want_ts || found)
			return ONLOAD_R_ODD;
		*tsval = load_be(p + i + 2);
		found = true;
		i += len;
	}
	return found ? ONLOAD_R_NONE : ONLOAD_R_ODD;
}

static inline enum onload_reason options(const struct onload_flow_const *c,
					 const struct record *rec,
					 uint32_t *tsval)
{
	bool want_ts = c->flags & ONLOAD_C_TSTAMP;

	if (want_ts) {
		if (likely(rec->hlen == TCP_HDR + 12 &&
			   load_be(rec->tcp + TCP_HDR) == OPT_TS_ALIGNED)) {
			*tsval = load_be(rec->tcp + TCP_HDR + 4);
			return ONLOAD_R_NONE;
		}
	} else if (likely(rec->hlen == TCP_HDR)) {
		return ONLOAD_R_NONE;
	}
	return parse_options(rec, want_ts, tsval);
}

static enum onload_reason bad_flags(uint32_t word)
{
	if (word & (TCP_RST | TCP_SYN))
		return ONLOAD_R_RST;
	if (word & TCP_FIN)
		return ONLOAD_R_FIN;
	if (word & TCP_URG)
		return ONLOAD_R_URG;
	return ONLOAD_R_ODD;
}

struct segment {
	uint32_t seq;
	uint32_t ack;
	uint32_t wnd;
	uint32_t len;
	uint32_t tsval;
};

/* RFC 9293 3.10.7.4 and RFC 7323 5.3, without changing anything. */
static inline enum onload_reason judge(const struct onload_tcp_state *st,
				       const struct onload_flow_const *c,
				       const struct record *rec,
				       struct segment *s)
{
	enum onload_reason reason;

	if (unlikely((rec->word & TCP_NOT_PSH) != TCP_ACK))
		return bad_flags(rec->word);

	s->seq = record_seq(rec);
	s->ack = ntohl(load_once(rec->tcp + 8));
	s->wnd = (rec->word & 0xffff) << c->snd_wscale;
	s->len = rec->plen;
	s->tsval = st->ts_recent;

	reason = options(c, rec, &s->tsval);
	if (unlikely(reason))
		return reason;
	if (unlikely(before(s->tsval, st->ts_recent)))
		return ONLOAD_R_ODD;

	/* Also a keepalive probe, which has no payload and an old number. */
	if (unlikely(s->seq != st->rcv_nxt))
		return s->len ? ONLOAD_R_LOSS : ONLOAD_R_ODD;
	if (unlikely(s->len &&
		     after(s->seq + s->len, st->rcv_wup + st->rcv_wnd)))
		return ONLOAD_R_ODD;
	if (unlikely(s->ack - st->snd_una > st->snd_nxt - st->snd_una))
		return ONLOAD_R_ODD;
	if (unlikely(!s->len && s->ack == st->snd_una &&
		     st->snd_una != st->snd_nxt && s->wnd == st->snd_wnd))
		return ONLOAD_R_LOSS;
	return ONLOAD_R_NONE;
}

/*
 * RFC 6298 in Linux's units. The floor is kept in rttvar itself, because Linux
 * computes its time-out from it without another floor.
 */
static void sample_rtt(struct onload_tcp_state *st,
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
				const struct onload_flow_const *c,
				uint32_t len, uint32_t gso_size,
				struct ol_clock now)
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

enum onload_reason ol_tcp_rx(struct onload_tcp_state *st,
			     const struct onload_flow_const *c,
			     const struct ol_rings *r, uint32_t prod,
			     struct ol_clock now)
{
	const uint32_t start = st->rx_proc, una = st->snd_una;
	const uint32_t flight = st->snd_nxt - una;
	enum onload_reason reason = ONLOAD_R_NONE;
	const struct onload_rec *head;
	struct segment s;
	struct record rec;

	if (unlikely(!positions_ok(c, st->rx_cons, start, prod)))
		return ONLOAD_R_CORRUPT;

	while (st->rx_proc != prod) {
		if (unlikely(!record_at(c, r, st->rx_proc, prod - st->rx_proc,
					&rec))) {
			reason = ONLOAD_R_CORRUPT;
			break;
		}
		reason = judge(st, c, &rec, &s);
		if (unlikely(reason))
			break;

		/* RFC 7323 4.3: the echo is for what was acknowledged last. */
		if (!after(s.seq, st->ts_seq))
			st->ts_recent = s.tsval;
		take_ack(st, c, &s, flight, now);
		if (s.len) {
			head = (const void *)(rec.tcp - sizeof(*head));
			take_payload(st, c, s.len, head->gso_size, now);
		}
		st->rx_proc += rec.size;
		if (st->copied_seq == st->rcv_nxt)
			st->rx_cons = st->rx_proc;
	}

	if (st->rx_proc != start)
		set_deadline(st, now, st->snd_una != una);
	return reason;
}

/* A position in an iovec. */
struct cursor {
	const struct iovec *iov;
	size_t n;
	size_t off;
};

/* The next contiguous piece, at most @want bytes; 0 at the end. */
static inline size_t cursor_next(struct cursor *cur, size_t want, uint8_t **at)
{
	size_t room;

	while (cur->n && cur->off >= cur->iov->iov_len) {
		cur->off -= cur->iov->iov_len;
		cur->iov++;
		cur->n--;
	}
	if (!cur->n)
		return 0;
	room = cur->iov->iov_len - cur->off;
	if (want < room)
		room = want;
	*at = (uint8_t *)cur->iov->iov_base + cur->off;
	cur->off += room;
	return room;
}

static NOINLINE size_t
scatter_pieces(struct cursor *cur, const uint8_t *from, size_t len)
{
	size_t done = 0, n;
	uint8_t *at;

	while (done < len) {
		n = cursor_next(cur, len - done, &at);
		if (!n)
			break;
		memcpy(at, from + done, n);
		done += n;
	}
	return done;
}

/* Returns less than @len only at the end of the iovec. */
static inline size_t scatter(struct cursor *cur, const uint8_t *from,
			     size_t len)
{
	if (unlikely(!cur->n || len > cur->iov->iov_len - cur->off))
		return scatter_pieces(cur, from, len);
	memcpy((uint8_t *)cur->iov->iov_base + cur->off, from, len);
	cur->off += len;
	return len;
}

size_t ol_tcp_read(struct onload_tcp_state *st,
		   const struct onload_flow_const *c, const struct ol_rings *r,
		   const struct iovec *iov, size_t iovlen, size_t len,
		   bool peek)
{
	struct cursor cur = { .iov = iov, .n = iovlen };
	const uint32_t unread = ol_tcp_unread(st);
	uint32_t pos = st->rx_cons, seq = st->copied_seq;
	size_t done = 0, n;
	struct record rec;
	uint32_t off;

	if (unlikely(!positions_ok(c, pos, st->rx_proc, st->rx_proc)))
		return SIZE_MAX;
	if (len > unread)
		len = unread;

	while (done < len) {
		if (unlikely(!record_at(c, r, pos, st->rx_proc - pos, &rec)))
			return SIZE_MAX;
		off = seq - record_seq(&rec);
		if (unlikely(off > rec.plen))
			return SIZE_MAX;

		n = rec.plen - off;
		if (n > len - done)
			n = len - done;
		n = scatter(&cur, rec.tcp + rec.hlen + off, n);
		seq += (uint32_t)n;
		done += n;
		if (off + n < rec.plen)
			break;
		pos += rec.size;
	}

	if (!peek) {
		st->copied_seq = seq;
		st->rx_cons = seq == st->rcv_nxt ? st->rx_proc : pos;
	}
	return done;
}

size_t ol_tcp_write(struct onload_tcp_state *st,
		    const struct onload_flow_const *c, const struct ol_rings *r,
		    const struct iovec *iov, size_t iovlen, size_t skip,
		    size_t len, uint32_t una)
{
	struct cursor cur = { .iov = iov, .n = iovlen, .off = skip };
	uint8_t *to = r->tx + (st->write_seq & (c->tx_size - 1));
	uint32_t space = ol_tcp_space(st, c, una);
	size_t done = 0, n;
	uint8_t *at;

	if (unlikely(space > c->tx_size))
		return 0;
	if (len > space)
		len = space;

	while (done < len) {
		n = cursor_next(&cur, len - done, &at);
		if (!n)
			break;
		memcpy(to + done, at, n);
		done += n;
	}
	st->write_seq += (uint32_t)done;
	return done;
}

/*
 * How many unsent bytes the windows let go in one request, Nagle aside: all
 * of them, or full segments. A piece of a segment that only the window cuts
 * is a silly one, unless it is half of what this peer ever offered and no
 * acknowledgement is on its way that may offer more (RFC 9293 3.8.6.2.1).
 */
static inline uint32_t sendable(const struct onload_tcp_state *st,
				uint32_t mss)
{
	const uint32_t flight = st->snd_nxt - st->snd_una;
	const uint32_t unsent = st->write_seq - st->snd_nxt;
	uint64_t room = (uint64_t)st->cwnd * mss;
	uint32_t len;

	if (room > st->snd_wnd)
		room = st->snd_wnd;
	if (room <= flight)
		return 0;
	len = min_u32((uint32_t)room - flight, ONLOAD_SEG_MAX);
	if (likely(unsent <= len))
		return unsent;
	if (len >= mss)
		return len - len % mss;
	return !flight && len >= st->max_window / 2 ? len : 0;
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

static inline uint32_t next_len(const struct onload_tcp_state *st,
				const struct onload_flow_const *c,
				uint32_t mss, unsigned int how)
{
	uint32_t len = sendable(st, mss);
	uint32_t partial;

	if (!len || len != st->write_seq - st->snd_nxt)
		return len;
	partial = len < mss ? len : len % mss;
	if (partial && hold_partial(st, c, how))
		len -= partial;
	return len;
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
	return st->ack_ms &&
	       (how & OL_TCP_ACK || !before(now.ms, st->ack_ms));
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

/* What is left of the window that was announced last */
static inline uint32_t window_left(const struct onload_tcp_state *st)
{
	uint32_t left = st->rcv_wup + st->rcv_wnd - st->rcv_nxt;

	return (int32_t)left < 0 ? 0 : left;
}

static NOINLINE int
transmit(struct onload_tcp_state *st, const struct onload_flow_const *c,
	 uint32_t prod, struct ol_clock now, unsigned int how,
	 struct onload_seg *segs, int max)
{
	const bool idle = st->snd_nxt == st->snd_una;
	const uint32_t left = window_left(st);
	const uint32_t wnd = window(st, c, prod, left);
	const uint32_t mss = send_mss(c);
	int n = 0, data;
	uint32_t len;

	while (st->snd_nxt != st->write_seq && n < max) {
		len = next_len(st, c, mss, how);
		if (!len)
			break;
		fill(st, &segs[n], len, wnd);
		st->snd_nxt += len;
		if (st->snd_nxt == st->write_seq)
			segs[n].flags = ONLOAD_SEG_PSH;
		if (len < mss || len % mss)
			st->snd_sml = st->snd_nxt;
		if (!st->rtt_start_us) {
			st->rtt_start_us = now.us;
			st->rtt_seq = st->snd_nxt;
		}
		n++;
	}

	data = n;
	if (!data && max > 0 &&
	    (ack_due(st, now, how) || update_due(st, c, wnd, left)))
		fill(st, &segs[n++], 0, wnd);
	if (n) {
		st->rcv_wup = st->rcv_nxt;
		st->rcv_wnd = wnd;
		st->ts_seq = st->rcv_nxt;
		st->ack_bytes = 0;
		st->ack_ms = 0;
		st->flags &= ~(uint32_t)ONLOAD_S_ACK_NOW;
	}
	set_deadline(st, now, data && idle);
	return n;
}

int ol_tcp_output(struct onload_tcp_state *st,
		  const struct onload_flow_const *c, uint32_t prod,
		  struct ol_clock now, unsigned int how,
		  struct onload_seg *segs, int max)
{
	/* What most receives come to: no window is twice what is left. */
	if (likely(st->snd_nxt == st->write_seq && !ack_due(st, now, how) &&
		   window_left(st) > window_max(c) / 2)) {
		set_deadline(st, now, false);
		return 0;
	}
	return transmit(st, c, prod, now, how, segs, max);
}

bool ol_tcp_stuck(const struct onload_tcp_state *st,
		  const struct onload_flow_const *c)
{
	return st->snd_nxt != st->write_seq && st->snd_nxt == st->snd_una &&
	       !sendable(st, send_mss(c));
}
