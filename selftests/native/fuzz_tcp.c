// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Fuzzer of userlib/tcp.c. An input is a program (fuzz_ops.h) of what peer,
 * application and clock do. A reference model follows it: it decides for
 * itself which segments may be taken, and knows each byte of both streams,
 * as they are functions of the sequence number.
 *
 * Once the program has scribbled over the receive ring the model is silent,
 * and the invariants of the state remain; once over the state, what remains is
 * no crash, no access beyond the rings, no nonsense returned.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_ops.h"
#include "peer.h"

/* So small that the longest record could leave it */
#define RING  65536u
#define QUEUE 4096u

#define CHECK(cond)                                                      \
	do {                                                             \
		if (!(cond)) {                                           \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, \
				__LINE__, #cond);                        \
			abort();                                         \
		}                                                        \
	} while (0)

static struct flow f;

/* What the state has to be, by the reference */
static struct {
	bool silent, hostile;
	uint32_t una, nxt, wrote, snd_wnd;
	uint32_t rcv, copied, edge, last_ack, ts_recent;
	/* the peer */
	uint32_t peer_seq, peer_ack;
	uint16_t peer_wnd;
	/* records in the ring that were not processed */
	struct wire queue[QUEUE];
	uint32_t first, end;
} m;

static bool later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static bool timestamp_of(const struct wire *w, uint32_t *ts)
{
	int i, seen = 0;

	for (i = 0; i < w->optlen && w->opt[i];) {
		if (w->opt[i] == 1) {
			i++;
			continue;
		}
		if (w->opt[i] != 8 || i + 10 > w->optlen || w->opt[i + 1] != 10)
			return false;
		*ts = (uint32_t)w->opt[i + 2] << 24 |
		      (uint32_t)w->opt[i + 3] << 16 |
		      (uint32_t)w->opt[i + 4] << 8 | w->opt[i + 5];
		i += 10;
		seen++;
	}
	return seen == 1;
}

/* May the straight road take this segment? If so, takes it. */
static bool model_take(const struct wire *w)
{
	const uint32_t wnd = (uint32_t)w->wnd << f.c.snd_wscale;
	uint32_t ts = m.ts_recent;

	if ((w->flags & 0xfff & ~TH_PSH) != TH_ACK)
		return false;
	if (f.c.flags & ONLOAD_C_TSTAMP) {
		if (!timestamp_of(w, &ts) || ts - m.ts_recent > INT32_MAX)
			return false;
	} else if (w->optlen) {
		return false;
	}
	if (w->seq != m.rcv || w->len > m.edge - m.rcv)
		return false;
	if (w->ack - m.una > m.nxt - m.una)
		return false;
	if (!w->len && m.una != m.nxt && w->ack == m.una && wnd == m.snd_wnd)
		return false;

	if (!later(w->seq, m.last_ack))
		m.ts_recent = ts;
	m.rcv += w->len;
	m.una = w->ack;
	m.snd_wnd = wnd;
	return true;
}

static void check_state(void)
{
	const char *broken;

	if (m.hostile)
		return;
	broken = flow_broken(&f);
	if (broken) {
		fprintf(stderr, "broken: %s\n", broken);
		abort();
	}
	if (m.silent)
		return;
	CHECK(f.st.snd_una == m.una);
	CHECK(f.st.snd_nxt == m.nxt);
	CHECK(f.st.write_seq == m.wrote);
	CHECK(f.st.snd_wnd == m.snd_wnd);
	CHECK(f.st.rcv_nxt == m.rcv);
	CHECK(f.st.copied_seq == m.copied);
	CHECK(f.st.rcv_wup + f.st.rcv_wnd == m.edge);
	CHECK(f.st.ts_recent == m.ts_recent);
	CHECK(m.rcv != m.copied || f.st.rx_cons == f.st.rx_proc);
}

static void run_segment(const struct insn *i)
{
	const uint32_t percent = i->b > 100 ? 100 : i->b;
	struct wire w = wire_next(&f, i->a);

	w.seq = m.peer_seq;
	if (i->op == OP_SEGMENT) {
		if (!(i->x & 1) && later(w.seq + w.len, m.edge))
			w.len = later(m.edge, w.seq) ? m.edge - w.seq : 0;
		if (m.nxt - m.peer_ack <= RING)
			m.peer_ack += (uint32_t)((uint64_t)percent *
						 (m.nxt - m.peer_ack) / 100);
	}
	w.ack = m.peer_ack;
	w.wnd = m.peer_wnd;
	if (i->op == OP_BENT) {
		switch (i->x % (BEND_LAST + 1)) {
		case BEND_SEQ:
			w.seq += i->b;
			break;
		case BEND_ACK:
			w.ack += i->b;
			break;
		case BEND_FLAGS:
			w.flags = i->b & 0xfff;
			break;
		case BEND_WND:
			w.wnd = (uint16_t)i->b;
			m.peer_wnd = w.wnd;
			break;
		case BEND_TSVAL:
			w.tsval += i->b;
			wire_timestamps(&w);
			break;
		case BEND_OPT:
			w.opt[(i->b >> 16) % 40] = (uint8_t)i->b;
			w.opt[(i->b >> 16) % 39 + 1] = (uint8_t)(i->b >> 8);
			w.optlen = (uint8_t)((i->b >> 24) % 11 * 4);
			break;
		case BEND_OPTLEN:
			w.optlen = (uint8_t)(i->b % 11 * 4);
			break;
		case BEND_GSO:
			w.gso_size = (uint16_t)i->b;
			break;
		}
	}
	if (m.end - m.first == QUEUE || !flow_arrive(&f, &w))
		return;
	m.peer_seq = w.seq + w.len;
	m.queue[m.end++ % QUEUE] = w;
}

/*
 * After a hand-back Linux would deal with the rest of the ring. Here the peer
 * takes it back, as if a new lease had begun in the same place.
 */
static void forget_ring(void)
{
	f.prod = f.st.rx_proc;
	m.first = m.end;
	m.peer_seq = m.rcv;
	m.peer_ack = m.una;
}

static void run_rx(void)
{
	const struct onload_tcp_state was = f.st;
	struct onload_tcp_state again = was;
	enum onload_reason reason = flow_rx(&f);
	uint32_t pos = was.rx_proc;
	const struct wire *w;

	CHECK(reason < ONLOAD_R_MAX);
	if (m.silent) {
		if (reason)
			f.prod = f.st.rx_proc;
		return;
	}

	while (m.first != m.end) {
		w = &m.queue[m.first % QUEUE];
		if (!model_take(w))
			break;
		pos += (uint32_t)ONLOAD_REC_SIZE(20u + w->optlen + w->len);
		m.first++;
	}
	CHECK(f.st.rx_proc == pos);
	CHECK((reason == ONLOAD_R_NONE) == (m.first == m.end));
	CHECK(reason != ONLOAD_R_CORRUPT);
	/* As if what it did not like had never arrived */
	CHECK(ol_tcp_rx(&again, &f.c, &f.r, pos, f.now) == ONLOAD_R_NONE);
	CHECK(!memcmp(&again, &f.st, sizeof(again)));
	if (reason)
		forget_ring();
}

/* An iovec over exactly @len bytes, in pieces, the odd ones empty. */
static int pieces(struct iovec *iov, uint8_t *at, size_t len, size_t piece)
{
	size_t n;
	int i;

	for (i = 0; len && i < 32; i++) {
		n = i % 4 == 3 ? 0 : piece;
		if (n > len || i == 31)
			n = len;
		iov[i] = (struct iovec){ at, n };
		at += n;
		len -= n;
	}
	return i;
}

static void run_read(const struct insn *i)
{
	const struct onload_tcp_state was = f.st;
	const bool peek = i->op == OP_PEEK;
	const size_t len = i->a;
	uint8_t *buf = malloc(len + 1);
	struct iovec iov[32];
	size_t n, want;
	int count;

	CHECK(buf);
	count = pieces(iov, buf, len, 1 + i->b % 4096);
	n = ol_tcp_read(&f.st, &f.c, &f.r, iov, (size_t)count, SIZE_MAX, peek);
	CHECK(n == SIZE_MAX || n <= len);
	if (peek || n == SIZE_MAX)
		CHECK(!memcmp(&was, &f.st, sizeof(was)));
	if (!m.silent) {
		want = m.rcv - m.copied < len ? m.rcv - m.copied : len;
		CHECK(n == want);
		CHECK(pattern_holds(buf, m.copied, n));
		if (!peek)
			m.copied += (uint32_t)n;
	}
	free(buf);
}

static void run_write(const struct insn *i)
{
	const size_t skip = i->x, len = i->a;
	uint8_t *buf = malloc(skip + len + 1);
	uint32_t una = f.st.snd_una;
	struct iovec iov[32];
	size_t n, want;
	int count;

	CHECK(buf);
	memset(buf, 0, skip);
	pattern_fill(buf + skip, f.st.write_seq, len);
	count = pieces(iov, buf, skip + len, 1 + i->b % 4096);
	n = ol_tcp_write(&f.st, &f.c, &f.r, iov, (size_t)count, skip, len, una);
	CHECK(n <= len && n <= f.c.tx_size);
	if (!m.silent) {
		want = RING - (m.wrote - m.una);
		CHECK(n == (want < len ? want : len));
		m.wrote += (uint32_t)n;
	}
	free(buf);
}

static void check_request(const struct onload_seg *s)
{
	const uint32_t unit = 1u << f.c.rcv_wscale;
	const uint32_t edge = s->ack + s->wnd;

	CHECK(s->seq == m.nxt);
	CHECK(s->len <= m.wrote - m.nxt);
	CHECK(s->ack == m.rcv);
	CHECK(s->wnd % unit == 0 && s->wnd / unit <= 65535);
	CHECK(s->tsecr == m.ts_recent);
	CHECK(!later(m.edge, edge));
	if (edge - m.edge >= unit)
		CHECK(s->wnd <= (RING - (f.prod - f.st.rx_cons)) / 2 &&
		      s->wnd <= f.c.rcv_wnd_max);
	CHECK(pattern_holds(f.r.tx + (s->seq & (RING - 1)), s->seq, s->len));
	m.nxt += s->len;
	m.edge = edge;
	m.last_ack = s->ack;
	CHECK(s->flags == (s->len && m.nxt == m.wrote ? ONLOAD_SEG_PSH : 0));
	CHECK(!s->len || m.nxt - m.una <= m.snd_wnd);
}

static void run_output(const struct insn *i)
{
	const bool stuck = ol_tcp_stuck(&f.st, &f.c);
	const bool held = i->a & OL_TCP_MORE || f.c.flags & ONLOAD_C_CORK;
	const bool owed = f.st.ack_ms;
	const bool now = f.st.flags & ONLOAD_S_ACK_NOW || i->a & OL_TCP_ACK;
	const int max = (int)(i->b % 9);
	struct onload_seg segs[8];
	int n, k;

	n = flow_output(&f, i->a & (OL_TCP_MORE | OL_TCP_ACK), segs, max);
	CHECK(n >= 0 && n <= max);
	for (k = 0; k < n; k++) {
		CHECK(segs[k].len <= ONLOAD_SEG_MAX);
		CHECK(segs[k].reserved == 0);
		CHECK(segs[k].len || n == 1);
		if (!m.silent)
			check_request(&segs[k]);
	}
	if (m.silent)
		return;
	if (stuck)
		CHECK(!n || !segs[0].len);
	if (max && owed && now)
		CHECK(n);
	if (n)
		CHECK(!f.st.ack_ms && !f.st.ack_bytes);
	/* Whatever stays unsent, something will move it on. */
	if (max && !n && !held && m.nxt == m.una && m.nxt != m.wrote)
		CHECK(stuck);
	if (m.wrote != m.una)
		CHECK(f.st.deadline_ms);
}

static void run_insn(const struct insn *i)
{
	const uint32_t flags = ONLOAD_C_NODELAY | ONLOAD_C_CORK |
			       ONLOAD_C_QUICKACK;
	uint32_t word;

	switch (i->op) {
	case OP_SEGMENT:
	case OP_BENT:
		run_segment(i);
		break;
	case OP_SCRIBBLE:
		memcpy(f.rx + (f.st.rx_cons + i->a) % RING, &i->b, 4);
		m.silent = true;
		break;
	case OP_RX:
		run_rx();
		break;
	case OP_READ:
	case OP_PEEK:
		run_read(i);
		break;
	case OP_WRITE:
		run_write(i);
		break;
	case OP_OUTPUT:
		run_output(i);
		break;
	case OP_CLOCK:
		flow_advance(&f, i->a);
		f.now.us += i->b;
		break;
	case OP_FLAGS:
		f.c.flags = (f.c.flags & ~flags) | (i->a & flags);
		break;
	case OP_STATE:
		word = i->x % (sizeof(f.st) / 4);
		memcpy((uint8_t *)&f.st + word * 4, &i->b, 4);
		m.silent = true;
		m.hostile = true;
		break;
	}
}

static void set_up(const struct setup *s)
{
	memset(f.rx, 0, RING);
	memset(f.r.tx, 0, RING);
	flow_reset(&f, s->flags & 0xf, 0u - 32u * s->isn);
	f.c.mss = s->mss > 8 ? s->mss : 8;
	f.c.advmss = f.c.mss;
	f.c.rcv_wscale = s->wscale % 16 % 15;
	f.c.snd_wscale = s->wscale / 16 % 15;
	f.st.cwnd = s->cwnd ? s->cwnd : 1;
	f.st.rcv_mss = f.c.mss < 536 ? f.c.mss : 536;
	f.st.rcv_wnd &= ~((1u << f.c.rcv_wscale) - 1);
	if (f.st.rcv_wnd > 65535u << f.c.rcv_wscale)
		f.st.rcv_wnd = 65535u << f.c.rcv_wscale;
	f.st.snd_wnd = (uint32_t)s->wnd << f.c.snd_wscale;
	f.st.max_window = f.st.snd_wnd;

	m.silent = false;
	m.hostile = false;
	m.una = f.st.snd_una;
	m.nxt = m.una;
	m.wrote = m.una;
	m.snd_wnd = f.st.snd_wnd;
	m.rcv = f.st.rcv_nxt;
	m.copied = m.rcv;
	m.edge = m.rcv + f.st.rcv_wnd;
	m.last_ack = m.rcv;
	m.ts_recent = f.st.ts_recent;
	m.peer_seq = m.rcv;
	m.peer_ack = m.una;
	m.peer_wnd = s->wnd;
	m.first = 0;
	m.end = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct setup setup;
	struct insn insn;

	if (!f.rx)
		flow_open(&f, RING, RING);
	if (size < sizeof(setup))
		return 0;
	memcpy(&setup, data, sizeof(setup));
	set_up(&setup);
	for (data += sizeof(setup), size -= sizeof(setup); size >= sizeof(insn);
	     data += sizeof(insn), size -= sizeof(insn)) {
		memcpy(&insn, data, sizeof(insn));
		insn.op %= OP_LAST + 1;
		run_insn(&insn);
		/* A write is a half: output is what publishes a deadline. */
		if (insn.op != OP_WRITE)
			check_state();
	}
	return 0;
}

/* Changes a program by whole instructions, most of the time. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned int seed)
{
	const size_t unit = sizeof(struct insn), first = sizeof(struct setup);
	size_t n, at, from;
	uint8_t *p;

	if (size < first + unit || max < size + unit || seed % 8 == 0)
		return LLVMFuzzerMutate(data, size, max);
	n = (size - first) / unit;
	size = first + n * unit;
	at = (seed >> 3) % n;
	from = (seed >> 13) % n;
	p = data + first + at * unit;

	switch (seed % 8) {
	case 1: /* insert one */
	case 2: /* repeat one elsewhere */
		memmove(p + unit, p, (n - at) * unit);
		if (seed % 8 == 1) {
			memset(p, 0, unit);
			p[0] = (uint8_t)((seed >> 20) % (OP_LAST + 1));
			LLVMFuzzerMutate(p + 1, unit - 1, unit - 1);
		} else {
			from += from >= at;
			memcpy(p, data + first + from * unit, unit);
		}
		return size + unit;
	case 3: /* drop one */
		memmove(p, p + unit, (n - at - 1) * unit);
		return size - unit;
	case 4: /* the set-up */
		LLVMFuzzerMutate(data, first, first);
		return size;
	case 5: /* the operation only */
		p[0] = (uint8_t)((seed >> 20) % (OP_LAST + 1));
		return size;
	default: /* the arguments */
		LLVMFuzzerMutate(p + 1, unit - 1, unit - 1);
		return size;
	}
}
