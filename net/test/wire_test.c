// SPDX-License-Identifier: GPL-2.0
/*
 * The position words of a wire, as a process may have left them; and which
 * ends may be joined.
 */
#include "../wire.c"
#include "../prot.h"
#include "env.h"

#define GEN	0x1234u
#define SHIFT	14u

/**
 * struct wire_words - what both ends have written, and the verdict
 * @name: what is special
 * @tx: of the end that leaves
 * @peer_tx: of the other end
 * @rx: of the end that leaves
 * @unread: bytes that it has not received; -1: nonsense
 */
struct wire_words {
	const char *name;
	u64 tx;
	u64 peer_tx;
	u64 rx;
	s64 unread;
};

#define TX(pos)		ONLOAD_X_MAKE(GEN, SHIFT, (u32)(pos))
#define RX(pos)		ONLOAD_X_MAKE(GEN, 0, (u32)(pos))
#define NONSENSE	(-1)

static const struct wire_words wire_words[] = {
	{ "nothing was sent", TX(0), TX(0), RX(0), 0 },
	{ "all was received", TX(9), TX(500), RX(500), 0 },
	{ "a byte is left", TX(9), TX(500), RX(499), 1 },
	{ "a full ring is left", TX(0), TX(20000), RX(20000 - (1 << SHIFT)),
	  1 << SHIFT },
	{ "more than a ring is left", TX(0), TX(20000),
	  RX(19999 - (1 << SHIFT)), NONSENSE },
	{ "received a byte too many", TX(0), TX(500), RX(501), NONSENSE },
	{ "half the numbers apart", TX(0), TX(1u << 31), RX(0), NONSENSE },
	{ "positions have wrapped", TX(7), TX(100), RX(-50), 150 },
	{ "positions have wrapped, a full ring", TX(7), TX(100),
	  RX(100 - (1 << SHIFT)), 1 << SHIFT },
	{ "positions have wrapped, more than that", TX(7), TX(100),
	  RX(99 - (1 << SHIFT)), NONSENSE },

	{ "a shorter ring", TX(0), ONLOAD_X_MAKE(GEN, PAGE_SHIFT, 4096), RX(0),
	  4096 },
	{ "a shorter ring, more than fits", TX(0),
	  ONLOAD_X_MAKE(GEN, PAGE_SHIFT, 4097), RX(0), NONSENSE },
	{ "a ring shorter than a page", TX(0),
	  ONLOAD_X_MAKE(GEN, PAGE_SHIFT - 1, 0), RX(0), NONSENSE },
	{ "a ring of a byte", TX(0), ONLOAD_X_MAKE(GEN, 0, 0), RX(0),
	  NONSENSE },
	{ "a longer ring than there is", TX(0),
	  ONLOAD_X_MAKE(GEN, SHIFT + 1, 0), RX(0), NONSENSE },
	{ "a ring of 2^31", TX(0), ONLOAD_X_MAKE(GEN, 31, 0), RX(0), NONSENSE },
	{ "a ring of 2^32", TX(0), ONLOAD_X_MAKE(GEN, 32, 0), RX(0), NONSENSE },
	{ "a ring of 2^127", TX(0), ONLOAD_X_MAKE(GEN, 127, 0), RX(0),
	  NONSENSE },
	{ "own ring is of no interest", ONLOAD_X_MAKE(GEN, 127, 0), TX(5),
	  RX(0), 5 },

	{ "tx of another lease", ONLOAD_X_MAKE(GEN + 1, SHIFT, 0), TX(0), RX(0),
	  NONSENSE },
	{ "peer's tx of another lease", TX(0),
	  ONLOAD_X_MAKE(GEN - 1, SHIFT, 0), RX(0), NONSENSE },
	{ "rx of another lease", TX(0), TX(0),
	  ONLOAD_X_MAKE(GEN ^ 0x800000, 0, 0), NONSENSE },
	{ "tx not a user's", TX(0) & ~ONLOAD_X_USER, TX(0), RX(0), NONSENSE },
	{ "peer's tx not a user's", TX(0), TX(0) & ~ONLOAD_X_USER, RX(0),
	  NONSENSE },
	{ "rx not a user's", TX(0), TX(0), RX(0) & ~ONLOAD_X_USER, NONSENSE },
	{ "all zeros", 0, 0, 0, NONSENSE },
	{ "all ones", U64_MAX, U64_MAX, U64_MAX, NONSENSE },
};

static void wire_words_desc(const struct wire_words *w, char *desc)
{
	strscpy(desc, w->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(wire_words, wire_words, wire_words_desc);

/* An area that has no pages but their number */
static struct onload_region *wire_region(struct kunit *test, u32 shift)
{
	struct onload_region *region;

	region = kunit_kzalloc(test, sizeof(*region), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, region);
	refcount_set(&region->ref, 1);
	region->npages = 1 + (1u << (shift - PAGE_SHIFT));
	region->max = region->npages;
	region->head = kunit_kzalloc(test, sizeof(*region->head), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, region->head);
	return region;
}

static void wire_left(struct kunit *test)
{
	const struct wire_words *w = test->param_value;
	struct onload_region *region = wire_region(test, SHIFT);
	struct onload_wire wire = { .generation = GEN };
	u32 unread;
	int side, err;

	for (side = 0; side < 2; side++) {
		wire.end[side].region = region;
		wire.end[side].tx = w->tx;
		wire.end[!side].region = region;
		wire.end[!side].tx = w->peer_tx;
		err = onload_wire_left(&wire, side, w->rx, &unread);
		if (w->unread < 0) {
			KUNIT_EXPECT_EQ(test, -EBADMSG, err);
		} else {
			KUNIT_EXPECT_EQ(test, 0, err);
			KUNIT_EXPECT_EQ(test, w->unread, (s64)unread);
		}
	}
}

/* Taken away once: publishing fails from then on, and says what was there. */
static void wire_revoke(struct kunit *test)
{
	u64 word = TX(500);

	KUNIT_EXPECT_EQ(test, TX(500), onload_wire_revoke(&word));
	KUNIT_EXPECT_EQ(test, TX(500) & ~ONLOAD_X_USER, word);
	KUNIT_EXPECT_NE(test, TX(500), cmpxchg(&word, TX(500), TX(501)));
	KUNIT_EXPECT_EQ(test, TX(500) & ~ONLOAD_X_USER,
			onload_wire_revoke(&word));
}

/* The display's 64 bits follow the position over each wrap. */
static void wire_total(struct kunit *test)
{
	struct onload_wire_head head = {};

	head.tx_total = 500;
	KUNIT_EXPECT_EQ(test, 500ull, onload_wire_total(&head, TX(500)));
	KUNIT_EXPECT_EQ(test, 400ull, onload_wire_total(&head, TX(400)));
	head.tx_total = U32_MAX - 9ull;
	KUNIT_EXPECT_EQ(test, (1ull << 32) + 5,
			onload_wire_total(&head, TX(5)));
	head.tx_total = (5ull << 32) + 3;
	KUNIT_EXPECT_EQ(test, (5ull << 32) - 1,
			onload_wire_total(&head, TX(-1)));
}

/* Generations have 24 bits, and 0 is none. */
static void wire_generation(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct onload_wire *wire;
	int i;

	atomic_set(&onload_wire_generation, ONLOAD_X_GEN_MAX - 1);
	for (i = 0; i < 3; i++) {
		static const u32 want[] = { ONLOAD_X_GEN_MAX, 1, 2 };

		wire = onload_wire_alloc(&env->flow, &env->flow);
		KUNIT_ASSERT_NOT_NULL(test, wire);
		KUNIT_EXPECT_EQ(test, want[i], wire->generation);
		KUNIT_EXPECT_EQ(test, want[i],
				ONLOAD_X_GEN(ONLOAD_X_MAKE(wire->generation,
							   127, U32_MAX)));
		kfree(wire);
	}
}

/* Half of what Linux keeps, where the application has said how much */
static void wire_limit(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct onload_wire wire = { .max_shift = 20 };
	struct sock *from = env->flow.sk;
	struct sock *to = kunit_kzalloc(test, sizeof(env->sock), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, to);
	from->sk_sndbuf = 8000;
	to->sk_rcvbuf = 6000;
	KUNIT_EXPECT_EQ(test, 1u << 20, onload_wire_limit(&wire, from, to));
	from->sk_userlocks = SOCK_SNDBUF_LOCK;
	KUNIT_EXPECT_EQ(test, 4000, onload_wire_limit(&wire, from, to));
	to->sk_userlocks = SOCK_RCVBUF_LOCK;
	KUNIT_EXPECT_EQ(test, 3000, onload_wire_limit(&wire, from, to));
	to->sk_rcvbuf = 1;
	KUNIT_EXPECT_EQ(test, 1, onload_wire_limit(&wire, from, to));
	to->sk_rcvbuf = INT_MAX;
	from->sk_sndbuf = INT_MAX;
	KUNIT_EXPECT_EQ(test, 1u << 20, onload_wire_limit(&wire, from, to));
}

static void wire_proof(struct kunit *test)
{
	struct tcp_sock *a, *b;
	struct sock *ska, *skb;
	int i;

	a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);
	b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, a);
	KUNIT_ASSERT_NOT_NULL(test, b);
	ska = (struct sock *)a;
	skb = (struct sock *)b;
	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		a->write_seq = onload_origins[i];
		b->rcv_nxt = onload_origins[i];
		b->write_seq = ~onload_origins[i];
		a->rcv_nxt = ~onload_origins[i];
		KUNIT_EXPECT_TRUE(test, onload_wire_proof(ska, skb));
		a->write_seq++;
		KUNIT_EXPECT_FALSE(test, onload_wire_proof(ska, skb));
		a->write_seq--;
		b->write_seq--;
		KUNIT_EXPECT_FALSE(test, onload_wire_proof(ska, skb));
		b->write_seq++;
		ska->sk_bound_dev_if = 2;
		KUNIT_EXPECT_FALSE(test, onload_wire_proof(ska, skb));
		ska->sk_bound_dev_if = 0;
	}
}

/* Each condition by itself keeps the other end from being joined. */
static void wire_willing(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct onload_flow *flow = &env->flow;
	struct sock *sk = flow->sk;

	sk->sk_prot = &tcp_prot;
	sk->sk_prot = onload_prot(sk);
	onload_env_route(env);
	sk->sk_peek_off = -1;
	flow->owner = ONLOAD_KERNEL;
	flow->hashed = true;
	flow->wire_speaks = true;
	flow->wire_willing = true;
	flow->region = wire_region(test, SHIFT);
	env->ctx.dead = false;
	KUNIT_EXPECT_TRUE(test, onload_wire_willing(flow));

	env->ctx.dead = true;
	KUNIT_EXPECT_FALSE(test, onload_wire_willing(flow));
	env->ctx.dead = false;
	flow->hashed = false;
	KUNIT_EXPECT_FALSE(test, onload_wire_willing(flow));
	flow->hashed = true;
	flow->wire_speaks = false;
	KUNIT_EXPECT_FALSE(test, onload_wire_willing(flow));
	flow->wire_speaks = true;
	flow->wire_willing = false;
	KUNIT_EXPECT_FALSE(test, onload_wire_willing(flow));
	flow->wire_willing = true;
	refcount_inc(&flow->region->ref);
	KUNIT_EXPECT_FALSE(test, onload_wire_willing(flow));
	refcount_dec(&flow->region->ref);
	env->sock.tcp.rcv_nxt++;
	KUNIT_EXPECT_FALSE(test, onload_wire_willing(flow));
	env->sock.tcp.copied_seq++;
	onload_net(&init_net)->backoff_ms = 1000;
	flow->next_lease = jiffies + HZ;
	KUNIT_EXPECT_FALSE(test, onload_wire_willing(flow));
	flow->next_lease = jiffies;
	KUNIT_EXPECT_TRUE(test, onload_wire_willing(flow));
	KUNIT_EXPECT_EQ(test, ONLOAD_R_NONE, flow->why);

	/* On the soft VI it is asked to leave that first. */
	flow->owner = ONLOAD_LEASED;
	KUNIT_EXPECT_FALSE(test, onload_wire_willing(flow));
	KUNIT_EXPECT_EQ(test, ONLOAD_R_WIRE, flow->why);
	env->ctx.dead = true;
}

static struct kunit_case wire_tests[] = {
	KUNIT_CASE_PARAM(wire_left, wire_words_gen_params),
	KUNIT_CASE(wire_revoke),
	KUNIT_CASE(wire_total),
	KUNIT_CASE(wire_generation),
	KUNIT_CASE(wire_limit),
	KUNIT_CASE(wire_proof),
	KUNIT_CASE(wire_willing),
	{}
};

static struct kunit_suite wire_suite = {
	.name		= "onload_wire",
	.suite_init	= onload_env_init,
	.suite_exit	= onload_env_exit,
	.exit		= onload_env_end,
	.test_cases	= wire_tests,
};

kunit_test_suite(wire_suite);
