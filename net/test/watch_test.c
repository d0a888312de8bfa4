// SPDX-License-Identifier: GPL-2.0
/*
 * What the watch makes of a leased flow: is anything overdue, and when is the
 * next time to look?
 */
#include "../watch.c"
#include "env.h"

/**
 * struct watch_case - a flow, and what is to become of it
 * @name: of that
 * @keep: SO_KEEPALIVE, after so many seconds; 0: not
 * @quiet: seconds since anything arrived
 * @ack: milliseconds until an acknowledgement is due; 0: none is owed
 * @rto: ditto the retransmission
 * @why: verdict
 * @next: milliseconds until the next look at least; 0: there is to be none
 */
struct watch_case {
	const char *name;
	u32 keep;
	u32 quiet;
	s32 ack;
	s32 rto;
	enum onload_reason why;
	u32 next;
};

static const struct watch_case watch_cases[] = {
	{ "idle", 0, 9, 0, 0, ONLOAD_R_NONE, 0 },
	{ "keepalive to come", 10, 4, 0, 0, ONLOAD_R_NONE, 5900 },
	{ "keepalive due", 10, 10, 0, 0, ONLOAD_R_KEEPALIVE, 0 },
	{ "acknowledgement to come", 0, 0, 35, 0, ONLOAD_R_NONE, 20 },
	{ "acknowledgement due", 0, 0, -1, 0, ONLOAD_R_DELACK, 0 },
	/* The kernel sends it, the lease goes on, and so does keepalive. */
	{ "acknowledgement due, keepalive to come", 10, 4, -1, 0,
	  ONLOAD_R_DELACK, 5900 },
	{ "acknowledgement due after keepalive", 10, 11, -1, 0,
	  ONLOAD_R_KEEPALIVE, 0 },
	{ "retransmission to come", 0, 0, 0, 300, ONLOAD_R_NONE, 280 },
	{ "retransmission due", 10, 4, 35, -1, ONLOAD_R_RTO, 0 },
	{ "retransmission far too late to be true", 0, 0, 0, 200000,
	  ONLOAD_R_RTO, 0 },
};

static void watch_desc(const struct watch_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(watch, watch_cases, watch_desc);

static void watch_overdue(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	const struct watch_case *c = test->param_value;
	struct onload_tcp_state *st = &env->slot.state[0];
	u32 now = (u32)ktime_to_ms(ktime_get());
	struct onload_flow *flow = &env->flow;
	struct tcp_sock *tp = &env->sock.tcp;
	enum onload_reason why;
	unsigned long delay = 0;

	if (c->keep) {
		sock_set_flag(flow->sk, SOCK_KEEPOPEN);
		tp->keepalive_time = c->keep * HZ;
	}
	flow->heard = jiffies - c->quiet * HZ;
	if (c->ack) {
		st->rcv_nxt = flow->last_ack + 100;
		st->copied_seq = st->rcv_nxt;
		st->ack_ms = now + c->ack;
	}
	if (c->rto) {
		flow->sent = flow->acked + 100;
		st->rto_at_ms = now + c->rto;
	}
	spin_lock_bh(&flow->lock);
	why = onload_overdue(flow, &delay);
	spin_unlock_bh(&flow->lock);
	KUNIT_EXPECT_EQ(test, c->why, why);
	if (c->next)
		KUNIT_EXPECT_GE(test, jiffies_to_msecs(delay), c->next);
	else
		KUNIT_EXPECT_EQ(test, 0UL, delay);
}

static struct kunit_case watch_tests[] = {
	KUNIT_CASE_PARAM(watch_overdue, watch_gen_params),
	{}
};

static struct kunit_suite watch_suite = {
	.name		= "onload_watch",
	.suite_init	= onload_env_init,
	.suite_exit	= onload_env_exit,
	.exit		= onload_env_end,
	.test_cases	= watch_tests,
};

kunit_test_suite(watch_suite);
