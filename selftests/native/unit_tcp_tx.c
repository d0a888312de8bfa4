// SPDX-License-Identifier: LGPL-2.1-or-later
/* Unit tests of userlib/tcp.c from ol_tcp_write on, likewise. */
#include "unit.h"

/* ol_tcp_write */

static void write_iov(void **state)
{
	uint8_t a[10], b[20], d[30];
	struct iovec iov[] = {
		{ a, 10 },
		{ NULL, 0 },
		{ b, 20 },
		{ d, 30 },
	};

	(void)state;
	pattern_fill(a, ISN, 10);
	pattern_fill(b, ISN + 10, 20);
	pattern_fill(d, ISN + 30, 30);
	assert_int_equal(ol_tcp_write(&f.st, &f.c, &f.r, iov, 4, 0, 15, ISN),
			 15);
	assert_int_equal(ol_tcp_write(&f.st, &f.c, &f.r, iov, 4, 15, 20, ISN),
			 20);
	assert_int_equal(ol_tcp_write(&f.st, &f.c, &f.r, iov, 4, 35, 90, ISN),
			 25);
	assert_int_equal(ol_tcp_write(&f.st, &f.c, &f.r, iov, 4, 60, 1, ISN),
			 0);
	assert_int_equal(ol_tcp_write(&f.st, &f.c, &f.r, iov, 4, 99, 1, ISN),
			 0);
	assert_int_equal(f.st.write_seq, ISN + 60);
	assert_true(pattern_holds(f.r.tx + ISN, ISN, 60));
}

static void write_space(void **state)
{
	(void)state;
	flow_reset(&f, 0, TX_SIZE - 100); /* wraps at once */
	assert_int_equal(flow_write(&f, TX_SIZE + 5), TX_SIZE);
	assert_int_equal(flow_write(&f, 1), 0);
	assert_true(pattern_holds(f.r.tx + TX_SIZE - 100, TX_SIZE - 100, 100));
	assert_true(pattern_holds(f.r.tx, TX_SIZE, TX_SIZE - 100));

	/* What only an uncommitted state calls acknowledged stays. */
	flow_output(&f, 0, segs, 64);
	acknowledge(TX_SIZE);
	assert_int_equal(ol_tcp_space(&f.st, &f.c, TX_SIZE - 100), 0);
	assert_int_equal(ol_tcp_space(&f.st, &f.c, f.st.snd_una), 100);
	assert_int_equal(flow_write(&f, 200), 100);
	f.st.write_seq += 17; /* nonsense */
	assert_int_equal(flow_write(&f, 1), 0);
}

/* sendable */

static void send_full_segments(void **state)
{
	(void)state;
	f.st.cwnd = 1000;
	f.st.snd_wnd = 1000000;
	f.st.max_window = 1000000;
	assert_int_equal(flow_write(&f, 100000), 100000);
	assert_int_equal(flow_output(&f, 0, segs, 1), 1);
	assert_int_equal(segs[0].seq, ISN);
	assert_int_equal(segs[0].len, ONLOAD_SEG_MAX / 1460 * 1460);
	assert_int_equal(segs[0].flags, 0);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].seq, ISN + ONLOAD_SEG_MAX / 1460 * 1460);
	assert_int_equal(segs[0].len, 100000 - ONLOAD_SEG_MAX / 1460 * 1460);
	assert_int_equal(segs[0].flags, ONLOAD_SEG_PSH);
}

static void send_mss_of_loopback(void **state)
{
	(void)state;
	f.c.mss = 65483;
	f.st.snd_wnd = 200000;
	f.st.max_window = 200000;
	assert_int_equal(flow_write(&f, 130000), 130000);
	assert_int_equal(flow_output(&f, 0, segs, 64), 3);
	assert_int_equal(segs[0].len, ONLOAD_SEG_MAX);
	assert_int_equal(segs[2].len, 130000 - 2 * ONLOAD_SEG_MAX);
}

static void send_window(void **state)
{
	(void)state;
	f.st.snd_wnd = 4000;
	assert_int_equal(flow_write(&f, 10000), 10000);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 2 * 1460); /* not the 1080 after it */
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	assert_false(ol_tcp_stuck(&f.st, &f.c));
}

static void send_window_shrunk(void **state)
{
	struct wire w;

	(void)state;
	send_bytes(5000);
	assert_int_equal(flow_write(&f, 5000), 5000);
	w = wire_next(&f, 0);
	w.ack = ISN + 1;
	w.wnd = 1;
	assert_taken(&w);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
}

static void send_silly_window(void **state)
{
	(void)state;
	f.st.snd_wnd = 1000;
	f.st.max_window = 2002;
	assert_int_equal(flow_write(&f, 3000), 3000);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	assert_true(ol_tcp_stuck(&f.st, &f.c));
	f.st.max_window = 2000;
	assert_false(ol_tcp_stuck(&f.st, &f.c));
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 1000);
	assert_int_equal(segs[0].flags, 0);
}

/* hold_partial, next_len */

static void nagle(void **state)
{
	(void)state;
	assert_int_equal(flow_write(&f, 100), 100);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].flags, ONLOAD_SEG_PSH);
	assert_int_equal(flow_write(&f, 100), 100);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	assert_false(ol_tcp_stuck(&f.st, &f.c));

	/* Full segments go, and the rest follows when the first is there. */
	assert_int_equal(flow_write(&f, 1460), 1460);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 1460);
	assert_int_equal(segs[0].flags, 0);
	acknowledge(ISN + 100);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 100);
	assert_int_equal(segs[0].flags, ONLOAD_SEG_PSH);
}

/* A partial segment behind full ones does not wait for a delayed ACK. */
static void nagle_minshall(void **state)
{
	(void)state;
	send_bytes(1460);
	assert_int_equal(flow_write(&f, 1560), 1560);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 1560);
	assert_int_equal(flow_write(&f, 10), 10);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
}

static void nagle_off(void **state)
{
	(void)state;
	f.c.flags |= ONLOAD_C_NODELAY;
	send_bytes(100);
	assert_int_equal(flow_write(&f, 1), 1);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 1);
}

static void cork_and_more(void **state)
{
	(void)state;
	f.c.flags |= ONLOAD_C_CORK | ONLOAD_C_NODELAY;
	assert_int_equal(flow_write(&f, 2000), 2000);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 1460);
	assert_int_equal(segs[0].flags, 0);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	f.c.flags &= ~(uint32_t)ONLOAD_C_CORK;
	assert_int_equal(flow_output(&f, OL_TCP_MORE, segs, 64), 0);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 540);
	assert_int_equal(segs[0].flags, ONLOAD_SEG_PSH);
}

/* window, ack_due */

static void window_never_shrinks(void **state)
{
	uint32_t edge = f.st.rcv_wup + f.st.rcv_wnd, i, was;

	(void)state;
	for (i = 0; i < 150; i++) {
		arrive(1001);
		assert_int_equal(flow_output(&f, OL_TCP_ACK, segs, 64), 1);
		assert_int_equal(segs[0].wnd % 128, 0);
		was = edge;
		edge = segs[0].ack + segs[0].wnd;
		assert_true((int32_t)(edge - was) >= 0);
		/* Beyond the rounding, it moves into free space only. */
		if (edge - was >= 128)
			assert_true(segs[0].wnd <= (RX_SIZE - f.prod) / 2);
	}
}

static void window_update(void **state)
{
	uint32_t n = 0;

	(void)state;
	while (f.st.rcv_wup + f.st.rcv_wnd - f.st.rcv_nxt >= 1460) {
		arrive(1460);
		flow_output(&f, 0, segs, 64);
		n++;
	}
	flow_output(&f, OL_TCP_ACK, segs, 64);
	assert_in_range(n, RX_SIZE / 2 / 1460, RX_SIZE / 1460 - 1);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);

	/* A little room is not worth a segment; double of it is. */
	assert_int_equal(flow_read(&f, 1460, false), 1460);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	assert_int_equal(flow_read(&f, RX_SIZE, false), (n - 1) * 1460);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 0);
	assert_int_equal(segs[0].wnd, RX_SIZE / 2);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
}

static void window_small_steps(void **state)
{
	(void)state;
	f.st.rcv_wnd = RX_SIZE / 2 - 1280;
	arrive(1);
	assert_int_equal(flow_read(&f, 1, false), 1);
	assert_int_equal(flow_output(&f, OL_TCP_ACK, segs, 64), 1);
	assert_int_equal(segs[0].wnd, RX_SIZE / 2 - 1280);
	arrive(1000);
	assert_int_equal(flow_read(&f, 1000, false), 1000);
	assert_int_equal(flow_output(&f, OL_TCP_ACK, segs, 64), 1);
	assert_int_equal(segs[0].wnd, RX_SIZE / 2);
}

static void window_unscaled(void **state)
{
	(void)state;
	f.c.rcv_wscale = 0;
	f.st.rcv_wnd = 65535;
	arrive(3000);
	assert_int_equal(flow_read(&f, 3000, false), 3000);
	assert_int_equal(flow_output(&f, OL_TCP_ACK, segs, 64), 1);
	assert_int_equal(segs[0].wnd, 65535);
}

static void ack_when_late(void **state)
{
	(void)state;
	arrive(1);
	flow_advance(&f, 39);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	flow_advance(&f, 1);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
}

/* ol_tcp_output */

static void output_piggybacks(void **state)
{
	(void)state;
	arrive(64);
	assert_int_equal(flow_read(&f, 64, false), 64);
	assert_int_equal(flow_write(&f, 64), 64);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].ack, ISN + 64);
	assert_int_equal(segs[0].tsecr, f.st.ts_recent);
	assert_int_equal(segs[0].reserved, 0);
	assert_int_equal(f.st.ts_seq, ISN + 64);
	assert_int_equal(f.st.rcv_wup, ISN + 64);
	assert_int_equal(f.st.rcv_wnd, segs[0].wnd);
	assert_int_equal(f.st.ack_ms, 0);
	assert_int_equal(flow_output(&f, OL_TCP_ACK, segs, 64), 0);
}

static void output_no_room(void **state)
{
	(void)state;
	arrive(3000);
	assert_int_equal(flow_write(&f, 64), 64);
	assert_int_equal(flow_output(&f, OL_TCP_ACK, segs, 0), 0);
	assert_int_equal(f.st.flags, ONLOAD_S_ACK_NOW);
	assert_int_equal(f.st.snd_nxt, ISN);
	assert_int_not_equal(f.st.deadline_ms, 0);
}

/* ol_tcp_stuck */

static void stuck_zero_window(void **state)
{
	struct wire w;

	(void)state;
	assert_false(ol_tcp_stuck(&f.st, &f.c));
	send_bytes(1000);
	assert_int_equal(flow_write(&f, 1000), 1000);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	assert_false(ol_tcp_stuck(&f.st, &f.c));
	w = wire_next(&f, 0);
	w.wnd = 0;
	assert_taken(&w);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	assert_true(ol_tcp_stuck(&f.st, &f.c));
	assert_int_not_equal(f.st.deadline_ms, 0);
	w.wnd = 8;
	assert_taken(&w);
	assert_false(ol_tcp_stuck(&f.st, &f.c));
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
}

static void stuck_not_when_corked(void **state)
{
	(void)state;
	f.c.flags |= ONLOAD_C_CORK;
	assert_int_equal(flow_write(&f, 10), 10);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	assert_false(ol_tcp_stuck(&f.st, &f.c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(write_iov, plain),	       T_NONSENSE(write_space, plain),
		T(send_full_segments, plain),  T(send_mss_of_loopback, plain),
		T(send_window, plain),	       T(send_window_shrunk, plain),
		T(send_silly_window, plain),   T(nagle, plain),
		T(nagle_minshall, plain),      T(nagle_off, plain),
		T(cork_and_more, plain),       T(window_never_shrinks, plain),
		T(window_update, plain),       T(window_small_steps, plain),
		T(window_unscaled, plain),     T(ack_when_late, plain),
		T(output_piggybacks, stamped), T(output_no_room, plain),
		T(stuck_zero_window, plain),   T(stuck_not_when_corked, plain),
	};

	return cmocka_run_group_tests_name("tcp-tx", tests, open_rings,
					   close_rings);
}
