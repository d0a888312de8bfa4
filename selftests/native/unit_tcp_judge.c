// SPDX-License-Identifier: LGPL-2.1-or-later
/* Unit tests of userlib/tcp.c up to judge(): which records are taken, and why
 * the others are not. A block for each function, in the order of the source.
 */
#include "unit.h"

/* record_at, positions_ok */

static struct onload_rec *head(void)
{
	return (void *)(f.rx + (f.st.rx_proc & (RX_SIZE - 1)));
}

static void record_length(void **state)
{
	static const uint32_t bad[] = { 0, 19, 65596, 0x80000000, 0xffffffff };
	struct wire w = wire_next(&f, 100);
	size_t i;

	(void)state;
	assert_true(flow_arrive(&f, &w));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		head()->len = bad[i];
		assert_int_equal(flow_rx(&f), ONLOAD_R_CORRUPT);
	}
	head()->len = 120 + 64; /* more than was produced */
	assert_int_equal(flow_rx(&f), ONLOAD_R_CORRUPT);
	assert_int_equal(f.st.rx_proc, 0);
	head()->len = 120;
	assert_int_equal(flow_rx(&f), ONLOAD_R_NONE);
}

static void record_header(void **state)
{
	struct wire w = wire_next(&f, 0);
	uint8_t *doff = f.rx + sizeof(struct onload_rec) + 12;

	(void)state;
	assert_true(flow_arrive(&f, &w));
	*doff = 0x40;
	assert_int_equal(flow_rx(&f), ONLOAD_R_CORRUPT);
	*doff = 0x60;
	assert_int_equal(flow_rx(&f), ONLOAD_R_CORRUPT);
	*doff = 0x50;
	assert_int_equal(flow_rx(&f), ONLOAD_R_NONE);
}

static void record_positions(void **state)
{
	(void)state;
	f.prod = RX_SIZE + 16;
	assert_int_equal(flow_rx(&f), ONLOAD_R_CORRUPT);
	f.prod = 8;
	assert_int_equal(flow_rx(&f), ONLOAD_R_CORRUPT);
	f.prod = 0;
	f.st.rx_proc = 48;
	assert_int_equal(flow_rx(&f), ONLOAD_R_CORRUPT);
}

/* parse_options, options */

static void set_options(struct wire *w, const char *opt, uint8_t len)
{
	memcpy(w->opt, opt, len);
	w->optlen = len;
}

#define TS "\x08\x0a\x00\x00\x17\x71\x00\x00\x00\x01" /* 6001 */

static void options_timestamp(void **state)
{
	struct wire w = wire_next(&f, 10);

	(void)state;
	assert_taken(&w);
	assert_int_equal(f.st.ts_recent, 6000);
	f.st.ts_seq = f.st.rcv_nxt;

	w = wire_next(&f, 10);
	set_options(&w, TS "\x01\x01", 12);
	assert_taken(&w);
	assert_int_equal(f.st.ts_recent, 6001);
	w = wire_next(&f, 10);
	set_options(&w, "\x01" TS "\x00", 12);
	assert_taken(&w);
	assert_int_equal(flow_read(&f, 100, false), 30);
}

static void options_refused(void **state)
{
	struct wire w = wire_next(&f, 10);

	(void)state;
	w.optlen = 0;
	assert_refused(&w, ONLOAD_R_ODD);
	set_options(&w, "\x01\x01\x01\x01", 4);
	assert_refused(&w, ONLOAD_R_ODD);
	set_options(&w, "\x01\x01" TS TS "\x00\x00", 24);
	assert_refused(&w, ONLOAD_R_ODD);
	set_options(&w,
		    "\x01\x01" TS "\x01\x01\x05\x0a"
		    "12345678",
		    24);
	assert_refused(&w, ONLOAD_R_LOSS);
	set_options(&w,
		    "\x01\x01" TS "\xfe\x04"
		    "xy",
		    16);
	assert_refused(&w, ONLOAD_R_ODD);
	set_options(&w, "\x01\x01" TS "\x01\x01\x01\x05", 16);
	assert_refused(&w, ONLOAD_R_ODD);
	set_options(&w, "\x01\x01" TS "\x05\x05\x01\x01", 16);
	assert_refused(&w, ONLOAD_R_ODD);
	set_options(&w, "\x08\x00\x01\x01", 4);
	assert_refused(&w, ONLOAD_R_ODD);
	set_options(&w, "\x08\x01\x01\x01", 4);
	assert_refused(&w, ONLOAD_R_ODD);
	set_options(&w, "\x01\x01\x08\x0a", 4);
	assert_refused(&w, ONLOAD_R_ODD);
}

static void options_none(void **state)
{
	struct wire w = wire_next(&f, 10);

	(void)state;
	wire_timestamps(&w);
	assert_refused(&w, ONLOAD_R_ODD);
	set_options(&w,
		    "\x01\x01\x05\x0a"
		    "12345678",
		    12);
	assert_refused(&w, ONLOAD_R_LOSS);
	w.optlen = 0;
	assert_taken(&w);
}

/* bad_flags, judge */

static void judge_flags(void **state)
{
	static const struct {
		uint16_t flags;
		enum onload_reason reason;
	} t[] = {
		{ TH_ACK | TH_RST, ONLOAD_R_RST },
		{ TH_RST, ONLOAD_R_RST },
		{ TH_SYN, ONLOAD_R_RST },
		{ TH_SYN | TH_ACK, ONLOAD_R_RST },
		{ TH_FIN | TH_RST | TH_URG, ONLOAD_R_RST },
		{ TH_FIN | TH_ACK, ONLOAD_R_FIN },
		{ TH_FIN | TH_URG | TH_ACK, ONLOAD_R_FIN },
		{ TH_URG | TH_ACK, ONLOAD_R_URG },
		{ 0, ONLOAD_R_ODD },
		{ TH_PSH, ONLOAD_R_ODD },
		{ TH_ACK | TH_ECE, ONLOAD_R_ODD },
		{ TH_ACK | TH_CWR, ONLOAD_R_ODD },
		{ TH_ACK | TH_NS, ONLOAD_R_ODD },
		{ TH_ACK | TH_NS << 3, ONLOAD_R_ODD },
	};
	struct wire w = wire_next(&f, 10);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		w.flags = t[i].flags;
		assert_refused(&w, t[i].reason);
	}
	w.flags = TH_ACK | TH_PSH;
	assert_taken(&w);
}

static void judge_paws(void **state)
{
	struct wire w = wire_next(&f, 10);

	(void)state;
	w.tsval = f.st.ts_recent - 1;
	wire_timestamps(&w);
	assert_refused(&w, ONLOAD_R_ODD);
	w.tsval = f.st.ts_recent + 0x80000000u;
	wire_timestamps(&w);
	assert_refused(&w, ONLOAD_R_ODD);
	w.tsval = f.st.ts_recent;
	wire_timestamps(&w);
	assert_taken(&w);
}

static void judge_sequence(void **state)
{
	struct wire w = wire_next(&f, 10);

	(void)state;
	w.seq++;
	assert_refused(&w, ONLOAD_R_LOSS);
	w.seq -= 11;
	assert_refused(&w, ONLOAD_R_LOSS);
	w.len = 0;
	assert_refused(&w, ONLOAD_R_ODD);
	w.seq = f.st.rcv_nxt - 1; /* a keepalive probe */
	assert_refused(&w, ONLOAD_R_ODD);
	w.seq = f.st.rcv_nxt + 1;
	assert_refused(&w, ONLOAD_R_ODD);
}

static void judge_window(void **state)
{
	struct wire w = wire_next(&f, 1001);

	(void)state;
	f.st.rcv_wup = f.st.rcv_nxt - 24;
	f.st.rcv_wnd = 1024;
	assert_refused(&w, ONLOAD_R_ODD);
	w.len = 1000;
	assert_taken(&w);
	/* The window is used up, but an acknowledgement has no length. */
	arrive(0);
	w = wire_next(&f, 1);
	assert_refused(&w, ONLOAD_R_ODD);
}

static void judge_ack(void **state)
{
	struct wire w;

	(void)state;
	send_bytes(1000);
	w = wire_next(&f, 0);
	w.ack = ISN - 1;
	assert_refused(&w, ONLOAD_R_ODD);
	w.ack = ISN + 1001;
	assert_refused(&w, ONLOAD_R_ODD);
	w.ack = ISN; /* a duplicate */
	assert_refused(&w, ONLOAD_R_LOSS);
	w.len = 1; /* not with payload, nor with a new window */
	assert_taken(&w);
	w = wire_next(&f, 0);
	w.ack = ISN;
	w.wnd = 600;
	assert_taken(&w);
	assert_int_equal(f.st.snd_wnd, 600 << 7);
	assert_int_equal(f.st.snd_una, ISN);
	w = wire_next(&f, 0);
	assert_taken(&w);
	assert_int_equal(f.st.snd_una, ISN + 1000);
	assert_taken(&w); /* nothing in flight: nothing lost */
}

/* Everything above once more where sequence numbers and positions wrap */
static void judge_wraparound(void **state)
{
	struct wire w;

	(void)state;
	flow_reset(&f, ONLOAD_C_TSTAMP, 0xfffffff0u);
	f.prod = 0xffffffc0u;
	f.st.rx_cons = f.prod;
	f.st.rx_proc = f.prod;
	f.st.ts_recent = 0xfffffffeu;
	send_bytes(100);
	assert_int_equal(f.st.snd_nxt, 0x54);

	w = wire_next(&f, 100);
	w.tsval = 3;
	wire_timestamps(&w);
	w.ack = 0x55;
	assert_refused(&w, ONLOAD_R_ODD);
	w.ack = 0xffffffefu;
	assert_refused(&w, ONLOAD_R_ODD);
	w.ack = 0x10;
	w.seq--;
	assert_refused(&w, ONLOAD_R_LOSS);
	w.seq++;
	assert_taken(&w);
	assert_int_equal(f.st.rcv_nxt, 0x54);
	assert_int_equal(f.st.snd_una, 0x10);
	assert_int_equal(f.st.ts_recent, 3);
	assert_int_equal(f.st.rx_proc, 0x60);
	assert_int_equal(flow_read(&f, 200, false), 100);
	assert_int_equal(f.st.rx_cons, 0x60);

	/* The announced window ends behind the wrap. */
	flow_reset(&f, 0, 0xfffffff0u);
	f.st.rcv_wnd = 128;
	w = wire_next(&f, 129);
	assert_refused(&w, ONLOAD_R_ODD);
	w.len = 128;
	assert_taken(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(record_length, plain),
		T(record_header, plain),
		T_NONSENSE(record_positions, plain),
		T(options_timestamp, stamped),
		T(options_refused, stamped),
		T(options_none, plain),
		T(judge_flags, plain),
		T(judge_paws, stamped),
		T(judge_sequence, plain),
		T(judge_window, plain),
		T(judge_ack, plain),
		T(judge_wraparound, plain),
	};

	return cmocka_run_group_tests_name("tcp-judge", tests, open_rings,
					   close_rings);
}
