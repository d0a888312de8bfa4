// SPDX-License-Identifier: GPL-2.0
/*
 * The level SOL_ONLOAD: what the library asks of the kernel. Arguments are
 * copied once and checked before anything is done.
 */
#include <linux/net.h>
#include <linux/uaccess.h>
#include <net/tcp.h>

#include "context.h"
#include "family.h"
#include "flow.h"
#include "gate.h"
#include "lease.h"
#include "prot.h"
#include "sockopt.h"
#include "stats.h"
#include "wait.h"
#include "wire.h"
#include "xmit.h"

static int onload_set_handback(struct onload_flow *flow, sockptr_t optval,
			       unsigned int optlen)
{
	struct onload_handback req;

	if (optlen < sizeof(req))
		return -EINVAL;
	if (copy_from_sockptr(&req, optval, sizeof(req)))
		return -EFAULT;
	if (!flow)
		return -ESTALE;
	return onload_handback(flow, req.generation, req.reason);
}

static int onload_set_detach(struct onload_flow *flow, sockptr_t optval,
			     unsigned int optlen)
{
	u32 slot;

	if (optlen < sizeof(slot))
		return -EINVAL;
	if (copy_from_sockptr(&slot, optval, sizeof(slot)))
		return -EFAULT;
	return flow ? onload_detach_mine(flow, slot) : -ESTALE;
}

static bool onload_limited(long timeo)
{
	/* 0 is what a negative time becomes: no option says that it is set. */
	return timeo && timeo != MAX_SCHEDULE_TIMEOUT;
}

/* What the library knows of descriptor and socket, another process may have
 * changed behind its back, and ours. Asked before a sleep, as Linux does.
 */
static bool onload_may_not_wait(const struct socket *sock,
				const struct onload_wait *req)
{
	const struct sock *sk = sock->sk;

	if (READ_ONCE(sock->file->f_flags) & O_NONBLOCK)
		return true;
	if (req->timeout_ns != ONLOAD_WAIT_FOREVER)
		return false;
	return onload_limited(req->events & ONLOAD_WAIT_IN ?
			      READ_ONCE(sk->sk_rcvtimeo) :
			      READ_ONCE(sk->sk_sndtimeo));
}

static int onload_set_wait(const struct socket *sock, struct onload_flow *flow,
			   sockptr_t optval, unsigned int optlen)
{
	struct onload_wait req;
	u64 began, took;
	int err;

	if (optlen < sizeof(req))
		return -EINVAL;
	if (onload_copy_small(&req, optval, 0, sizeof(req)))
		return -EFAULT;
	if (!flow || READ_ONCE(flow->slot_nr) != req.slot)
		return -ESTALE;
	if (onload_may_not_wait(sock, &req))
		return -EAGAIN;
	if (!(req.events & ONLOAD_WAIT_RESTART) ||
	    req.timeout_ns == ONLOAD_WAIT_FOREVER)
		return onload_wait(flow, &req);

	/* Or signals, if they are frequent, would put off its end for ever. */
	began = ktime_get_ns();
	err = onload_wait(flow, &req);
	if (err != -ERESTARTSYS)
		return err;
	took = ktime_get_ns() - began;
	if (took >= req.timeout_ns)
		return -ETIMEDOUT;
	req.timeout_ns -= took;
	if (copy_to_sockptr_offset(optval, offsetof(typeof(req), timeout_ns),
				   &req.timeout_ns, sizeof(req.timeout_ns)))
		return -EFAULT;
	return err;
}

static int onload_set_wire(struct onload_flow *flow, sockptr_t optval,
			   unsigned int optlen,
			   int (*verb)(struct onload_flow *flow,
				       u32 generation))
{
	u32 generation;

	if (optlen < sizeof(generation))
		return -EINVAL;
	if (copy_from_sockptr(&generation, optval, sizeof(generation)))
		return -EFAULT;
	return flow ? verb(flow, generation) : -ESTALE;
}

/* Apart from what every message does */
static noinline int onload_set_rare(struct onload_flow *flow, int optname,
				    sockptr_t optval, unsigned int optlen)
{
	switch (optname) {
	case ONLOAD_HANDBACK:
		return onload_set_handback(flow, optval, optlen);
	case ONLOAD_DETACH:
		return onload_set_detach(flow, optval, optlen);
	case ONLOAD_WAKE:
		return onload_set_wire(flow, optval, optlen, onload_wire_wake);
	case ONLOAD_GROW:
		return onload_set_wire(flow, optval, optlen, onload_wire_grow);
	default:
		return -ENOPROTOOPT;
	}
}

/**
 * onload_setsockopt() - setsockopt() at SOL_ONLOAD
 * @sock: one of ours
 * @optname: ONLOAD_*
 * @optval: as the ABI header says
 * @optlen: its bytes
 *
 * Return: as the ABI header says.
 */
int onload_setsockopt(struct socket *sock, int optname, sockptr_t optval,
		      unsigned int optlen)
{
	struct onload_flow *flow = onload_call_begin(sock);
	int err;

	if (optname == ONLOAD_KICK)
		err = onload_kick(flow, optval, optlen);
	else if (optname == ONLOAD_WAIT)
		err = onload_set_wait(sock, flow, optval, optlen);
	else
		err = onload_set_rare(flow, optname, optval, optlen);
	onload_call_end(flow);
	return err;
}

/* Copies the struct in; on success *len is what the caller may see of it. */
static int onload_get_in(void *req, int size, char __user *optval,
			 int __user *optlen)
{
	int len;

	if (get_user(len, optlen))
		return -EFAULT;
	if (len < size)
		return -EINVAL;
	return copy_from_user(req, optval, size) ? -EFAULT : 0;
}

static int onload_get_out(const void *req, int size, char __user *optval,
			  int __user *optlen)
{
	if (copy_to_user(optval, req, size) || put_user(size, optlen))
		return -EFAULT;
	return 0;
}

static int onload_get_context(struct socket *sock, char __user *optval,
			      int __user *optlen)
{
	struct onload_context req;
	int err;

	err = onload_get_in(&req, sizeof(req), optval, optlen);
	if (err)
		return err;
	err = onload_ctx_create(sock_net(sock->sk), &req);
	if (err)
		return err;
	/* A caller who unmapped its own argument keeps an unknown fd. */
	return onload_get_out(&req, sizeof(req), optval, optlen);
}

/* The flow of a socket that had none, counted in: onload_call_end() */
static struct onload_flow *onload_lease_flow(struct socket *sock)
{
	struct onload_flow *flow;
	struct sock *sk = sock->sk;
	int err = 0;

	/* Who retires the socket holds its lock, too. */
	lock_sock(sk);
	flow = onload_flow_of(sock);
	if (flow)
		goto out;
	err = -ENOTCONN;
	if (sk->sk_state != TCP_ESTABLISHED)
		goto out;
	err = -EOPNOTSUPP;
	if (!onload_is_ours(sock) || !onload_prot(sk))
		goto out;
	/* All that can fail comes first: a flow without its place in the
	 * table could never be leased.
	 */
	err = onload_gate_open(sock_net(sk));
	if (err)
		goto out;
	err = -ENOMEM;
	flow = onload_flow_attach(sock);
	if (!flow)
		goto out;
	onload_flow_hash(flow);
	err = 0;
out:
	if (!err)
		atomic_inc(&flow->callers);
	release_sock(sk);
	return err ? ERR_PTR(err) : flow;
}

/* @flow: counted in by the caller, or NULL if the socket had none */
static int onload_get_lease(struct socket *sock, struct onload_flow *flow,
			    char __user *optval, int __user *optlen)
{
	const bool none = !flow;
	struct onload_lease req;
	struct onload_ctx *ctx;
	int err, out;

	err = onload_get_in(&req, sizeof(req), optval, optlen);
	if (err)
		return err;
	if (req.abi != ONLOAD_ABI)
		return -EPROTO;
	req.generation = 0;
	req.reason = ONLOAD_R_NONE;
	req.retry_ms = 0;
	ctx = onload_ctx_of_current();
	if (!ctx)
		return -ENXIO;
	err = -EINVAL;
	if (req.slot >= ctx->nslots)
		goto out_ctx;
	if (none)
		flow = onload_lease_flow(sock);
	err = PTR_ERR_OR_ZERO(flow);
	if (err == -ENOTCONN)
		req.reason = ONLOAD_R_NOTCONN;
	else if (err == -EOPNOTSUPP)
		req.reason = ONLOAD_R_NOT_STOCK;
	else if (err)
		req.reason = ONLOAD_R_NOMEM;
	else
		err = onload_lease(flow, ctx, &req);
	out = onload_get_out(&req, sizeof(req), optval, optlen);
	/* A lease that the caller cannot know of would only time out. */
	if (out && !err)
		onload_reclaim(flow, ONLOAD_R_LIBRARY);
	if (none && !IS_ERR(flow))
		onload_call_end(flow);
	err = err ?: out;
out_ctx:
	onload_ctx_put(ctx);
	return err;
}

static int onload_get_info(const struct onload_flow *flow, struct sock *sk,
			   char __user *optval, int __user *optlen)
{
	struct onload_info info;
	int len;

	if (get_user(len, optlen))
		return -EFAULT;
	if (len < (int)sizeof(info))
		return -EINVAL;
	onload_stat_info(flow, sk, &info);
	return onload_get_out(&info, sizeof(info), optval, optlen);
}

/**
 * onload_getsockopt() - getsockopt() at SOL_ONLOAD
 * @sock: one of ours
 * @optname: ONLOAD_*
 * @optval: as the ABI header says
 * @optlen: its bytes, in and out
 *
 * Return: as the ABI header says.
 */
int onload_getsockopt(struct socket *sock, int optname, char __user *optval,
		      int __user *optlen)
{
	struct onload_flow *flow = onload_call_begin(sock);
	int err;

	switch (optname) {
	case ONLOAD_CONTEXT:
		err = onload_get_context(sock, optval, optlen);
		break;
	case ONLOAD_LEASE:
		err = onload_get_lease(sock, flow, optval, optlen);
		break;
	case ONLOAD_INFO:
		err = onload_get_info(flow, sock->sk, optval, optlen);
		break;
	default:
		err = -ENOPROTOOPT;
	}
	onload_call_end(flow);
	return err;
}
