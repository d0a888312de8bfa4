// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * TCP in the established state; see tcp.h for the contract.
 *
 * A record is judged completely before the state changes, so a flow can be
 * handed back in front of any record. Everything in a ring can change under
 * us (another thread of the process may scribble): a length is loaded once,
 * checked, and used from the register.
 */
#include "cursor.h"
#include "tcp_parts.h"

/* So that the usual road needs neither its registers nor its stack */
#define NOINLINE __attribute__((noinline))

struct record {
	const uint8_t *tcp;
	uint32_t size; /* in the ring */
	uint32_t hlen; /* TCP header with options */
	uint32_t plen; /* payload */
	uint32_t word; /* data offset, flags, window */
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

static NOINLINE size_t scatter_pieces(struct ol_cursor *cur,
				      const uint8_t *from, size_t len)
{
	size_t done = 0, n;
	uint8_t *at;

	while (done < len) {
		n = ol_cursor_next(cur, len - done, &at);
		if (!n)
			break;
		memcpy(at, from + done, n);
		done += n;
	}
	return done;
}

/* Returns less than @len only at the end of the iovec. */
static inline size_t scatter(struct ol_cursor *cur, const uint8_t *from,
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
	struct ol_cursor cur = { .iov = iov, .n = iovlen };
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
	struct ol_cursor cur = { .iov = iov, .n = iovlen, .off = skip };
	uint8_t *to = r->tx + (st->write_seq & (c->tx_size - 1));
	uint32_t space = ol_tcp_space(st, c, una);
	size_t done = 0, n;
	uint8_t *at;

	if (unlikely(space > c->tx_size))
		return 0;
	if (len > space)
		len = space;

	while (done < len) {
		n = ol_cursor_next(&cur, len - done, &at);
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
static inline uint32_t sendable(const struct onload_tcp_state *st, uint32_t mss)
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

static inline uint32_t next_len(const struct onload_tcp_state *st,
				const struct onload_flow_const *c, uint32_t mss,
				unsigned int how)
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

static NOINLINE int transmit(struct onload_tcp_state *st,
			     const struct onload_flow_const *c, uint32_t prod,
			     struct ol_clock now, unsigned int how,
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
		time_segment(st, now);
		n++;
	}

	data = n;
	if (!data && max > 0 &&
	    (ack_due(st, now, how) || update_due(st, c, wnd, left)))
		fill(st, &segs[n++], 0, wnd);
	if (n)
		acknowledged(st, wnd);
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
