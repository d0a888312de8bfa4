// SPDX-License-Identifier: LGPL-2.1-or-later
/* Unit tests of userlib/tcp.c from sample_rtt() to ol_tcp_read(), likewise. */
#include "unit.h"

/* sample_rtt */

static void round_trip(uint32_t us)
{
	send_bytes(100);
	assert_int_not_equal(f.st.rtt_start_us, 0);
	f.now.us += us;
	acknowledge(f.st.snd_nxt);
	assert_int_equal(f.st.rtt_start_us, 0);
}

static void rtt_numbers(void **state)
{
	(void)state;
	round_trip(100000);
	assert_int_equal(f.st.srtt_us, 800000);
	assert_int_equal(f.st.rttvar_us, 200000);
	assert_int_equal(f.st.rto_ms, 300);

	round_trip(
		180000); /* err 80000: srtt 110000, var 0.75 * 200000 + err */
	assert_int_equal(f.st.srtt_us, 880000);
	assert_int_equal(f.st.rttvar_us, 230000);
	assert_int_equal(f.st.rto_ms, 340);

	round_trip(30000); /* err -80000 */
	assert_int_equal(f.st.srtt_us, 800000);
	assert_int_equal(f.st.rttvar_us, 252500);
	assert_int_equal(f.st.rto_ms, 352);
}

static void rtt_bounds(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		round_trip(0);
	assert_int_equal(f.st.rttvar_us, 200000);
	assert_int_equal(f.st.rto_ms, 200);
	round_trip(0xfffffff0u);
	assert_int_equal(f.st.rto_ms, 120000);
	for (i = 0; i < 10; i++)
		round_trip(200000000);
	assert_int_equal(f.st.rto_ms, 120000);
	for (i = 0; i < 200; i++)
		round_trip(50);
	assert_int_equal(f.st.rto_ms, 200);
}

static void rtt_clock_wrap(void **state)
{
	(void)state;
	f.now.us = 0xffffffffu - 10;
	round_trip(50000);
	assert_int_equal(f.st.srtt_us, 400000);
	f.now.us = 0; /* 0 means "not read": none is timed */
	send_bytes(100);
	assert_int_equal(f.st.rtt_start_us, 0);
	acknowledge(f.st.snd_nxt);
	assert_int_equal(f.st.srtt_us, 400000);
}

static void rtt_one_at_a_time(void **state)
{
	(void)state;
	send_bytes(100);
	f.now.us += 1000;
	f.c.flags = ONLOAD_C_NODELAY;
	send_bytes(100);
	assert_int_equal(f.st.rtt_seq, ISN + 100);
	acknowledge(ISN + 99); /* does not cover it */
	assert_int_equal(f.st.srtt_us, 0);
	f.now.us += 1000;
	acknowledge(ISN + 100);
	assert_int_equal(f.st.srtt_us, 2000 * 8);
	acknowledge(ISN + 200);
	assert_int_equal(f.st.srtt_us, 2000 * 8);
}

/* grow_cwnd */

static void cwnd_slow_start(void **state)
{
	(void)state;
	send_bytes(10 * 1460);
	acknowledge(ISN + 2 * 1460);
	assert_int_equal(f.st.cwnd, 12);
	acknowledge(ISN + 10 * 1460);
	assert_int_equal(f.st.cwnd, 20);
	assert_int_equal(f.st.cwnd_cnt, 0);

	send_bytes(9 * 1460); /* less than half of it: proves nothing */
	acknowledge(f.st.snd_nxt);
	assert_int_equal(f.st.cwnd, 20);
	send_bytes(10 * 1460);
	acknowledge(f.st.snd_nxt);
	assert_int_equal(f.st.cwnd, 30);

	f.st.ssthresh = 32;
	send_bytes(25 * 1460);
	acknowledge(f.st.snd_nxt);
	assert_int_equal(f.st.cwnd, 32);
}

static void cwnd_avoidance(void **state)
{
	int i;

	(void)state;
	f.st.ssthresh = 10;
	for (i = 0; i < 3; i++) {
		send_bytes((10 + (uint32_t)i) * 1460);
		acknowledge(f.st.snd_nxt);
		assert_int_equal(f.st.cwnd, 11 + i);
	}
	send_bytes(10 * 1460); /* not limited by cwnd 13 */
	acknowledge(f.st.snd_nxt);
	assert_int_equal(f.st.cwnd_cnt, 0);
	send_bytes(13 * 1460);
	acknowledge(f.st.snd_una + 6 * 1460);
	assert_int_equal(f.st.cwnd, 13);
	assert_int_equal(f.st.cwnd_cnt, 6 * 1460);
}

/* Several records in one batch count like one. */
static void cwnd_batch(void **state)
{
	struct wire w;
	uint32_t i;

	(void)state;
	send_bytes(10 * 1460);
	w = wire_next(&f, 0);
	for (i = 1; i <= 5; i++) {
		w.ack = ISN + i * 2 * 1460;
		assert_true(flow_arrive(&f, &w));
	}
	assert_int_equal(flow_rx(&f), ONLOAD_R_NONE);
	assert_int_equal(f.st.cwnd, 20);
}

static void cwnd_limits_output(void **state)
{
	(void)state;
	f.st.cwnd = 3;
	assert_int_equal(flow_write(&f, 10000), 10000);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 3 * 1460);
	assert_int_equal(segs[0].flags, 0);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	acknowledge(ISN + 1460);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 2 * 1460);
}

/* take_ack */

static void ack_window_update(void **state)
{
	struct wire w = wire_next(&f, 0);

	(void)state;
	w.wnd = 1000;
	assert_taken(&w);
	assert_int_equal(f.st.snd_wnd, 128000);
	assert_int_equal(f.st.max_window, 128000);
	w.wnd = 3;
	assert_taken(&w);
	assert_int_equal(f.st.snd_wnd, 384);
	assert_int_equal(f.st.max_window, 128000);
	assert_int_equal(f.st.snd_wl1, f.st.rcv_nxt);
	f.st.snd_wl1 = f.st.rcv_nxt + 1; /* a later segment was seen */
	w.wnd = 5;
	assert_taken(&w);
	assert_int_equal(f.st.snd_wnd, 384);
}

/* take_payload */

static void payload_delayed_ack(void **state)
{
	(void)state;
	arrive(1460);
	assert_int_equal(f.st.flags, 0);
	assert_int_equal(f.st.ack_ms, f.now.ms + 40);
	assert_int_equal(f.st.deadline_ms, f.st.ack_ms);
	assert_int_equal(flow_output(&f, 0, segs, 64), 0);
	flow_advance(&f, 10);
	arrive(1);
	assert_int_equal(f.st.ack_ms, f.now.ms + 30);
	assert_int_equal(f.st.flags, ONLOAD_S_ACK_NOW);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].len, 0);
	assert_int_equal(segs[0].seq, ISN);
	assert_int_equal(segs[0].ack, ISN + 1461);
	assert_int_equal(f.st.ack_ms, 0);
	assert_int_equal(f.st.ack_bytes, 0);
	assert_int_equal(f.st.deadline_ms, 0);
	assert_int_equal(flow_output(&f, OL_TCP_ACK, segs, 64), 0);
}

static void payload_ack_never_at_zero(void **state)
{
	(void)state;
	f.now.ms = 0u - 40;
	arrive(1);
	assert_int_equal(f.st.ack_ms, 1);
	assert_int_equal(f.st.deadline_ms, 1);
}

static void payload_quickack(void **state)
{
	(void)state;
	f.c.flags |= ONLOAD_C_QUICKACK;
	arrive(1);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(segs[0].ack, ISN + 1);
}

static void payload_aggregate(void **state)
{
	struct wire w = wire_next(&f, 40 * 1448);

	(void)state;
	f.st.rcv_mss = 536;
	w.gso_size = 1448;
	assert_taken(&w);
	assert_int_equal(f.st.rcv_mss, 1448);
	assert_int_equal(f.st.flags, ONLOAD_S_ACK_NOW);
	assert_int_equal(flow_read(&f, 100000, false), 40 * 1448);
}

static void payload_mss_estimate(void **state)
{
	(void)state;
	f.st.rcv_mss = 100;
	arrive(200);
	assert_int_equal(f.st.rcv_mss, 200);
	assert_int_equal(f.st.flags, 0);
	arrive(150);
	assert_int_equal(f.st.rcv_mss, 200);
	arrive(5000);
	assert_int_equal(f.st.rcv_mss, f.c.advmss);
}

static void payload_timestamp_of_first(void **state)
{
	struct wire w = wire_next(&f, 10);

	(void)state;
	assert_taken(&w); /* not acknowledged yet, so its stamp is echoed */
	flow_advance(&f, 5);
	arrive(10);
	assert_int_equal(f.st.ts_recent, w.tsval);
	assert_int_equal(flow_output(&f, OL_TCP_ACK, segs, 64), 1);
	assert_int_equal(segs[0].tsecr, w.tsval);
	w = wire_next(&f, 10);
	assert_taken(&w);
	assert_int_equal(f.st.ts_recent, w.tsval);
}

/* set_deadline */

static void deadline_retransmission(void **state)
{
	(void)state;
	send_bytes(10);
	assert_int_equal(f.st.deadline_ms, f.now.ms + 1000);
	flow_advance(&f, 100);
	f.c.flags |= ONLOAD_C_NODELAY;
	send_bytes(10); /* does not restart the clock */
	assert_int_equal(f.st.deadline_ms, f.now.ms + 900);
	acknowledge(ISN + 10); /* does; 100 ms is a sample, too */
	assert_int_equal(f.st.deadline_ms, f.now.ms + 300);
	acknowledge(ISN + 20);
	assert_int_equal(f.st.deadline_ms, 0);
}

static void deadline_survives_ack(void **state)
{
	struct wire w;
	uint32_t rto_at;

	(void)state;
	send_bytes(10);
	rto_at = f.st.deadline_ms;
	flow_advance(&f, 100);
	w = wire_next(&f, 10);
	w.ack = ISN;
	assert_taken(&w);
	assert_int_equal(f.st.deadline_ms, f.now.ms + 40);
	assert_int_equal(flow_output(&f, OL_TCP_ACK, segs, 64), 1);
	assert_int_equal(f.st.deadline_ms, rto_at);
}

static void deadline_of_held_bytes(void **state)
{
	(void)state;
	assert_int_equal(flow_write(&f, 10), 10);
	assert_int_equal(flow_output(&f, OL_TCP_MORE, segs, 64), 0);
	assert_int_equal(f.st.deadline_ms, f.now.ms + 1000);
	flow_advance(&f, 900);
	assert_int_equal(flow_output(&f, 0, segs, 64), 1);
	assert_int_equal(f.st.deadline_ms, f.now.ms + 1000);
}

/* ol_tcp_rx */

static void rx_stops_before_offender(void **state)
{
	struct wire w = wire_next(&f, 10);

	(void)state;
	assert_true(flow_arrive(&f, &w));
	w.seq += 10;
	assert_true(flow_arrive(&f, &w));
	w.seq += 11;
	assert_true(flow_arrive(&f, &w));
	w.seq = ISN + 20;
	assert_true(flow_arrive(&f, &w));

	assert_int_equal(flow_rx(&f), ONLOAD_R_LOSS);
	assert_int_equal(f.st.rcv_nxt, ISN + 20);
	assert_int_equal(f.st.rx_proc, 2 * ONLOAD_REC_SIZE(30));
	assert_int_equal(f.st.deadline_ms, f.now.ms + 40);
	assert_int_equal(flow_rx(&f), ONLOAD_R_LOSS);
	assert_int_equal(flow_read(&f, 100, false), 20);
	assert_int_equal(f.st.rx_cons, f.st.rx_proc);
}

static void rx_consumes_what_is_read(void **state)
{
	(void)state;
	arrive(0);
	arrive(0);
	assert_int_equal(f.st.rx_cons, f.prod);
	arrive(10);
	assert_int_equal(f.st.rx_cons, f.prod - ONLOAD_REC_SIZE(30));
	arrive(0);
	assert_int_equal(f.st.rx_cons,
			 f.prod - ONLOAD_REC_SIZE(30) - ONLOAD_REC_SIZE(20));
	assert_int_equal(flow_read(&f, 10, false), 10);
	assert_int_equal(f.st.rx_cons, f.prod);
}

/* ol_cursor_next, scatter, ol_tcp_read */

static void read_coalesces(void **state)
{
	(void)state;
	arrive(100);
	arrive(0);
	arrive(200);
	arrive(300);
	assert_int_equal(ol_tcp_unread(&f.st), 600);
	assert_int_equal(flow_read(&f, 50, false), 50);
	assert_int_equal(f.st.rx_cons, 0);
	assert_int_equal(flow_read(&f, 50, false), 50);
	assert_int_equal(f.st.rx_cons, ONLOAD_REC_SIZE(120));
	assert_int_equal(flow_read(&f, 450, false), 450);
	assert_int_equal(flow_read(&f, 450, false), 50);
	assert_int_equal(f.st.rx_cons, f.prod);
	assert_int_equal(flow_read(&f, 450, false), 0);
}

static void read_peek(void **state)
{
	struct onload_tcp_state was;

	(void)state;
	arrive(100);
	arrive(100);
	assert_int_equal(flow_read(&f, 30, false), 30);
	was = f.st;
	assert_int_equal(flow_read(&f, 500, true), 170);
	assert_int_equal(flow_read(&f, 100, true), 100);
	assert_memory_equal(&f.st, &was, sizeof(was));
	assert_int_equal(flow_read(&f, 500, false), 170);
}

static void read_iov(void **state)
{
	uint8_t a[7], b[150], d[200];
	struct iovec iov[] = {
		{ a, sizeof(a) },
		{ NULL, 0 },
		{ b, sizeof(b) },
		{ d, 23 },
	};

	(void)state;
	arrive(100);
	arrive(100);
	assert_int_equal(ol_tcp_read(&f.st, &f.c, &f.r, iov, 4, 1000, false),
			 180);
	assert_true(pattern_holds(a, ISN, 7));
	assert_true(pattern_holds(b, ISN + 7, 150));
	assert_true(pattern_holds(d, ISN + 157, 23));
	assert_int_equal(f.st.copied_seq, ISN + 180);
	assert_int_equal(ol_tcp_read(&f.st, &f.c, &f.r, iov, 0, 10, false), 0);
	assert_int_equal(flow_read(&f, 100, false), 20);
}

static void read_ring_wrap(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 500; i++) {
		arrive(1000 + i);
		assert_int_equal(flow_read(&f, 500, false), 500);
		assert_int_equal(flow_read(&f, 5000, false), 500 + i);
		flow_output(&f, OL_TCP_ACK, segs, 64);
	}
	assert_true(f.prod > 2 * RX_SIZE);
}

static void read_nonsense(void **state)
{
	struct onload_tcp_state was;
	uint8_t *tcp = f.rx + sizeof(struct onload_rec);
	struct onload_rec *rec = (void *)f.rx;

	(void)state;
	arrive(100);
	was = f.st;
	tcp[7] ^= 1; /* a hole, then a number beyond the payload */
	assert_int_equal(flow_read(&f, 10, false), SIZE_MAX);
	tcp[7] ^= 1;
	tcp[4] ^= 0x80;
	assert_int_equal(flow_read(&f, 10, false), SIZE_MAX);
	tcp[4] ^= 0x80;
	tcp[12] = 0xf0; /* fewer bytes than were promised */
	assert_int_equal(flow_read(&f, 100, false), SIZE_MAX);
	tcp[12] = 0x50;
	rec->len = 65595;
	assert_int_equal(flow_read(&f, 10, false), SIZE_MAX);
	rec->len = 12;
	assert_int_equal(flow_read(&f, 10, false), SIZE_MAX);
	rec->len = 120;
	assert_memory_equal(&f.st, &was, sizeof(was));
	f.st.rx_proc += 2 * RX_SIZE;
	assert_int_equal(flow_read(&f, 10, false), SIZE_MAX);
	f.st = was;
	assert_int_equal(flow_read(&f, 100, false), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rtt_numbers, plain),
		T(rtt_bounds, plain),
		T(rtt_clock_wrap, plain),
		T(rtt_one_at_a_time, plain),
		T(cwnd_slow_start, plain),
		T(cwnd_avoidance, plain),
		T(cwnd_batch, plain),
		T(cwnd_limits_output, plain),
		T(ack_window_update, plain),
		T(payload_delayed_ack, plain),
		T(payload_ack_never_at_zero, plain),
		T(payload_quickack, plain),
		T(payload_aggregate, plain),
		T(payload_mss_estimate, plain),
		T(payload_timestamp_of_first, stamped),
		T(deadline_retransmission, plain),
		T(deadline_survives_ack, plain),
		T(deadline_of_held_bytes, plain),
		T(rx_stops_before_offender, plain),
		T(rx_consumes_what_is_read, plain),
		T(read_coalesces, plain),
		T(read_peek, plain),
		T(read_iov, plain),
		T(read_ring_wrap, stamped),
		T(read_nonsense, plain),
	};

	return cmocka_run_group_tests_name("tcp-rx", tests, open_rings,
					   close_rings);
}
