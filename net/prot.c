// SPDX-License-Identifier: GPL-2.0
/*
 * The sk_prot of a socket with a flow: a copy of Linux's but for three verbs,
 * which reach a socket past its proto_ops. An administrator's "ss -K" must see
 * true sequence numbers; who puts the socket into a sockmap takes sk_prot and
 * the callbacks over; and SO_KEEPALIVE starts a timer of Linux.
 */
#include <linux/skmsg.h>
#include <net/tcp.h>
#include <net/transp_v6.h>

#include "family.h"
#include "flow.h"
#include "lease.h"
#include "prot.h"

static struct proto onload_prot4 __ro_after_init;
static struct proto onload_prot6 __ro_after_init;

/**
 * onload_prot_is_ours() - has a socket with this sk_prot a flow?
 * @prot: a socket's
 *
 * Return: true if it may have one.
 */
bool onload_prot_is_ours(const struct proto *prot)
{
	return prot == &onload_prot4 || prot == &onload_prot6;
}

/**
 * onload_prot_set() - give a socket our sk_prot
 * @flow: its flow
 *
 * A sockmap that the socket has been in has left Linux's behind.
 *
 * Context: socket locked.
 */
void onload_prot_set(struct onload_flow *flow)
{
	struct sock *sk = flow->sk;

	if (sk->sk_prot == flow->base_prot && !sk->sk_user_data)
		WRITE_ONCE(sk->sk_prot, onload_prot(sk));
}

/**
 * onload_prot_restore() - give a socket back what it had before its flow
 * @flow: its flow
 *
 * Context: socket locked.
 */
void onload_prot_restore(struct onload_flow *flow)
{
	struct sock *sk = flow->sk;

	if (onload_prot_is_ours(sk->sk_prot))
		WRITE_ONCE(sk->sk_prot, flow->base_prot);
}

/**
 * onload_prot() - the sk_prot of a socket with a flow
 * @sk: TCP
 *
 * Return: ours, or NULL if the socket's is not Linux's own.
 */
struct proto *onload_prot(const struct sock *sk)
{
	if (sk->sk_prot == &tcp_prot)
		return &onload_prot4;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_prot == &tcpv6_prot)
		return &onload_prot6;
#endif
	return NULL;
}

static int onload_diag_destroy(struct sock *sk, int err)
{
	struct onload_flow *flow = onload_flow_get_sk(sk);

	if (flow) {
		onload_end(flow, ONLOAD_R_ABORT);
		onload_flow_put(flow);
	}
	return tcp_abort(sk, err);
}

/* SO_KEEPALIVE is no option of TCP's, so no op of ours is called. What Linux
 * would probe with is old while somebody else runs the transport: the import
 * starts the timer. Socket locked.
 */
static void onload_prot_keepalive(struct sock *sk, int on)
{
	struct onload_flow *flow = onload_flow_get_sk(sk);

	if (!on || !flow || flow->owner != ONLOAD_LEASED)
		tcp_set_keepalive(sk, on);
	/* The next lease knows of it. */
	if (on && flow && onload_flow_leased(flow))
		onload_flow_queue(flow, ONLOAD_R_OPTIONS);
	if (flow)
		onload_flow_put(flow);
}

#ifdef CONFIG_BPF_SYSCALL
/* The socket goes into its first sockmap. That keeps the sk_prot which it finds
 * for as long as it likes, derives its own from it (on IPv6 for every socket of
 * the host), and calls this verb again to give it back: all of that must be
 * Linux's. Nobody may sleep here, so the lease ends a little later; the gate
 * goes by the flow and not by sk_prot.
 */
static int onload_psock_update(struct sock *sk, struct sk_psock *psock,
			       bool restore, struct proto *base)
{
	struct onload_flow *flow;
	int err;

	psock->sk_proto = base;
	psock->psock_update_sk_prot = base->psock_update_sk_prot;
	err = base->psock_update_sk_prot(sk, psock, restore);
	if (err)
		return err;
	flow = onload_flow_get_sk(sk);
	if (flow) {
		if (onload_flow_leased(flow))
			onload_flow_queue(flow, ONLOAD_R_FILTER);
		onload_flow_put(flow);
	}
	return 0;
}

static int onload_psock_update4(struct sock *sk, struct sk_psock *psock,
				bool restore)
{
	return onload_psock_update(sk, psock, restore, &tcp_prot);
}

#if IS_ENABLED(CONFIG_IPV6)
static int onload_psock_update6(struct sock *sk, struct sk_psock *psock,
				bool restore)
{
	return onload_psock_update(sk, psock, restore, &tcpv6_prot);
}
#endif
#endif

/**
 * onload_prot_init() - derive our tables from Linux's
 */
void __init onload_prot_init(void)
{
	onload_prot4 = tcp_prot;
	onload_prot4.diag_destroy = onload_diag_destroy;
	onload_prot4.keepalive = onload_prot_keepalive;
#if IS_ENABLED(CONFIG_IPV6)
	onload_prot6 = tcpv6_prot;
	onload_prot6.diag_destroy = onload_diag_destroy;
	onload_prot6.keepalive = onload_prot_keepalive;
#endif
#ifdef CONFIG_BPF_SYSCALL
	if (tcp_prot.psock_update_sk_prot)
		onload_prot4.psock_update_sk_prot = onload_psock_update4;
#if IS_ENABLED(CONFIG_IPV6)
	if (tcpv6_prot.psock_update_sk_prot)
		onload_prot6.psock_update_sk_prot = onload_psock_update6;
#endif
#endif
}
