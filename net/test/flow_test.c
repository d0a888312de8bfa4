// SPDX-License-Identifier: GPL-2.0
/*
 * The table of flows: who is found by which segment, from when to when; and
 * which of several reasons queued work is given.
 */
#include "../flow.c"
#include "env.h"

#define DEV	3
#define FLOWS	300

static void flow_connect(struct onload_env *env, u32 local, u16 lport,
			 u32 remote, u16 rport)
{
	struct sock *sk = env->flow.sk;

	inet_sk(sk)->inet_sport = htons(lport);
	sk->sk_dport = htons(rport);
	sk->sk_rcv_saddr = htonl(local);
	sk->sk_daddr = htonl(remote);
}

static struct onload_env *flow_new(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);

	env->flow.owner = ONLOAD_KERNEL;
	flow_connect(env, 0x0a000001, 80, 0x0a000002, 40000);
	return env;
}

static struct onload_flow *flow_find(const struct onload_key *key,
				     struct net *net, struct sock *sk, int dif,
				     int sdif)
{
	struct onload_flow *flow;

	rcu_read_lock();
	flow = onload_flow_lookup(net, key, sk, dif, sdif);
	rcu_read_unlock();
	return flow;
}

static struct onload_flow *flow_find_key(const struct onload_key *key)
{
	return flow_find(key, &init_net, NULL, 0, 0);
}

/* Found from hash to unhash; to be leased only after a grace period */
static void flow_lifetime(struct kunit *test)
{
	struct onload_env *env = flow_new(test);
	struct onload_flow *flow = &env->flow;
	struct onload_key key;

	onload_key_of_sk(&key, flow->sk);
	KUNIT_EXPECT_NULL(test, flow_find_key(&key));
	rcu_read_lock();
	onload_flow_hash(flow);
	KUNIT_EXPECT_TRUE(test, flow->hashed);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(flow->ready));
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&flow->ref));
	rcu_read_unlock();
	KUNIT_EXPECT_PTR_EQ(test, flow, flow_find_key(&key));
	rcu_barrier();
	KUNIT_EXPECT_TRUE(test, READ_ONCE(flow->ready));
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&flow->ref));

	KUNIT_EXPECT_PTR_EQ(test, flow, onload_flow_get_sk(flow->sk));
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&flow->ref));
	onload_flow_put(flow);

	onload_flow_unhash(flow);
	KUNIT_EXPECT_FALSE(test, flow->hashed);
	KUNIT_EXPECT_NULL(test, flow_find_key(&key));
	KUNIT_EXPECT_NULL(test, onload_flow_get_sk(flow->sk));
	onload_flow_unhash(flow);
}

/* Every bit of the key counts. */
static void flow_key_bits(struct kunit *test)
{
	struct onload_env *env = flow_new(test);
	struct onload_flow *flow = &env->flow;
	struct onload_key key;
	u8 *bytes = (u8 *)&key;
	int bit;

	onload_flow_hash(flow);
	key = flow->key;
	for (bit = 0; bit < 8 * sizeof(key); bit++) {
		bytes[bit / 8] ^= 1 << bit % 8;
		KUNIT_EXPECT_NULL_MSG(test, flow_find_key(&key), "bit %d", bit);
		/* That may be for another chain. */
		KUNIT_EXPECT_FALSE_MSG(test, onload_key_equal(&key, &flow->key),
				       "bit %d", bit);
		bytes[bit / 8] ^= 1 << bit % 8;
	}
	KUNIT_EXPECT_PTR_EQ(test, flow, flow_find_key(&key));
	onload_flow_unhash(flow);
}

/* Namespace, socket and device */
static void flow_scope(struct kunit *test)
{
	struct onload_env *env = flow_new(test);
	struct onload_flow *flow = &env->flow;
	const struct onload_key *key = &flow->key;
	struct net *other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	struct sock *sk = flow->sk, *stranger = (struct sock *)&env->slot;

	KUNIT_ASSERT_NOT_NULL(test, other);
	onload_flow_hash(flow);
	KUNIT_EXPECT_NULL(test, flow_find(key, other, NULL, 0, 0));
	KUNIT_EXPECT_NULL(test, flow_find(key, other, sk, 0, 0));
	KUNIT_EXPECT_PTR_EQ(test, flow, flow_find(key, &init_net, sk, 0, 0));
	KUNIT_EXPECT_NULL(test, flow_find(key, &init_net, stranger, 0, 0));

	KUNIT_EXPECT_PTR_EQ(test, flow,
			    flow_find(key, &init_net, NULL, DEV, 0));
	sk->sk_bound_dev_if = DEV;
	KUNIT_EXPECT_PTR_EQ(test, flow,
			    flow_find(key, &init_net, NULL, DEV, 0));
	KUNIT_EXPECT_PTR_EQ(test, flow,
			    flow_find(key, &init_net, NULL, DEV + 1, DEV));
	KUNIT_EXPECT_NULL(test, flow_find(key, &init_net, NULL, DEV + 1, 0));
	/* Whose it is was found out before: nothing more to ask. */
	KUNIT_EXPECT_PTR_EQ(test, flow,
			    flow_find(key, &init_net, sk, DEV + 1, 0));
	onload_flow_unhash(flow);
}

static void flow_peer(struct kunit *test)
{
	struct onload_env *a = flow_new(test);
	struct onload_flow *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, b);
	onload_flow_hash(&a->flow);
	KUNIT_EXPECT_NULL(test, onload_flow_peer(&a->flow));

	/* The other end has the same socket here, seen from its side. */
	*b = a->flow;
	flow_connect(a, 0x0a000002, 40000, 0x0a000001, 80);
	INIT_HLIST_NODE(&b->node);
	b->hashed = false;
	refcount_set(&b->ref, 1);
	onload_flow_hash(b);
	KUNIT_EXPECT_PTR_EQ(test, b, onload_flow_peer(&a->flow));
	KUNIT_EXPECT_PTR_EQ(test, &a->flow, onload_flow_peer(b));
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&b->ref));
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&a->flow.ref));
	onload_flow_put(b);
	onload_flow_put(&a->flow);

	/* On its way out: nobody's other end */
	refcount_set(&b->ref, 0);
	KUNIT_EXPECT_NULL(test, onload_flow_peer(&a->flow));
	onload_flow_unhash(b);
	onload_flow_unhash(&a->flow);

	/* Connected to itself */
	flow_connect(a, 0x0a000001, 80, 0x0a000001, 80);
	onload_flow_hash(&a->flow);
	KUNIT_EXPECT_PTR_EQ(test, &a->flow, onload_flow_peer(&a->flow));
	onload_flow_put(&a->flow);
	onload_flow_unhash(&a->flow);
}

/* Those that differ in one field only, so that chains are long */
static void flow_many(struct kunit *test)
{
	struct onload_env *env = flow_new(test);
	struct onload_flow **flows;
	int i;

	flows = kunit_kcalloc(test, FLOWS, sizeof(*flows), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, flows);
	for (i = 0; i < FLOWS; i++) {
		flows[i] = kunit_kzalloc(test, sizeof(**flows), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, flows[i]);
		*flows[i] = env->flow;
		flow_connect(env, 0x0a000001, i % 2 ? 80 : 80 + i, 0x0a000002,
			     i % 2 ? 40000 + i : 40000);
		onload_flow_hash(flows[i]);
	}
	for (i = 0; i < FLOWS; i++)
		KUNIT_EXPECT_PTR_EQ(test, flows[i],
				    flow_find_key(&flows[i]->key));
	for (i = 0; i < FLOWS; i += 3)
		onload_flow_unhash(flows[i]);
	for (i = 0; i < FLOWS; i++)
		KUNIT_EXPECT_PTR_EQ(test, i % 3 ? flows[i] : NULL,
				    flow_find_key(&flows[i]->key));
	for (i = 0; i < FLOWS; i++)
		onload_flow_unhash(flows[i]);
	rcu_barrier();
}

/* Of two reasons the later one, if it is not the less firm of the two; and the
 * end of a mapping is never forgotten.
 */
static void flow_reasons(struct kunit *test)
{
	struct onload_env *env = flow_new(test);
	struct onload_flow *flow = &env->flow;

	onload_flow_because(flow, ONLOAD_R_TERM);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_TERM, flow->why);
	onload_flow_because(flow, ONLOAD_R_FILTER);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_FILTER, flow->why);
	/* A suspicion, and what an acknowledgement may do for */
	onload_flow_because(flow, ONLOAD_R_PEERCLOSE);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_FILTER, flow->why);
	onload_flow_because(flow, ONLOAD_R_DELACK);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_FILTER, flow->why);
	onload_flow_because(flow, ONLOAD_R_NONE);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_NONE, flow->why);
	onload_flow_because(flow, ONLOAD_R_DELACK);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_DELACK, flow->why);
	onload_flow_because(flow, ONLOAD_R_PEERCLOSE);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_PEERCLOSE, flow->why);
	onload_flow_because(flow, ONLOAD_R_TERM);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_TERM, flow->why);

	onload_flow_queue(flow, ONLOAD_R_UNMAP);
	onload_flow_queue(flow, ONLOAD_R_TERM);
	onload_flow_because(flow, ONLOAD_R_NONE);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_UNMAP, flow->why);
	flush_workqueue(onload_wq);
	/* Each queued work has returned the reference that was taken for it. */
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&flow->ref));
}

static struct kunit_case flow_tests[] = {
	KUNIT_CASE(flow_lifetime),
	KUNIT_CASE(flow_key_bits),
	KUNIT_CASE(flow_scope),
	KUNIT_CASE(flow_peer),
	KUNIT_CASE(flow_many),
	KUNIT_CASE(flow_reasons),
	{}
};

static struct kunit_suite flow_suite = {
	.name		= "onload_flow",
	.suite_init	= onload_env_init,
	.suite_exit	= onload_env_exit,
	.exit		= onload_env_end,
	.test_cases	= flow_tests,
};

kunit_test_suite(flow_suite);
