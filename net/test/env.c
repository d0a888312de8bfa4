// SPDX-License-Identifier: GPL-2.0
/*
 * af_onload_test.ko: the sources of af_onload.ko without main.c, and suites
 * for KUnit. Each *_test.c includes the file that it tests, for the sake of
 * its static functions. Loaded while af_onload.ko is not: both would register
 * the same tracepoints. This file stands in for main.c, and has what several
 * suites need.
 *
 * KUnit runs the suites while the module is being loaded, and loads it even
 * if one has failed: selftests/kunit.sh reads what the kernel log says.
 */
#include <linux/module.h>
#include <linux/tcp.h>
#include <linux/workqueue.h>

#include "../netns.h"
#include "../watch.h"
#include "env.h"

unsigned int onload_net_id __read_mostly;
struct workqueue_struct *onload_wq;
struct workqueue_struct *onload_abort_wq;

static struct pernet_operations onload_env_pernet = {
	.id	= &onload_net_id,
	.size	= sizeof(struct onload_net),
};

/**
 * onload_env_init() - a suite's init: what main.c makes for all of the module
 * @suite: unused: one runs after the other
 *
 * Return: 0 or an error.
 */
int onload_env_init(struct kunit_suite *suite)
{
	int err;

	onload_wq = alloc_workqueue("onload_test", WQ_UNBOUND, 0);
	if (!onload_wq)
		return -ENOMEM;
	onload_abort_wq = onload_wq;
	err = register_pernet_subsys(&onload_env_pernet);
	if (err)
		destroy_workqueue(onload_wq);
	return err;
}

/**
 * onload_env_exit() - a suite's exit: undo onload_env_init()
 * @suite: unused
 */
void onload_env_exit(struct kunit_suite *suite)
{
	unregister_pernet_subsys(&onload_env_pernet);
	destroy_workqueue(onload_wq);
}

static void onload_env_work(struct work_struct *work)
{
	struct onload_flow *flow = container_of(work, struct onload_flow, work);

	/* Never the last: the test has one. */
	onload_flow_put(flow);
}

static void onload_env_watch(struct work_struct *work)
{
}

/**
 * onload_env_lease() - make a leased flow
 * @test: which; in its priv afterwards
 * @rx_size: of the receive ring, bytes
 * @tx_size: of the transmit ring, bytes
 *
 * Return: all that belongs to it, until onload_env_end().
 */
struct onload_env *onload_env_lease(struct kunit *test, u32 rx_size,
				    u32 tx_size)
{
	struct onload_env *env = kunit_kzalloc(test, sizeof(*env), GFP_KERNEL);
	struct onload_flow *flow;
	struct sock *sk;

	KUNIT_ASSERT_NOT_NULL(test, env);
	sk = (struct sock *)&env->sock;
	flow = &env->flow;

	refcount_set(&env->ctx.ref, 1);
	refcount_set(&env->user.__count, 1);
	env->ctx.user = &env->user;
	env->ctx.unlimited = true;
	env->ctx.rx_size = rx_size;
	env->ctx.tx_size = tx_size;
	env->ctx.dead = true;
	mutex_init(&env->ctx.mutex);
	spin_lock_init(&env->ctx.lock);
	INIT_LIST_HEAD(&env->ctx.watched);
	INIT_DELAYED_WORK(&env->ctx.watch, onload_env_watch);

	write_pnet(&sk->sk_net, &init_net);
	sk->sk_family = AF_INET;
	sk->sk_state = TCP_ESTABLISHED;
	inet_sk(sk)->pinet6 = &env->sock.inet6;
	skb_queue_head_init(&sk->sk_receive_queue);
	skb_queue_head_init(&sk->sk_write_queue);

	flow->sk = sk;
	flow->net = &init_net;
	flow->ctx = &env->ctx;
	flow->slot = &env->slot;
	refcount_set(&flow->ref, 1);
	spin_lock_init(&flow->lock);
	init_waitqueue_head(&flow->sleepers);
	INIT_WORK(&flow->work, onload_env_work);
	flow->owner = ONLOAD_LEASED;
	flow->generation = ONLOAD_ENV_GEN;
	env->slot.word = ONLOAD_W_MAKE(ONLOAD_ENV_GEN, 0);
	test->priv = env;

	flow->rings = onload_rings_alloc(&env->ctx);
	if (IS_ERR(flow->rings)) {
		flow->rings = NULL;
		KUNIT_FAIL(test, "no rings");
		kunit_try_catch_throw(&test->try_catch);
	}
	return env;
}

/**
 * onload_env_route() - give a flow's socket a route
 * @env: the flow's; without more than that there is no packet to be sent
 */
void onload_env_route(struct onload_env *env)
{
	struct sock *sk = env->flow.sk;

	set_bit(__LINK_STATE_START, &env->dev.state);
	env->dst.dev = &env->dev;
	rcu_assign_pointer(sk->sk_dst_cache, &env->dst);
}

/**
 * onload_env_end() - a test's exit: undo onload_env_lease(), if it was called
 * @test: which
 */
void onload_env_end(struct kunit *test)
{
	struct onload_env *env = test->priv;

	if (!env)
		return;
	cancel_delayed_work_sync(&env->ctx.watch);
	flush_workqueue(onload_wq);
	/* A grace period that the flow's head waits for */
	rcu_barrier();
	if (env->flow.rings)
		onload_rings_free(&env->ctx, env->flow.rings);
	KUNIT_EXPECT_EQ(test, 0L, atomic_long_read(&env->user.locked_vm));
}

/**
 * onload_env_byte() - a byte of the stream that tests send
 * @seq: its sequence number
 *
 * Return: the byte, which no neighbour has.
 */
u8 onload_env_byte(u32 seq)
{
	return seq * 31 + (seq >> 8) * 7 + (seq >> 16);
}

/**
 * onload_env_bytes() - are these bytes of the stream that tests send?
 * @data: the bytes
 * @seq: sequence number of the first
 * @len: how many
 *
 * Return: true if all are.
 */
bool onload_env_bytes(const u8 *data, u32 seq, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		if (data[i] != onload_env_byte(seq + i))
			return false;
	return true;
}

MODULE_DESCRIPTION("Tests of af_onload");
MODULE_LICENSE("GPL");
