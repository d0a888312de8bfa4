// SPDX-License-Identifier: GPL-2.0
/*
 * The socket operations. A socket without a flow has Linux's own, but for
 * release and the options. One with a flow has wrappers, which count
 * themselves in, reclaim if the flow is leased, run Linux's, and count
 * themselves out: as long as somebody is inside, no lease is given, so that
 * Linux never works on a state that user level is moving on.
 *
 * Operations that are called with the socket locked or from softirq
 * (read_sock, read_skb, *_locked, peek_len) are Linux's: they cannot reclaim,
 * and their users are refused a lease instead (export.c).
 */
#include <linux/module.h>
#include <linux/net.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <net/inet_common.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/transp_v6.h>

#include "family.h"
#include "flow.h"
#include "lease.h"
#include "prot.h"
#include "sockopt.h"
#include "stats.h"
#include "wait.h"

static struct proto_ops onload_ops4 __ro_after_init;
static struct proto_ops onload_ops6 __ro_after_init;
static const struct proto_ops *onload_linux6 __ro_after_init;

static int onload_flow_release(struct socket *sock);

/**
 * onload_flow_of() - the flow of a socket
 * @sock: any socket
 *
 * Return: its flow or NULL. It stays until the socket is released, or until a
 * grace period of RCU tasks after TCP_ULP or IPV6_ADDRFORM has retired it.
 */
struct onload_flow *onload_flow_of(const struct socket *sock)
{
	const struct proto_ops *ops = READ_ONCE(sock->ops);

	if (!ops || ops->release != onload_flow_release)
		return NULL;
	return container_of(ops, struct onload_flow, ops);
}

static const struct proto_ops *onload_enter(struct socket *sock,
					    struct onload_flow **flow)
{
	*flow = onload_flow_of(sock);
	if (!*flow) /* retired between the call and here */
		return READ_ONCE(sock->ops);

	atomic_inc(&(*flow)->in_kernel);
	/* Pairs with onload_lease(): it sees us, or we see the lease. */
	smp_mb__after_atomic();
	if (onload_flow_leased(*flow))
		onload_reclaim(*flow, onload_flow_mine(*flow) ?
			       ONLOAD_R_SYSCALL : ONLOAD_R_FOREIGN);
	return (*flow)->base;
}

static void onload_leave(struct onload_flow *flow)
{
	if (!flow)
		return;
	WRITE_ONCE(flow->wire_willing, true);
	atomic_dec(&flow->in_kernel);
}

/**
 * onload_call_begin() - count a call in that is not a wrapped op
 * @sock: one of ours
 *
 * Such a call may sleep while another thread retires the socket (TCP_ULP,
 * IPV6_ADDRFORM), which would free the flow and let the module go.
 *
 * Return: the socket's flow or NULL, for onload_call_end().
 */
struct onload_flow *onload_call_begin(const struct socket *sock)
{
	struct onload_flow *flow = onload_flow_of(sock);

	/* Nothing slept since the op was fetched: both are still there. */
	if (flow)
		atomic_inc(&flow->callers);
	else
		__module_get(THIS_MODULE);
	return flow;
}

/**
 * onload_call_end() - undo onload_call_begin()
 * @flow: what that returned
 *
 * The few instructions from here to the caller's return are covered by the
 * grace period of RCU tasks that unloading waits for.
 */
void onload_call_end(struct onload_flow *flow)
{
	if (flow)
		atomic_dec(&flow->callers);
	else
		module_put(THIS_MODULE);
}

static int onload_flow_connect(struct socket *sock, struct sockaddr *addr,
			       int len, int flags)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);
	int err;

	/* AF_UNSPEC dissolves the association: the tuple becomes free. */
	if (flow && len >= (int)sizeof(addr->sa_family) &&
	    addr->sa_family == AF_UNSPEC) {
		lock_sock(sock->sk);
		onload_flow_unhash(flow);
		release_sock(sock->sk);
	}
	err = ops->connect(sock, addr, len, flags);
	onload_leave(flow);
	return err;
}

static int onload_flow_accept(struct socket *sock, struct socket *newsock,
			      int flags, bool kern)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);
	int err;

	/* The core has given the child our ops, and with them our flow. */
	newsock->ops = flow ? flow->base : onload_ops(sock->sk->sk_family);
	err = ops->accept(sock, newsock, flags, kern);
	onload_leave(flow);
	return err;
}

static int onload_flow_ioctl(struct socket *sock, unsigned int cmd,
			     unsigned long arg)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);
	int err = ops->ioctl(sock, cmd, arg);

	onload_leave(flow);
	return err;
}

#ifdef CONFIG_COMPAT
static int onload_flow_compat_ioctl(struct socket *sock, unsigned int cmd,
				    unsigned long arg)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);
	int err = ops->compat_ioctl(sock, cmd, arg);

	onload_leave(flow);
	return err;
}
#endif

static int onload_flow_listen(struct socket *sock, int backlog)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);
	int err;

	if (flow) {
		/* Children inherit sk_prot; theirs must be stock. */
		lock_sock(sock->sk);
		onload_prot_restore(flow);
		release_sock(sock->sk);
	}
	err = ops->listen(sock, backlog);
	onload_leave(flow);
	return err;
}

static int onload_flow_shutdown(struct socket *sock, int how)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);
	int err = ops->shutdown(sock, how);

	onload_leave(flow);
	return err;
}

static int onload_flow_sendmsg(struct socket *sock, struct msghdr *msg,
			       size_t len)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);
	int ret = ops->sendmsg(sock, msg, len);

	onload_leave(flow);
	return ret;
}

static int onload_flow_recvmsg(struct socket *sock, struct msghdr *msg,
			       size_t len, int flags)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);
	int ret = ops->recvmsg(sock, msg, len, flags);

	onload_leave(flow);
	return ret;
}

static int onload_flow_mmap(struct file *file, struct socket *sock,
			    struct vm_area_struct *vma)
{
	const struct proto_ops *ops = READ_ONCE(sock->ops);
	struct onload_flow *flow = onload_flow_of(sock);

	/* Under mmap_lock nobody may wait for the socket lock; receiving
	 * through the mapping is a getsockopt(), which reclaims.
	 */
	return (flow ? flow->base : ops)->mmap(file, sock, vma);
}

static void onload_flow_splice_eof(struct socket *sock)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);

	ops->splice_eof(sock);
	onload_leave(flow);
}

static ssize_t onload_flow_sendpage(struct socket *sock, struct page *page,
				    int offset, size_t size, int flags)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);
	ssize_t ret = ops->sendpage(sock, page, offset, size, flags);

	onload_leave(flow);
	return ret;
}

static ssize_t onload_flow_splice_read(struct socket *sock, loff_t *ppos,
				       struct pipe_inode_info *pipe, size_t len,
				       unsigned int flags)
{
	struct onload_flow *flow;
	const struct proto_ops *ops = onload_enter(sock, &flow);
	ssize_t ret = ops->splice_read(sock, ppos, pipe, len, flags);

	onload_leave(flow);
	return ret;
}

static int onload_flow_set_rcvlowat(struct sock *sk, int val)
{
	struct onload_flow *flow = onload_flow_of(sk->sk_socket);

	/* Called with the socket locked. */
	if (flow && onload_flow_leased(flow))
		onload_flow_queue(flow, ONLOAD_R_OPTIONS);
	return tcp_set_rcvlowat(sk, val);
}

static __poll_t onload_flow_poll(struct file *file, struct socket *sock,
				 poll_table *wait)
{
	struct onload_flow *flow = onload_flow_of(sock);
	__poll_t mask;

	if (!flow)
		return tcp_poll(file, sock, wait);
	atomic_inc(&flow->callers);
	mask = onload_poll(flow, file, sock, wait);
	onload_call_end(flow);
	return mask;
}

static int onload_flow_release(struct socket *sock)
{
	struct onload_flow *flow = onload_flow_of(sock);
	int err;

	onload_end(flow, ONLOAD_R_CLOSE);
	/* A thread may still be in the slot: the rings stay. */
	onload_detach(flow, ONLOAD_R_CLOSE);
	WRITE_ONCE(sock->ops, flow->base);
	err = flow->base->release(sock);
	onload_flow_put(flow);
	return err;
}

static int onload_release(struct socket *sock)
{
	struct sock *sk = sock->sk;

	if (!sk)
		return 0;
	onload_stat_close(sk);
	return onload_linux_ops(sk->sk_family)->release(sock);
}

/**
 * struct onload_retired - what remains of ours when a socket returns to Linux
 * @rcu: for a grace period of RCU tasks
 * @flow: the socket's, or NULL
 */
struct onload_retired {
	struct rcu_head rcu;
	struct onload_flow *flow;
};

static void onload_retired_free(struct rcu_head *rcu)
{
	struct onload_retired *retired =
		container_of(rcu, struct onload_retired, rcu);

	/* No task is left between fetching the op and counting itself in;
	 * those that did may sleep inside for long.
	 */
	if (retired->flow && (atomic_read(&retired->flow->in_kernel) ||
			      atomic_read(&retired->flow->callers))) {
		call_rcu_tasks(rcu, onload_retired_free);
		return;
	}
	if (retired->flow)
		onload_flow_put(retired->flow);
	kfree(retired);
	module_put(THIS_MODULE);
}

/* Give a socket back to Linux for good. Others copy sock->ops for ever (tls)
 * or overwrite it (IPV6_ADDRFORM), so it must not be ours when they do.
 */
static int onload_retire(struct socket *sock)
{
	struct onload_retired *retired = kmalloc(sizeof(*retired), GFP_KERNEL);
	struct sock *sk = sock->sk;
	struct onload_flow *flow;
	int err = -ESTALE;

	if (!retired)
		return -ENOMEM;
	lock_sock(sk);
	flow = onload_flow_of(sock);
	if (!onload_is_ours(sock)) {
		release_sock(sk);
		kfree(retired);
		return 0;
	}
	if (flow)
		err = onload_end_owned(flow, ONLOAD_R_NOT_STOCK);
	WRITE_ONCE(sock->ops, onload_linux_ops(sk->sk_family));
	release_sock(sk);
	if (flow) {
		onload_reclaimed(flow, err);
		onload_detach(flow, ONLOAD_R_NOT_STOCK);
	}
	retired->flow = flow;
	call_rcu_tasks(&retired->rcu, onload_retired_free);
	return 0;
}

/* Apart from ours: the data path shall not save registers for it. */
static noinline int onload_linux_setsockopt(struct socket *sock, int level,
					    int optname, sockptr_t optval,
					    unsigned int optlen)
{
	struct onload_flow *flow;
	const struct proto_ops *ops;
	int err;

	if ((level == SOL_TCP && optname == TCP_ULP) ||
	    (level == SOL_IPV6 && optname == IPV6_ADDRFORM)) {
		err = onload_retire(sock);
		if (err)
			return err;
		return sock_common_setsockopt(sock, level, optname, optval,
					      optlen);
	}
	ops = onload_enter(sock, &flow);
	if (!flow)
		return sock_common_setsockopt(sock, level, optname, optval,
					      optlen);
	err = ops->setsockopt(sock, level, optname, optval, optlen);
	onload_leave(flow);
	return err;
}

static int onload_op_setsockopt(struct socket *sock, int level, int optname,
				sockptr_t optval, unsigned int optlen)
{
	if (level == SOL_ONLOAD)
		return onload_setsockopt(sock, optname, optval, optlen);
	return onload_linux_setsockopt(sock, level, optname, optval, optlen);
}

static int onload_base_setsockopt(struct socket *sock, int level, int optname,
				  sockptr_t optval, unsigned int optlen)
{
	if (level == SOL_ONLOAD || (level == SOL_TCP && optname == TCP_ULP) ||
	    (level == SOL_IPV6 && optname == IPV6_ADDRFORM))
		return onload_op_setsockopt(sock, level, optname, optval,
					    optlen);
	return sock_common_setsockopt(sock, level, optname, optval, optlen);
}

static int onload_op_getsockopt(struct socket *sock, int level, int optname,
				char __user *optval, int __user *optlen)
{
	struct onload_flow *flow;
	int err;

	if (level == SOL_ONLOAD)
		return onload_getsockopt(sock, optname, optval, optlen);
	onload_enter(sock, &flow);
	err = sock_common_getsockopt(sock, level, optname, optval, optlen);
	onload_leave(flow);
	return err;
}

static int onload_base_getsockopt(struct socket *sock, int level, int optname,
				  char __user *optval, int __user *optlen)
{
	if (level == SOL_ONLOAD)
		return onload_getsockopt(sock, optname, optval, optlen);
	return sock_common_getsockopt(sock, level, optname, optval, optlen);
}

/**
 * onload_flow_ops() - the operations of a socket with a flow
 * @ops: to be filled
 * @base: the socket's until now
 */
void onload_flow_ops(struct proto_ops *ops, const struct proto_ops *base)
{
	*ops = *base;
	ops->release = onload_flow_release;
	ops->connect = onload_flow_connect;
	ops->accept = onload_flow_accept;
	ops->poll = onload_flow_poll;
	ops->ioctl = onload_flow_ioctl;
#ifdef CONFIG_COMPAT
	ops->compat_ioctl = onload_flow_compat_ioctl;
#endif
	ops->listen = onload_flow_listen;
	ops->shutdown = onload_flow_shutdown;
	ops->setsockopt = onload_op_setsockopt;
	ops->getsockopt = onload_op_getsockopt;
	ops->sendmsg = onload_flow_sendmsg;
	ops->recvmsg = onload_flow_recvmsg;
	ops->mmap = onload_flow_mmap;
	ops->splice_eof = onload_flow_splice_eof;
	ops->sendpage = onload_flow_sendpage;
	ops->splice_read = onload_flow_splice_read;
	ops->set_rcvlowat = onload_flow_set_rcvlowat;
}

/**
 * onload_ops() - the operations of a socket without a flow
 * @family: AF_INET or AF_INET6
 *
 * Return: the table, NULL where the host has no IPv6.
 */
const struct proto_ops *onload_ops(int family)
{
	if (family == AF_INET)
		return &onload_ops4;
	return onload_linux6 ? &onload_ops6 : NULL;
}

/**
 * onload_linux_ops() - Linux's own operations
 * @family: AF_INET or AF_INET6
 *
 * Return: the table, NULL where the host has no IPv6.
 */
const struct proto_ops *onload_linux_ops(int family)
{
	return family == AF_INET ? &inet_stream_ops : onload_linux6;
}

static void __init onload_ops_copy(struct proto_ops *ops,
				   const struct proto_ops *base)
{
	*ops = *base;
	ops->owner = THIS_MODULE;
	ops->release = onload_release;
	ops->setsockopt = onload_base_setsockopt;
	ops->getsockopt = onload_base_getsockopt;
}

/**
 * onload_ops_init() - derive our tables from Linux's
 *
 * inet6_stream_ops is not exported, so a socket lends us its own.
 *
 * Return: 0, also where the host has no IPv6; or a negative error.
 */
int __init onload_ops_init(void)
{
#if IS_ENABLED(CONFIG_IPV6)
	struct socket *sock;
	int err;
#endif

	onload_ops_copy(&onload_ops4, &inet_stream_ops);
#if IS_ENABLED(CONFIG_IPV6)
	err = sock_create_kern(&init_net, AF_INET6, SOCK_STREAM, IPPROTO_TCP,
			       &sock);
	if (err == -EAFNOSUPPORT)
		return 0;
	if (err)
		return err;
	onload_linux6 = sock->ops;
	sock_release(sock);
	onload_ops_copy(&onload_ops6, onload_linux6);
#endif
	return 0;
}
