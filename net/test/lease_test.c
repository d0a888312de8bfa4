// SPDX-License-Identifier: GPL-2.0
/*
 * The lease word: what a commit, a peek and a reclaim make of it, whatever it
 * says; and what a library is told when there is no lease.
 */
#include <linux/delay.h>
#include <linux/kthread.h>

#include "../lease.c"
#include "../reclaim.c"
#include "env.h"

#define GEN	ONLOAD_ENV_GEN

/**
 * struct lease_word - what a process may have made of its word
 * @name: of that
 * @word: it
 * @mine: it is the lease's: its slot counts
 */
struct lease_word {
	const char *name;
	u64 word;
	bool mine;
};

static const struct lease_word lease_words[] = {
	{ "the first", ONLOAD_W_MAKE(GEN, 0), true },
	{ "the second", ONLOAD_W_MAKE(GEN, 1), true },
	{ "the last before sequences wrap",
	  ONLOAD_W_MAKE(GEN, ONLOAD_W_SEQ), true },
	{ "the next generation", ONLOAD_W_MAKE(GEN + 1, 0), false },
	{ "the one before", ONLOAD_W_MAKE(GEN - 1, 0), false },
	{ "generation 0", ONLOAD_W_MAKE(0, 0), false },
	{ "the greatest generation", ONLOAD_W_MAKE(U32_MAX, 0), false },
	{ "not user level's", (u64)GEN << 32, false },
	{ "not user level's, committed", (u64)GEN << 32 | 5, false },
	{ "zero", 0, false },
	{ "all ones", U64_MAX, false },
};

static void lease_desc(const struct lease_word *w, char *desc)
{
	strscpy(desc, w->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(lease, lease_words, lease_desc);

/* A state of which every number is the same */
static void lease_fill(struct onload_tcp_state *st, u32 value)
{
	memset32((u32 *)st, value, sizeof(*st) / sizeof(u32));
}

static void lease_peek(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	const struct lease_word *w = test->param_value;
	struct onload_tcp_state st = {};

	lease_fill(&env->slot.state[0], 1000);
	lease_fill(&env->slot.state[1], 1001);
	env->slot.word = w->word;
	KUNIT_EXPECT_EQ(test, w->mine, onload_peek(&env->flow, &st));
	if (w->mine)
		KUNIT_EXPECT_EQ(test, 1000 + (u32)(w->word & 1), st.rcv_nxt);
	KUNIT_EXPECT_EQ(test, w->word, env->slot.word);
}

/* A reclaim: whatever the word was, no commit succeeds afterwards. */
static void lease_reclaim(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	const struct lease_word *w = test->param_value;
	struct onload_flow *flow = &env->flow;

	/* Aborted meanwhile: nothing of the state reaches the socket. */
	flow->sk->sk_state = TCP_CLOSE;
	env->slot.word = w->word;
	KUNIT_EXPECT_EQ(test, w->mine ? 0 : -EBADMSG,
			onload_take_vi(flow, ONLOAD_R_TERM));
	KUNIT_EXPECT_EQ(test, (u64)(GEN + 1) << 32, env->slot.word);
	KUNIT_EXPECT_EQ(test, (u32)ONLOAD_R_TERM, env->slot.reason);
	KUNIT_EXPECT_EQ(test, ONLOAD_KERNEL, flow->owner);
}

/* Commits: the owner and the generation stay, the slots take turns. */
static void lease_commit(struct kunit *test)
{
	static const u32 seqs[] = { 0, 1, 2, ONLOAD_W_SEQ - 1, ONLOAD_W_SEQ };
	int i;

	for (i = 0; i < ARRAY_SIZE(seqs); i++) {
		u64 word = ONLOAD_W_MAKE(U32_MAX, seqs[i]);
		u64 next = ONLOAD_W_NEXT(word);

		KUNIT_EXPECT_EQ(test, U32_MAX, ONLOAD_W_GEN(next));
		KUNIT_EXPECT_TRUE(test, next & ONLOAD_W_USER);
		KUNIT_EXPECT_EQ(test, (seqs[i] + 1) & (u32)ONLOAD_W_SEQ,
				(u32)(next & ONLOAD_W_SEQ));
		KUNIT_EXPECT_NE(test, word & 1, next & 1);
	}
}

static int lease_committer(void *arg)
{
	struct onload_slot *slot = arg;
	u64 word = slot->word;
	u32 n = 0;

	while (!kthread_should_stop()) {
		struct onload_tcp_state st;
		u64 next = ONLOAD_W_NEXT(word);

		lease_fill(&st, ++n);
		/* Who reads it meanwhile finds out by the word. */
		data_race(memcpy(&slot->state[next & 1], &st, sizeof(st)));
		/* As the library commits */
		smp_store_release(&slot->word, next);
		word = next;
		if (!(n % 256))
			cond_resched();
	}
	return 0;
}

/* Who peeks while a process commits sees one state, or none. */
static void lease_peek_racing(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct task_struct *task;
	struct onload_tcp_state st;
	u32 *words = (u32 *)&st;
	int i, k, seen = 0;

	task = kthread_run(lease_committer, &env->slot, "onload_commit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (i = 0; i < 100000 && seen < 10000; i++) {
		if (!onload_peek(&env->flow, &st))
			continue;
		seen++;
		for (k = 1; k < sizeof(st) / sizeof(u32); k++)
			if (words[k] != words[0])
				break;
		KUNIT_ASSERT_EQ(test, sizeof(st) / sizeof(u32), k);
		if (!(i % 256))
			cond_resched();
	}
	kthread_stop(task);
	KUNIT_EXPECT_GT(test, seen, 0);
}

/* What the gate and the import go by begins where the connection is. */
static void lease_begin(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct onload_flow *flow = &env->flow;
	struct onload_flow_const c = { .mss = 1448 };
	int i;

	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		u32 at = onload_origins[i];
		struct onload_tcp_state st = {
			.snd_una = at, .snd_nxt = at, .write_seq = at,
			.rcv_nxt = at + 100, .copied_seq = at + 50,
			.rcv_wup = at + 90, .rcv_wnd = 1000, .rx_cons = 64,
		};

		flow->rx_prod = 128;
		flow->why = ONLOAD_R_TERM;
		flow->closed = true;
		env->sock.tcp.rx_opt.snd_wscale = 7;
		onload_begin(flow, &st, GEN + i);
		KUNIT_EXPECT_EQ(test, GEN + i, flow->generation);
		KUNIT_EXPECT_EQ(test, ONLOAD_R_NONE, flow->why);
		KUNIT_EXPECT_FALSE(test, flow->closed);
		KUNIT_EXPECT_EQ(test, 64, flow->rx_cons);
		KUNIT_EXPECT_EQ(test, at, flow->sent);
		KUNIT_EXPECT_EQ(test, at, flow->acked);
		KUNIT_EXPECT_EQ(test, at, flow->snd_una0);
		KUNIT_EXPECT_EQ(test, at + 100, flow->rcv_nxt0);
		KUNIT_EXPECT_EQ(test, at + 100, flow->rx_seq);
		KUNIT_EXPECT_EQ(test, at + 50, flow->copied0);
		KUNIT_EXPECT_EQ(test, at + 1090, flow->rcv_edge);
		KUNIT_EXPECT_EQ(test, at + 90, flow->last_ack);
		KUNIT_EXPECT_EQ(test, 7, flow->snd_wscale);

		onload_publish(flow, &st, &c);
		KUNIT_EXPECT_EQ(test, ONLOAD_W_MAKE(GEN + i, 0),
				env->slot.word);
		KUNIT_EXPECT_EQ(test, 0, memcmp(&env->slot.state[0], &st,
						sizeof(st)));
		KUNIT_EXPECT_EQ(test, 1448, env->slot.c.mss);
		KUNIT_EXPECT_EQ(test, 128, env->slot.rx_prod);
		KUNIT_EXPECT_EQ(test, 1, env->slot.need_wake);
		KUNIT_EXPECT_EQ(test, (u32)ONLOAD_R_NONE, env->slot.reason);
	}

	/* A mapping that has ended meanwhile is not forgotten. */
	flow->why = ONLOAD_R_UNMAP;
	onload_begin(flow, &env->slot.state[0], GEN);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_UNMAP, flow->why);
}

static void lease_generation(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, 1, onload_ctx_generation(&env->ctx));
	env->ctx.generation = U32_MAX - 1;
	KUNIT_EXPECT_EQ(test, U32_MAX, onload_ctx_generation(&env->ctx));
	/* 0 would be no lease. */
	KUNIT_EXPECT_EQ(test, 1, onload_ctx_generation(&env->ctx));
	env->ctx.dead = false;
	KUNIT_EXPECT_EQ(test, 0, onload_ctx_hold(&env->ctx));
	onload_ctx_unhold(&env->ctx);
	env->ctx.dead = true;
	KUNIT_EXPECT_EQ(test, -ENXIO, onload_ctx_hold(&env->ctx));
}

/* Each reason to refuse has an error, and is counted once. */
static void lease_refused(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct onload_net *on = onload_net(&init_net);
	struct onload_flow *flow = &env->flow;
	enum onload_reason why;

	flow->next_lease = jiffies + HZ;
	for (why = ONLOAD_R_NONE + 1; why <= ONLOAD_R_WIRE; why++) {
		struct onload_lease req = {};
		int err = onload_refused(flow, &req, why);
		bool later = err == -EAGAIN;

		KUNIT_EXPECT_LT(test, err, 0);
		KUNIT_EXPECT_EQ(test, (u32)why, req.reason);
		KUNIT_EXPECT_EQ(test, 1, flow->reasons[why]);
		KUNIT_EXPECT_EQ(test, 1, atomic64_read(&on->reasons[why]));
		KUNIT_EXPECT_EQ(test, why, flow->reason);
		switch (why) {
		case ONLOAD_R_UNSENT ... ONLOAD_R_ATTACH:
		case ONLOAD_R_WIRE:
			KUNIT_EXPECT_TRUE_MSG(test, later, "%d", why);
			break;
		case ONLOAD_R_NOTCONN:
			KUNIT_EXPECT_EQ(test, -ENOTCONN, err);
			break;
		case ONLOAD_R_NOMEM:
			KUNIT_EXPECT_EQ(test, -ENOMEM, err);
			break;
		case ONLOAD_R_MEMLOCK:
			KUNIT_EXPECT_EQ(test, -ENOBUFS, err);
			break;
		default:
			KUNIT_EXPECT_EQ_MSG(test, -EOPNOTSUPP, err, "%d", why);
			KUNIT_EXPECT_EQ(test, 1000, req.retry_ms);
		}
		if (why == ONLOAD_R_BACKOFF)
			KUNIT_EXPECT_GT(test, req.retry_ms, 0);
	}
	KUNIT_EXPECT_EQ(test, (u64)ONLOAD_R_WIRE, flow->refusals);
	KUNIT_EXPECT_EQ(test, (s64)ONLOAD_R_WIRE, atomic64_read(&on->refusals));
	KUNIT_EXPECT_EQ(test, 0, flow->reclaims);
}

/* Doubled with each lease that failed soon, up to a limit; forgotten after one
 * that held; and no matter of leases that ended as they should.
 */
static void lease_back_off(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct onload_flow *flow = &env->flow;
	unsigned long now;
	int i;

	onload_net(&init_net)->backoff_ms = 1000;
	for (i = 0; i < ONLOAD_BACKOFF_MAX + 3; i++) {
		flow->leased_at = jiffies;
		now = jiffies;
		onload_back_off(flow, ONLOAD_R_TERM);
		KUNIT_EXPECT_GE(test, flow->next_lease,
				now + (HZ << min(i, ONLOAD_BACKOFF_MAX)));
		KUNIT_EXPECT_LE(test, flow->next_lease,
				jiffies + (HZ << min(i, ONLOAD_BACKOFF_MAX)));
	}
	flow->leased_at = jiffies;
	onload_back_off(flow, ONLOAD_R_LIBRARY);
	KUNIT_EXPECT_LE(test, flow->next_lease, jiffies);
	KUNIT_EXPECT_EQ(test, ONLOAD_BACKOFF_MAX, flow->backoff);

	flow->leased_at = jiffies - ONLOAD_BACKOFF_FORGET - 1;
	onload_back_off(flow, ONLOAD_R_TERM);
	KUNIT_EXPECT_EQ(test, 1, flow->backoff);
}

static struct kunit_case lease_tests[] = {
	KUNIT_CASE(lease_commit),
	KUNIT_CASE_PARAM(lease_peek, lease_gen_params),
	KUNIT_CASE_PARAM(lease_reclaim, lease_gen_params),
	KUNIT_CASE(lease_peek_racing),
	KUNIT_CASE(lease_begin),
	KUNIT_CASE(lease_generation),
	KUNIT_CASE(lease_refused),
	KUNIT_CASE(lease_back_off),
	{}
};

static struct kunit_suite lease_suite = {
	.name		= "onload_lease",
	.suite_init	= onload_env_init,
	.suite_exit	= onload_env_exit,
	.exit		= onload_env_end,
	.test_cases	= lease_tests,
};

kunit_test_suite(lease_suite);
