// SPDX-License-Identifier: LGPL-2.1-or-later
/* Two instances of userlib/tcp.c, a link with delay between them, and random
 * sizes of everything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peer.h"

struct packet {
	struct packet *next;
	struct wire w;
	uint8_t payload[];
};

struct end {
	struct flow f;
	struct packet *first, **last; /* on the way to this end */
	uint32_t seed;		      /* of the stream that it sends */
	uint64_t sent, rcvd;
	uint64_t sum_sent, sum_rcvd; /* FNV-1a */
};

static uint32_t rnd_state;
static struct onload_seg segs[ONLOAD_KICK_MAX];

static uint32_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 17;
	rnd_state ^= rnd_state << 5;
	return rnd_state;
}

static uint64_t checksum(uint64_t sum, const uint8_t *at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum = (sum ^ at[i]) * 0x100000001b3ull;
	return sum;
}

static void end_open(struct end *e, uint32_t flags, uint32_t isn)
{
	flow_open(&e->f, 131072, 65536);
	flow_reset(&e->f, flags, isn);
	e->f.st.snd_wnd = 512 << 7;
	e->first = NULL;
	e->last = &e->first;
	e->sent = 0;
	e->rcvd = 0;
	e->sum_sent = 0xcbf29ce484222325ull;
	e->sum_rcvd = e->sum_sent;
}

static void end_close(struct end *e)
{
	assert_null(e->first);
	flow_close(&e->f);
}

static void transmit(struct end *from, struct end *to,
		     const struct onload_seg *seg)
{
	const struct flow *t = &from->f;
	struct packet *p = malloc(sizeof(*p) + seg->len);

	assert_non_null(p);
	memcpy(p->payload, t->r.tx + (seg->seq & (t->c.tx_size - 1)), seg->len);
	assert_int_equal(seg->wnd % (1u << t->c.rcv_wscale), 0);
	p->next = NULL;
	p->w = (struct wire){
		.seq = seg->seq,
		.ack = seg->ack,
		.tsval = t->now.ms + 5000,
		.tsecr = seg->tsecr,
		.len = seg->len,
		.wnd = (uint16_t)(seg->wnd >> t->c.rcv_wscale),
		.flags = TH_ACK | (seg->flags & ONLOAD_SEG_PSH ? TH_PSH : 0),
		.gso_size = (uint16_t)(seg->len > t->c.mss ? t->c.mss : 0),
		.payload = p->payload,
	};
	if (t->c.flags & ONLOAD_C_TSTAMP)
		wire_timestamps(&p->w);
	*to->last = p;
	to->last = &p->next;
}

static void deliver(struct end *e, uint32_t count)
{
	struct packet *p;

	while (e->first && count--) {
		p = e->first;
		assert_true(flow_arrive(&e->f, &p->w));
		e->first = p->next;
		if (!e->first)
			e->last = &e->first;
		free(p);
	}
}

static void end_send(struct end *e, uint64_t total)
{
	static uint8_t buf[20000];
	struct iovec iov = { buf, 0 };
	size_t i, n;

	iov.iov_len = rnd() % (rnd() % 4 ? 2000 : sizeof(buf));
	if (iov.iov_len > total - e->sent)
		iov.iov_len = total - e->sent;
	for (i = 0; i < iov.iov_len; i++)
		buf[i] = (uint8_t)rnd();
	n = ol_tcp_write(&e->f.st, &e->f.c, &e->f.r, &iov, 1, 0, iov.iov_len,
			 e->f.st.snd_una);
	e->sum_sent = checksum(e->sum_sent, buf, n);
	e->sent += n;
}

static void end_read(struct end *e)
{
	static uint8_t buf[30000];
	struct iovec iov[2] = { { buf, rnd() % 1000 } };
	size_t n;

	iov[1].iov_base = buf + iov[0].iov_len;
	iov[1].iov_len = sizeof(buf) - iov[0].iov_len;
	n = ol_tcp_read(&e->f.st, &e->f.c, &e->f.r, iov, 2, rnd() % sizeof(buf),
			false);
	assert_int_not_equal(n, SIZE_MAX);
	e->sum_rcvd = checksum(e->sum_rcvd, buf, n);
	e->rcvd += n;
}

static void step(struct end *e, struct end *peer, uint64_t total)
{
	const char *broken;
	unsigned int how = 0;
	int i, n;

	deliver(e, rnd() % 8);
	assert_int_equal(flow_rx(&e->f), ONLOAD_R_NONE);
	if (rnd() % 3)
		end_read(e);
	if (e->sent < total && rnd() % 2)
		end_send(e, total);
	if (rnd() % 16 == 0 && e->sent < total)
		how |= OL_TCP_MORE;
	if (rnd() % 8 == 0)
		how |= OL_TCP_ACK;
	n = flow_output(&e->f, how, segs, 1 + (int)(rnd() % 4));
	for (i = 0; i < n; i++)
		transmit(e, peer, &segs[i]);
	broken = flow_broken(&e->f);
	if (broken)
		fail_msg("broken: %s", broken);
	flow_advance(&e->f, rnd() % 4 == 0);
}

static void talk(uint32_t flags, uint64_t a_total, uint64_t b_total)
{
	static struct end a, b;
	uint64_t rounds = 0;

	rnd_state = 2463534242u + flags;
	end_open(&a, flags, 0xffff0000u);
	end_open(&b, flags, 0xffff0000u);
	a.f.c.flags |= ONLOAD_C_NODELAY;
	while (a.rcvd < b_total || b.rcvd < a_total || a.first || b.first ||
	       a.f.st.snd_una != a.f.st.write_seq ||
	       b.f.st.snd_una != b.f.st.write_seq) {
		step(&a, &b, a_total);
		step(&b, &a, b_total);
		assert_true(rounds++ < 1000000);
	}
	assert_int_equal(b.rcvd, a_total);
	assert_int_equal(a.rcvd, b_total);
	assert_true(a.sum_sent == b.sum_rcvd);
	assert_true(b.sum_sent == a.sum_rcvd);
	assert_true(a.f.st.cwnd > 10);
	end_close(&a);
	end_close(&b);
}

static void talk_one_way(void **state)
{
	(void)state;
	talk(0, 4000000, 0);
}

static void talk_both_ways(void **state)
{
	(void)state;
	talk(ONLOAD_C_TSTAMP, 3000000, 3000000);
}

static void talk_ping_pong(void **state)
{
	static struct end a, b;
	struct end *e = &a, *peer = &b, *t;
	int i, n;

	(void)state;
	end_open(&a, ONLOAD_C_TSTAMP, 77);
	end_open(&b, ONLOAD_C_TSTAMP, 77);
	for (i = 0; i < 20000; i++) {
		assert_int_equal(flow_write(&e->f, 64), 64);
		n = flow_output(&e->f, 0, segs, 64);
		assert_int_equal(n, 1); /* never a pure acknowledgement */
		transmit(e, peer, &segs[0]);
		deliver(peer, 1);
		assert_int_equal(flow_rx(&peer->f), ONLOAD_R_NONE);
		assert_int_equal(flow_read(&peer->f, 100, false), 64);
		flow_advance(&a.f, 1);
		flow_advance(&b.f, 1);
		t = e;
		e = peer;
		peer = t;
	}
	assert_int_equal(a.f.st.rto_ms, 201);
	end_close(&a);
	end_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(talk_one_way),
		cmocka_unit_test(talk_both_ways),
		cmocka_unit_test(talk_ping_pong),
	};

	return cmocka_run_group_tests_name("tcp-talk", tests, NULL, NULL);
}
