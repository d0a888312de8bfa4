// SPDX-License-Identifier: LGPL-2.1-or-later
/* Unit tests of userlib/tcp_short.c: what a short cut takes, it does to the
 * bit as the long way does, whatever state and record hold; and it does take
 * what it is there for.
 */
#include "unit.h"

#define TURNS 200000

static uint32_t rnd_state = 88172645;
static uint8_t bytes[2][65536];
static struct onload_tcp_state next;

static uint32_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 17;
	rnd_state ^= rnd_state << 5;
	return rnd_state;
}

static size_t short_recv(size_t len)
{
	return ol_tcp_short_recv(&f.st, &next, &f.c, &f.r, f.prod, f.now,
				 bytes[0], len);
}

/* Both ways from here; the flow is left as the long way has it. */
static bool same_recv(size_t len)
{
	struct iovec iov = { .iov_base = bytes[1], .iov_len = len };
	size_t n = short_recv(len);

	if (!n)
		return false;
	assert_int_equal(flow_rx(&f), ONLOAD_R_NONE);
	assert_int_equal(ol_tcp_read(&f.st, &f.c, &f.r, &iov, 1, len, false),
			 n);
	assert_int_equal(flow_output(&f, 0, segs, ONLOAD_KICK_MAX), 0);
	assert_memory_equal(bytes[0], bytes[1], n);
	assert_memory_equal(&next, &f.st, sizeof(next));
	return true;
}

static bool same_send(size_t len)
{
	struct iovec iov = { .iov_base = bytes[1], .iov_len = len };
	uint8_t *at = f.r.tx + (f.st.write_seq & (f.c.tx_size - 1));
	struct onload_seg seg = {};

	pattern_fill(bytes[1], f.st.write_seq, len);
	if (!ol_tcp_short_send(&f.st, &next, &f.c, &f.r, f.prod, f.now,
			       bytes[1], len, &seg))
		return false;
	assert_memory_equal(at, bytes[1], len);
	memset(at, 0, len);
	memset(segs, 0, sizeof(segs[0]));
	assert_int_equal(ol_tcp_write(&f.st, &f.c, &f.r, &iov, 1, 0, len,
				      f.st.snd_una),
			 len);
	assert_int_equal(flow_output(&f, 0, segs, ONLOAD_KICK_MAX), 1);
	assert_memory_equal(at, bytes[1], len);
	assert_memory_equal(&next, &f.st, sizeof(next));
	assert_memory_equal(&seg, &segs[0], sizeof(seg));
	return true;
}

/* One in so many is not what a peer sends, or an application does. */
static void disturb(void *at, size_t len, uint32_t one_in)
{
	if (rnd() % one_in == 0)
		((uint8_t *)at)[rnd() % len] ^= (uint8_t)(1u << rnd() % 8);
}

static unsigned int turns(uint32_t flags, uint32_t one_in)
{
	unsigned int taken = 0;
	struct wire w;
	uint32_t at;

	flow_reset(&f, flags, 0xffff0000u);
	for (int i = 0; i < TURNS; i++) {
		w = wire_next(&f, rnd() % 8 ? 1 + rnd() % 1400 : 0);
		if (rnd() % 16 == 0)
			w.ack = f.st.snd_una;
		at = f.prod & (RX_SIZE - 1);
		if (flow_arrive(&f, &w))
			disturb(f.rx + at, 64, one_in);
		disturb(&f.st, sizeof(f.st), one_in);
		f.now.ms += rnd() % 8;
		f.now.us += rnd() % 8000;
		taken += same_recv(rnd() % 1500);
		/* What it did not take; and anew after nonsense. */
		if (flow_rx(&f) || flow_broken(&f)) {
			flow_reset(&f, flags, rnd());
			continue;
		}
		if (rnd() % 4)
			taken += same_send(1 + rnd() % 1500);
		if (rnd() % 2)
			flow_read(&f, RX_SIZE, false);
		if (rnd() % 2)
			flow_output(&f, rnd() % 4, segs, ONLOAD_KICK_MAX);
	}
	return taken;
}

static void same_if_sound(void **state)
{
	(void)state;
	assert_true(turns(ONLOAD_C_TSTAMP | ONLOAD_C_NODELAY, UINT32_MAX) >
		    TURNS / 4);
	assert_true(turns(0, UINT32_MAX) > TURNS / 4);
}

static void same_if_disturbed(void **state)
{
	(void)state;
	assert_true(turns(ONLOAD_C_TSTAMP, 3) > TURNS / 4);
	assert_true(turns(ONLOAD_C_NODELAY | ONLOAD_C_QUICKACK, 3) > TURNS / 4);
}

static void request_and_reply(void **state)
{
	struct wire w;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_true(same_send(64));
		w = wire_next(&f, 64);
		assert_true(flow_arrive(&f, &w));
		assert_true(same_recv(100));
		flow_advance(&f, 1);
	}
}

/* Nothing to read, a part of it, more than one segment: the long way */
static void left_alone(void **state)
{
	struct wire w = wire_next(&f, 100);
	struct onload_seg seg;

	(void)state;
	assert_int_equal(short_recv(100), 0);
	assert_true(flow_arrive(&f, &w));
	assert_int_equal(short_recv(99), 0);
	assert_int_equal(short_recv(100), 100);
	/* A record that was not processed may hold the acknowledgement. */
	assert_false(ol_tcp_short_send(&f.st, &next, &f.c, &f.r, f.prod, f.now,
				       bytes[1], 1, &seg));
	w.seq += 100;
	assert_true(flow_arrive(&f, &w));
	assert_int_equal(short_recv(1000), 0);
}

static void windows(void **state)
{
	struct onload_seg seg;

	(void)state;
	assert_false(same_send(f.c.mss + 1));
	f.st.snd_wnd = 64;
	assert_true(same_send(64));
	assert_false(same_send(1));
	f.st.snd_wnd = 512 << 7;
	f.st.cwnd = 1;
	assert_false(same_send(f.c.mss));
	/* Nagle */
	f.st.cwnd = 10;
	assert_false(same_send(1));
	assert_true(same_send(f.c.mss));
	f.c.flags |= ONLOAD_C_NODELAY;
	assert_true(same_send(1));
	f.c.flags |= ONLOAD_C_CORK;
	assert_false(ol_tcp_short_send(&f.st, &next, &f.c, &f.r, f.prod, f.now,
				       bytes[1], 1, &seg));
}

static void nonsense(void **state)
{
	struct onload_seg seg;

	(void)state;
	f.st.snd_una = f.st.snd_nxt - TX_SIZE - 1;
	f.st.snd_wnd = 4 * TX_SIZE;
	f.st.cwnd = 10000;
	assert_false(ol_tcp_short_send(&f.st, &next, &f.c, &f.r, f.prod, f.now,
				       bytes[1], f.c.mss, &seg));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_NONSENSE(same_if_sound, plain),
		T_NONSENSE(same_if_disturbed, plain),
		T(request_and_reply, stamped),
		T(left_alone, stamped),
		T(windows, plain),
		T_NONSENSE(nonsense, plain),
	};

	return cmocka_run_group_tests_name("tcp-short", tests, open_rings,
					   close_rings);
}
