// SPDX-License-Identifier: GPL-2.0
/*
 * The sanitizer between shared memory and tcp_sock: every field at each of its
 * bounds, on both sides of it, and far away.
 */
#include "../import.c"
#include "env.h"

#define TX_SIZE	0x10000u
#define RX_SIZE	0x20000u
#define FAR	0x80000000u

/* What a change is made to, and what its value is counted from */
enum import_in { END, ST_SND, ST_RCV, ST_RING, ST, FL_RCV, TP_RCV };

/**
 * struct import_change - one field
 * @in: END ends a list
 * @off: where, in its struct
 * @val: an offset from the origin, or absolute for ST
 */
struct import_change {
	enum import_in in;
	size_t off;
	u32 val;
};

/**
 * struct import_case - a state that is not the usual one
 * @name: what is special
 * @change: in which way
 * @bad: it must be refused
 */
struct import_case {
	const char *name;
	struct import_change change[3];
	bool bad;
};

#define STATE(in, field, val) \
	{ in, offsetof(struct onload_tcp_state, field), val }
#define SND(field, val)		STATE(ST_SND, field, val)
#define RCV(field, val)		STATE(ST_RCV, field, val)
#define RING(field, val)	STATE(ST_RING, field, val)
#define FLOW(in, field, val) \
	{ in, offsetof(struct onload_flow, field), val }

#define OK(name, ...)	{ name, { __VA_ARGS__ }, false }
#define BAD(name, ...)	{ name, { __VA_ARGS__ }, true }

/* The usual one, by offsets from where the lease began: sent 3000, of which
 * 1000 are acknowledged, and written 5000; arrived 4000, of which 2000 are
 * acknowledged, and 2500 processed; 500 were unread to begin with.
 */
static const struct import_case import_cases[] = {
	OK("usual", { END }),

	BAD("snd_una below what was acknowledged", SND(snd_una, -1)),
	OK("snd_una what was acknowledged", SND(snd_una, 0)),
	OK("snd_una all that was sent", SND(snd_una, 3000)),
	BAD("snd_una beyond what was sent", SND(snd_una, 3001)),
	BAD("snd_una far ahead", SND(snd_una, 3000 + FAR)),
	BAD("snd_una far behind", SND(snd_una, -FAR)),

	BAD("write_seq below what was sent", SND(write_seq, 2999)),
	OK("write_seq what was sent", SND(write_seq, 3000)),
	OK("write_seq a full ring", SND(write_seq, 1000 + TX_SIZE)),
	BAD("write_seq more than the ring", SND(write_seq, 1001 + TX_SIZE)),
	BAD("write_seq more than the ring, snd_una back",
	    SND(write_seq, 1000 + TX_SIZE), SND(snd_una, 999)),
	OK("write_seq a full ring, all acknowledged",
	   SND(write_seq, 3000 + TX_SIZE), SND(snd_una, 3000)),
	BAD("write_seq far ahead", SND(write_seq, 3000 + FAR - 1)),
	BAD("write_seq far behind", SND(write_seq, 3000 - FAR)),

	BAD("rcv_nxt below what was acknowledged", RCV(rcv_nxt, 1999)),
	OK("rcv_nxt what was acknowledged", RCV(rcv_nxt, 2000)),
	OK("rcv_nxt all that has arrived", RCV(rcv_nxt, 4000)),
	BAD("rcv_nxt beyond what has arrived", RCV(rcv_nxt, 4001)),
	BAD("rcv_nxt far ahead", RCV(rcv_nxt, FAR)),
	OK("rcv_nxt where it was", RCV(rcv_nxt, 0), RCV(copied_seq, -1),
	   FLOW(FL_RCV, last_ack, 0)),
	BAD("rcv_nxt below where it was", RCV(rcv_nxt, -1),
	    RCV(copied_seq, -1), FLOW(FL_RCV, last_ack, -1)),

	BAD("copied_seq below what was read", RCV(copied_seq, -501)),
	OK("copied_seq what was read", RCV(copied_seq, -500)),
	OK("copied_seq rcv_nxt", RCV(copied_seq, 2500)),
	BAD("copied_seq beyond rcv_nxt", RCV(copied_seq, 2501)),
	BAD("copied_seq far ahead", RCV(copied_seq, 2500 + FAR)),
	OK("unread a full ring", RCV(rcv_nxt, 100 + RX_SIZE),
	   FLOW(FL_RCV, rx_seq, 200 + RX_SIZE)),
	BAD("unread more than the ring", RCV(rcv_nxt, 101 + RX_SIZE),
	    FLOW(FL_RCV, rx_seq, 200 + RX_SIZE)),

	BAD("Linux received more", { TP_RCV, 0, 1 }),
	BAD("Linux received less", { TP_RCV, 0, -1 }),

	BAD("rx_cons below what was given back",
	    RING(rx_cons, -ONLOAD_REC_ALIGN)),
	OK("rx_cons what was given back", RING(rx_cons, 0)),
	OK("rx_cons rx_proc", RING(rx_cons, 1024)),
	BAD("rx_cons beyond rx_proc", RING(rx_cons, 1024 + ONLOAD_REC_ALIGN)),
	BAD("rx_cons beyond rx_prod", RING(rx_cons, 4096 + ONLOAD_REC_ALIGN),
	    RING(rx_proc, 4096 + ONLOAD_REC_ALIGN)),
	BAD("rx_cons far ahead", RING(rx_cons, FAR)),
	BAD("rx_cons not a record's by 1", RING(rx_cons, 65)),
	BAD("rx_cons not a record's by half",
	    RING(rx_cons, 64 + ONLOAD_REC_ALIGN / 2)),

	BAD("rx_proc below rx_cons", RING(rx_proc, 64 - ONLOAD_REC_ALIGN)),
	OK("rx_proc rx_cons", RING(rx_proc, 64)),
	OK("rx_proc rx_prod", RING(rx_proc, 4096)),
	BAD("rx_proc beyond rx_prod", RING(rx_proc, 4096 + ONLOAD_REC_ALIGN)),
	BAD("rx_proc far ahead", RING(rx_proc, FAR)),
	BAD("rx_proc not a record's by 1", RING(rx_proc, 1023)),
	BAD("rx_proc not a record's by half",
	    RING(rx_proc, 1024 + ONLOAD_REC_ALIGN / 2)),
	OK("ring empty", RING(rx_cons, 4096), RING(rx_proc, 4096)),

	OK("snd_wnd 0", STATE(ST, snd_wnd, 0)),
	OK("snd_wnd the greatest", STATE(ST, snd_wnd, U16_MAX << 7)),
	BAD("snd_wnd above the greatest", STATE(ST, snd_wnd,
						(U16_MAX << 7) + 1)),
	BAD("snd_wnd all ones", STATE(ST, snd_wnd, U32_MAX)),
	OK("max_window the greatest", STATE(ST, max_window, U16_MAX << 7)),
	BAD("max_window above the greatest", STATE(ST, max_window,
						   (U16_MAX << 7) + 1)),
	BAD("max_window all ones", STATE(ST, max_window, U32_MAX)),
};

static void import_desc(const struct import_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(import, import_cases, import_desc);

/**
 * struct import_fixture - a lease in the middle
 * @ctx: sizes only
 * @tp: the socket
 * @flow: the private record
 * @st: what user level committed
 * @prod: position behind the last record
 */
struct import_fixture {
	struct onload_ctx ctx;
	struct tcp_sock tp;
	struct onload_flow flow;
	struct onload_tcp_state st;
	u32 prod;
};

static void import_usual(struct import_fixture *f, u32 snd, u32 rcv, u32 ring)
{
	struct onload_tcp_state *st = &f->st;
	struct onload_flow *flow = &f->flow;

	memset(f, 0, sizeof(*f));
	f->ctx.tx_size = TX_SIZE;
	f->ctx.rx_size = RX_SIZE;
	f->tp.rcv_nxt = rcv;
	f->prod = ring + 4096;

	flow->ctx = &f->ctx;
	flow->sk = (struct sock *)&f->tp;
	flow->snd_una0 = snd;
	flow->sent = snd + 3000;
	flow->rcv_nxt0 = rcv;
	flow->copied0 = rcv - 500;
	flow->rx_seq = rcv + 4000;
	flow->last_ack = rcv + 2000;
	flow->rx_cons = ring;
	flow->snd_wscale = 7;

	st->snd_una = snd + 1000;
	st->snd_nxt = snd + 3000;
	st->write_seq = snd + 5000;
	st->rcv_nxt = rcv + 2500;
	st->copied_seq = rcv + 100;
	st->rx_cons = ring + 64;
	st->rx_proc = ring + 1024;
	st->snd_wnd = 60000;
	st->max_window = 60000;
}

static void import_apply(struct import_fixture *f,
			 const struct import_change *c, u32 snd, u32 rcv,
			 u32 ring)
{
	void *st = (void *)&f->st + c->off;
	void *flow = (void *)&f->flow + c->off;

	switch (c->in) {
	case END:
		break;
	case ST_SND:
		*(u32 *)st = snd + c->val;
		break;
	case ST_RCV:
		*(u32 *)st = rcv + c->val;
		break;
	case ST_RING:
		*(u32 *)st = ring + c->val;
		break;
	case ST:
		*(u32 *)st = c->val;
		break;
	case FL_RCV:
		*(u32 *)flow = rcv + c->val;
		break;
	case TP_RCV:
		f->tp.rcv_nxt += c->val;
	}
}

/* All numbers are moved to each origin: that must change nothing. */
static void import_bounds(struct kunit *test)
{
	const struct import_case *c = test->param_value;
	struct import_fixture *f;
	int i, k;

	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		u32 snd = onload_origins[i];
		u32 rcv = ~snd;
		u32 ring = ALIGN_DOWN(snd, ONLOAD_REC_ALIGN);
		int ret;

		import_usual(f, snd, rcv, ring);
		for (k = 0; k < ARRAY_SIZE(c->change); k++)
			import_apply(f, &c->change[k], snd, rcv, ring);
		ret = onload_import_check(&f->flow, &f->st, f->prod);
		KUNIT_EXPECT_EQ_MSG(test, ret, c->bad ? -EBADMSG : 0,
				    "origin %u", snd);
	}
}

/* What is not in the table is copied nowhere, or bounded where it is used. */
static void import_free_fields(struct kunit *test)
{
	static const size_t bounded[] = {
		offsetof(struct onload_tcp_state, snd_una),
		offsetof(struct onload_tcp_state, write_seq),
		offsetof(struct onload_tcp_state, rcv_nxt),
		offsetof(struct onload_tcp_state, copied_seq),
		offsetof(struct onload_tcp_state, rx_cons),
		offsetof(struct onload_tcp_state, rx_proc),
		offsetof(struct onload_tcp_state, snd_wnd),
		offsetof(struct onload_tcp_state, max_window),
	};
	struct import_fixture *f;
	size_t off;
	int i, ret;

	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	for (off = 0; off < sizeof(f->st); off += sizeof(u32)) {
		bool bad = false;

		for (i = 0; i < ARRAY_SIZE(bounded); i++)
			bad |= off == bounded[i];
		import_usual(f, 1000000, 2000000, 4096);
		*(u32 *)((void *)&f->st + off) = U32_MAX;
		ret = onload_import_check(&f->flow, &f->st, f->prod);
		KUNIT_EXPECT_EQ_MSG(test, ret, bad ? -EBADMSG : 0,
				    "offset %zu", off);
	}
}

/* The greatest window is the peer's scale's, and never more than a u32. */
static void import_wscale(struct kunit *test)
{
	struct import_fixture *f;
	u32 scale;

	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	for (scale = 0; scale <= TCP_MAX_WSCALE; scale++) {
		import_usual(f, 1, 2, 0);
		f->flow.snd_wscale = scale;
		f->st.snd_wnd = U16_MAX << scale;
		f->st.max_window = f->st.snd_wnd;
		KUNIT_EXPECT_EQ(test, 0,
				onload_import_check(&f->flow, &f->st, f->prod));
		f->st.snd_wnd++;
		KUNIT_EXPECT_EQ(test, -EBADMSG,
				onload_import_check(&f->flow, &f->st, f->prod));
	}
}

static struct kunit_case import_tests[] = {
	KUNIT_CASE_PARAM(import_bounds, import_gen_params),
	KUNIT_CASE(import_free_fields),
	KUNIT_CASE(import_wscale),
	{}
};

static struct kunit_suite import_suite = {
	.name		= "onload_import",
	.test_cases	= import_tests,
};

kunit_test_suite(import_suite);
