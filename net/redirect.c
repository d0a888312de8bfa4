// SPDX-License-Identifier: GPL-2.0
/*
 * Redirection: with net.onload.redirect=1 a new AF_INET or AF_INET6 TCP
 * socket gets our operations, and nothing else about it changes: family,
 * protocol, LSM label, cgroup and seccomp all judge what they always did.
 *
 * The place is tcp_prot.init, the first that sees the finished socket. The
 * core takes a reference to the owner of the operations only afterwards, and
 * fails the socket() if the module is going away then; so the hook takes one
 * of its own, and a work item drops those once every such socket() is done.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>
#include <net/tcp.h>
#include <net/transp_v6.h>

#include "family.h"
#include "netns.h"
#include "redirect.h"

static int (*onload_tcp_init)(struct sock *sk);
static int (*onload_tcp6_init)(struct sock *sk);
static atomic_t onload_redirect_refs;

static void onload_redirect_put(struct work_struct *work)
{
	int n = atomic_xchg(&onload_redirect_refs, 0);

	/* Between the hook and the core's own reference nobody sleeps. */
	synchronize_rcu_tasks();
	while (n--)
		module_put(THIS_MODULE);
}

static DECLARE_DELAYED_WORK(onload_redirect_work, onload_redirect_put);

static void onload_redirect(struct sock *sk)
{
	struct socket *sock = sk->sk_socket;
	const struct proto_ops *ops;

	/* Kernel sockets hold no namespace; children have no socket yet. */
	if (!sk->sk_net_refcnt || !sock ||
	    !READ_ONCE(onload_net(sock_net(sk))->redirect))
		return;
	ops = onload_linux_ops(sk->sk_family);
	if (!ops || sock->ops != ops || !try_module_get(THIS_MODULE))
		return;
	sock->ops = onload_ops(sk->sk_family);
	atomic_inc(&onload_redirect_refs);
	schedule_delayed_work(&onload_redirect_work, HZ);
}

static int onload_init_hook(struct sock *sk)
{
	onload_redirect(sk);
	return onload_tcp_init(sk);
}

static int onload_init_hook6(struct sock *sk)
{
	onload_redirect(sk);
	return onload_tcp6_init(sk);
}

/**
 * onload_redirect_init() - hook the creation of TCP sockets
 *
 * Return: 0.
 */
int onload_redirect_init(void)
{
	onload_tcp_init = tcp_prot.init;
	WRITE_ONCE(tcp_prot.init, onload_init_hook);
#if IS_ENABLED(CONFIG_IPV6)
	onload_tcp6_init = tcpv6_prot.init;
	WRITE_ONCE(tcpv6_prot.init, onload_init_hook6);
#endif
	return 0;
}

static void onload_unhook(struct proto *prot, int (*ours)(struct sock *),
			  int (*theirs)(struct sock *))
{
	/* Who has chained over us since would call what is not there any more,
	 * and an exit cannot be refused: wait until he has gone.
	 */
	while (cmpxchg(&prot->init, ours, theirs) != ours) {
		pr_err_ratelimited("af_onload: %s.init is another module's; remove that first\n",
				   prot->name);
		msleep(1000);
	}
}

/**
 * onload_redirect_uninit() - undo onload_redirect_init()
 */
void onload_redirect_uninit(void)
{
	onload_unhook(&tcp_prot, onload_init_hook, onload_tcp_init);
#if IS_ENABLED(CONFIG_IPV6)
	onload_unhook(&tcpv6_prot, onload_init_hook6, onload_tcp6_init);
#endif
	/* Whoever fetched the hook before may still be in it. */
	synchronize_rcu_tasks();
	cancel_delayed_work_sync(&onload_redirect_work);
}
