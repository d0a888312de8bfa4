// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Header prediction (Van Jacobson): the segment that is expected, and the
 * message that may leave at once. What a request and its reply are made of
 * takes a third of the instructions here; everything else takes the long way.
 */
#include "tcp_parts.h"

size_t ol_tcp_short_recv(const struct onload_tcp_state *restrict cur,
			 struct onload_tcp_state *restrict st,
			 const struct onload_flow_const *c,
			 const struct ol_rings *r, uint32_t prod,
			 struct ol_clock now, void *to, size_t len)
{
	const uint32_t pos = cur->rx_proc, una = cur->snd_una;
	const uint32_t flight = cur->snd_nxt - una;
	const bool stamped = c->flags & ONLOAD_C_TSTAMP;
	const uint32_t hlen = stamped ? TCP_HDR + 12 : TCP_HDR;
	const uint8_t *rec = r->rx + (pos & (c->rx_size - 1));
	const uint8_t *tcp = rec + sizeof(struct onload_rec);
	const uint32_t size = load_once(rec + offsetof(struct onload_rec, len));
	const uint32_t plen = size - hlen;
	const struct onload_rec *head = (const void *)rec;
	struct segment s;

	/* Exactly one record, with payload, into an empty queue */
	if (unlikely((pos | prod) & (ONLOAD_REC_ALIGN - 1) ||
		     prod - pos > c->rx_size || size <= hlen ||
		     ONLOAD_REC_SIZE(size) != prod - pos || plen > len ||
		     cur->rx_cons != pos || cur->copied_seq != cur->rcv_nxt))
		return 0;

	/* The header that continues the stream */
	s.wnd = ntohl(load_once(tcp + 12));
	if (unlikely((s.wnd & ~0xffffu & ~TCP_PSH) != (hlen << 26 | TCP_ACK)))
		return 0;
	s.wnd = (s.wnd & 0xffff) << c->snd_wscale;
	s.seq = ntohl(load_once(tcp + 4));
	s.ack = ntohl(load_once(tcp + 8));
	s.len = plen;
	s.tsval = cur->ts_recent;
	if (likely(stamped)) {
		if (unlikely(load_be(tcp + TCP_HDR) != OPT_TS_ALIGNED))
			return 0;
		s.tsval = load_be(tcp + TCP_HDR + 4);
	}
	if (unlikely(s.seq != cur->rcv_nxt || s.ack - una > flight ||
		     before(s.tsval, cur->ts_recent) ||
		     after(s.seq + plen, cur->rcv_wup + cur->rcv_wnd)))
		return 0;
	/* The acknowledgement may let go what waits to be sent. */
	if (unlikely(cur->snd_nxt != cur->write_seq))
		return 0;

	*st = *cur;
	if (!after(s.seq, st->ts_seq))
		st->ts_recent = s.tsval;
	take_ack(st, c, &s, flight, now);
	take_payload(st, c, plen, head->gso_size, now);
	if (unlikely(ack_due(st, now, 0) ||
		     window_left(st) <= window_max(c) / 2))
		return 0;
	st->rx_proc = prod;
	st->rx_cons = prod;
	st->copied_seq = st->rcv_nxt;
	set_deadline(st, now, st->snd_una != una);
	memcpy(to, tcp + hlen, plen);
	return plen;
}

bool ol_tcp_short_send(const struct onload_tcp_state *restrict cur,
		       struct onload_tcp_state *restrict st,
		       const struct onload_flow_const *c,
		       const struct ol_rings *r, uint32_t prod,
		       struct ol_clock now, const void *from, size_t len,
		       struct onload_seg *seg)
{
	const uint32_t mss = send_mss(c), seq = cur->snd_nxt;
	const uint32_t flight = seq - cur->snd_una;
	uint64_t room = (uint64_t)cur->cwnd * mss;
	uint32_t wnd;

	if (room > cur->snd_wnd)
		room = cur->snd_wnd;
	if (unlikely(prod != cur->rx_proc || seq != cur->write_seq ||
		     len > mss || flight + len > room || flight > c->tx_size ||
		     len > c->tx_size - flight))
		return false;
	if (unlikely(len < mss && hold_partial(cur, c, 0)))
		return false;

	*st = *cur;
	memcpy(r->tx + (seq & (c->tx_size - 1)), from, len);
	wnd = window(cur, c, prod, window_left(cur));
	fill(cur, seg, (uint32_t)len, wnd);
	seg->flags = ONLOAD_SEG_PSH;
	st->snd_nxt = seq + (uint32_t)len;
	st->write_seq = st->snd_nxt;
	if (len < mss)
		st->snd_sml = st->snd_nxt;
	time_segment(st, now);
	acknowledged(st, wnd);
	set_deadline(st, now, !flight);
	return true;
}
