// SPDX-License-Identifier: GPL-2.0
/*
 * The lease: who runs a flow's transport.
 *
 *	KERNEL -- onload_lease() --> LEASED -- onload_reclaim() --> FROZEN
 *	 ^ | ^                                                        |
 *	 | | +-------------- import, ring drained --------------------+
 *	 | +-- onload_wire_pair() --> WIRED --+
 *	 +------------ onload_reclaim() ------+
 *
 * flow->owner is the truth; the word in shared memory is how user level
 * learns of it and what makes its commits fail. All changes happen with the
 * socket locked; those that the gate must see, under the flow's lock. How it
 * ends is in reclaim.c.
 */
#include <linux/jiffies.h>
#include <linux/time_namespace.h>
#include <net/tcp.h>

#include "context.h"
#include "flow.h"
#include "lease.h"
#include "netns.h"
#include "prot.h"
#include "record.h"
#include "stats.h"
#include "wait.h"
#include "watch.h"
#include "wire.h"

/**
 * onload_peek() - read the committed state without taking it
 * @flow: leased
 * @st: a copy, consistent but unchecked
 *
 * Context: flow's lock.
 * Return: false if user level kept committing, or scribbled.
 */
bool onload_peek(struct onload_flow *flow, struct onload_tcp_state *st)
{
	struct onload_slot *slot = flow->slot;
	int tries = 4;
	u64 word;

	while (tries--) {
		/* Pairs with the library's release of the word. */
		word = smp_load_acquire(&slot->word);
		if (ONLOAD_W_GEN(word) != flow->generation ||
		    !(word & ONLOAD_W_USER))
			return false;
		onload_copy_shared(st, &slot->state[word & 1], sizeof(*st));
		/* The copy before the second look, as a seqlock's reader. */
		smp_rmb();
		if (READ_ONCE(slot->word) == word)
			return true;
	}
	return false;
}

static enum onload_reason onload_ask(struct onload_flow *flow, u32 wnd_max)
{
	enum onload_reason why;

	why = onload_export_check(flow, wnd_max);
	if (READ_ONCE(flow->alien))
		return ONLOAD_R_POLICY;
	/* Pairs with onload_flow_is_ready(). */
	if (!smp_load_acquire(&flow->ready))
		return ONLOAD_R_ATTACH;
	return why;
}

static s64 onload_mono_offset(void)
{
	struct timespec64 ts = {};

	timens_add_monotonic(&ts);
	return -div_s64(timespec64_to_ns(&ts), NSEC_PER_MSEC);
}

/* The flow's own view of a lease's beginning; flow's lock */
static void onload_begin(struct onload_flow *flow,
			 const struct onload_tcp_state *st, u32 generation)
{
	WRITE_ONCE(flow->generation, generation);
	onload_flow_because(flow, ONLOAD_R_NONE);
	flow->closed = false;
	flow->rx_cons = st->rx_cons;
	flow->rx_data = flow->rx_prod;
	flow->snd_una0 = st->snd_una;
	flow->acked = st->snd_una;
	flow->sent = st->snd_nxt;
	flow->rcv_nxt0 = st->rcv_nxt;
	flow->copied0 = st->copied_seq;
	flow->rcv_edge = st->rcv_wup + st->rcv_wnd;
	flow->last_ack = st->rcv_wup;
	flow->last_wnd = st->rcv_wnd;
	flow->snd_wscale = tcp_sk(flow->sk)->rx_opt.snd_wscale;
	flow->want_tx = false;
	flow->watch_mark = flow->rx_prod;
	flow->rx_seq = st->rcv_nxt;
	flow->rx_armed = false;
	flow->tx_armed = false;
	flow->watch_since = jiffies;
	flow->heard = jiffies - keepalive_time_elapsed(tcp_sk(flow->sk));
}

static void onload_publish(struct onload_flow *flow,
			   const struct onload_tcp_state *st,
			   const struct onload_flow_const *c)
{
	struct onload_slot *slot = flow->slot;

	memcpy(&slot->state[0], st, sizeof(*st));
	memcpy(&slot->c, c, sizeof(*c));
	WRITE_ONCE(slot->need_wake, 1);
	WRITE_ONCE(slot->rx_prod, flow->rx_prod);
	WRITE_ONCE(slot->reason, ONLOAD_R_NONE);
	/* The word last: it makes the rest valid. */
	smp_store_release(&slot->word, ONLOAD_W_MAKE(flow->generation, 0));
}

/* A lease of the soft VI. Socket locked. Returns 0 or a reason. */
static enum onload_reason onload_give(struct onload_flow *flow,
				      struct onload_ctx *ctx)
{
	u32 wnd_max = ctx->rx_size / 2;
	struct onload_tcp_state st = {};
	struct onload_flow_const c = {};
	enum onload_reason why;

	why = onload_ask(flow, wnd_max);
	if (why)
		return why;

	spin_lock_bh(&flow->lock);
	/* What the gate delivered while we held the socket waits there. */
	if (READ_ONCE(flow->sk->sk_backlog.tail)) {
		spin_unlock_bh(&flow->lock);
		return ONLOAD_R_BUSY;
	}
	/* Nor is what the gate let pass on its way any more. */
	if (flow->strayed && !poll_state_synchronize_rcu(flow->strays)) {
		spin_unlock_bh(&flow->lock);
		return ONLOAD_R_ATTACH;
	}
	if (!onload_flow_claim(flow, ONLOAD_LEASED)) {
		spin_unlock_bh(&flow->lock);
		return ONLOAD_R_BUSY;
	}
	onload_export(flow, &st, &c, wnd_max);
	c.rx_size = ctx->rx_size;
	c.tx_size = ctx->tx_size;
	c.mono_off_ms = onload_mono_offset();
	onload_begin(flow, &st, onload_ctx_generation(ctx));
	onload_publish(flow, &st, &c);
	if (st.ack_ms)
		onload_watch_tx(flow);
	if (sock_flag(flow->sk, SOCK_KEEPOPEN))
		onload_watch_at(flow, flow->heard +
				keepalive_time_when(tcp_sk(flow->sk)));
	spin_unlock_bh(&flow->lock);

	/* A handler that runs just now finds an owner, and arms it again. */
	if (sock_flag(flow->sk, SOCK_KEEPOPEN))
		sk_stop_timer_sync(flow->sk,
				   &inet_csk(flow->sk)->icsk_keepalive_timer);
	flow->leased_at = jiffies;
	onload_stat_lease(flow);
	return ONLOAD_R_NONE;
}

/**
 * onload_backing_off() - is it too soon after the last reclaim?
 * @flow: socket locked, or its spinlock held and nobody the owner
 *
 * Return: true if there shall be no lease yet.
 */
bool onload_backing_off(const struct onload_flow *flow)
{
	return READ_ONCE(onload_net(flow->net)->backoff_ms) &&
	       time_before(jiffies, flow->next_lease);
}

/* A lease by whichever path. Socket locked. Returns 0 or a reason. */
static enum onload_reason onload_grant(struct onload_flow *flow,
				       struct onload_ctx *ctx, u32 flags,
				       int *err)
{
	enum onload_reason why;

	if (!READ_ONCE(onload_net(flow->net)->lease))
		return ONLOAD_R_DISABLED;
	onload_prot_set(flow);
	if (onload_backing_off(flow))
		return ONLOAD_R_BACKOFF;
	WRITE_ONCE(flow->holder, task_tgid_nr(current));
	/* If a mapping ends now, its end still finds the flow attached. */
	why = onload_wire_pair(flow, flags);
	if (flow->owner == ONLOAD_WIRED)
		onload_wire_met(flow);
	if (why || flow->owner == ONLOAD_WIRED)
		return why;
	*err = onload_ctx_rings(ctx, flow);
	if (*err) {
		why = *err == -ENOMEM ? ONLOAD_R_NOMEM : ONLOAD_R_MEMLOCK;
		*err = 0;
		return why;
	}
	/* If the mapping ends now, its end waits until it can see the lease. */
	*err = onload_ctx_hold(ctx);
	if (*err)
		return ONLOAD_R_NONE;
	why = onload_give(flow, ctx);
	onload_ctx_unhold(ctx);
	return why;
}

static int onload_refused(struct onload_flow *flow, struct onload_lease *req,
			  enum onload_reason why)
{
	req->reason = why;
	onload_stat_refuse(flow, why);
	switch (why) {
	case ONLOAD_R_NOTCONN:
		return -ENOTCONN;
	case ONLOAD_R_ATTACH:
		req->retry_ms = 5;
		return -EAGAIN;
	case ONLOAD_R_BACKOFF:
		req->retry_ms = jiffies_to_msecs(flow->next_lease - jiffies);
		return -EAGAIN;
	case ONLOAD_R_UNSENT:
	case ONLOAD_R_UNREAD:
	case ONLOAD_R_REORDER:
	case ONLOAD_R_RECOVERY:
	case ONLOAD_R_WINDOW:
	case ONLOAD_R_BUSY:
	case ONLOAD_R_WIRE:
	case ONLOAD_R_KEEPALIVE:
		return -EAGAIN;
	case ONLOAD_R_NOMEM:
		return -ENOMEM;
	case ONLOAD_R_MEMLOCK:
		return -ENOBUFS;
	default:
		req->retry_ms = 1000;
		return -EOPNOTSUPP;
	}
}

/**
 * onload_lease() - lease a flow to the current process
 * @flow: of the socket that was asked
 * @ctx: of the current process
 * @req: slot given, the rest filled in
 *
 * Return: 0 or an error of ONLOAD_LEASE.
 */
int onload_lease(struct onload_flow *flow, struct onload_ctx *ctx,
		 struct onload_lease *req)
{
	struct sock *sk = flow->sk;
	enum onload_reason why;
	int err = 0;

	/* Of no use to anybody, but in the way of the next. */
	if (onload_wire_ended(flow))
		onload_reclaim(flow, ONLOAD_R_PEERCLOSE);
	lock_sock(sk);
	if (flow->owner == ONLOAD_WIRED && flow->ctx == ctx &&
	    flow->slot_nr == req->slot) {
		/* The other end was quicker. */
		onload_wire_met(flow);
		req->generation = flow->generation;
		goto out;
	}
	if (onload_flow_leased(flow)) {
		err = flow->ctx == ctx ? -EALREADY :
		      onload_refused(flow, req, ONLOAD_R_FOREIGN);
		goto out;
	}
	/* Retired or disconnected: nobody would part it from a context. */
	if (!flow->hashed) {
		err = onload_refused(flow, req, ONLOAD_R_NOT_STOCK);
		goto out;
	}
	/* A former holder's; its threads cannot lease it again. */
	if (flow->ctx && flow->ctx != ctx)
		onload_part(flow, false);
	if (!flow->ctx) {
		err = onload_ctx_attach(ctx, req->slot, flow);
		if (err == -ENOBUFS || err == -ENOMEM)
			err = onload_refused(flow, req, err == -ENOMEM ?
					     ONLOAD_R_NOMEM : ONLOAD_R_MEMLOCK);
		if (err)
			goto out;
	} else if (flow->slot_nr != req->slot) {
		err = -EBUSY;
		goto out;
	}

	why = onload_grant(flow, ctx, req->flags, &err);
	if (err)
		goto out;
	if (why)
		err = onload_refused(flow, req, why);
	else
		req->generation = flow->generation;
out:
	release_sock(sk);
	return err;
}
