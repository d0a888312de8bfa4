// SPDX-License-Identifier: GPL-2.0
/*
 * Progress without the application. Linux's timers stand still during a
 * lease; in their place one delayed work a context looks at those of its
 * flows that have something outstanding, and reclaims what is overdue:
 *
 *   term		a record that matters has not been processed for the lease
 *			term; or, by a process that keeps sending on other
 *			flows and may yet come to this one, for some terms
 *   rto		bytes are in flight, unacknowledged as far as the gate saw
 *   keepalive		nothing has arrived for the keepalive time
 *   peer-close		of a wire: Linux's keepalive has ended the connection
 *   memory-pressure	Linux is short of memory for sockets
 *
 * Linux then retransmits or probes. An acknowledgement that is owed is no
 * reason to end a lease: the kernel sends it for the library. A flow with nothing
 * outstanding is on no list, and without flows on the list nothing runs.
 */
#include <linux/jiffies.h>
#include <net/tcp.h>

#include "context.h"
#include "flow.h"
#include "lease.h"
#include "netns.h"
#include "watch.h"
#include "wire.h"

/* Milliseconds; Linux's longest retransmission time-out and some */
#define ONLOAD_DEADLINE_MAX (130 * MSEC_PER_SEC)
/* How soon a deadline of the state is looked at first: before the shortest */
#define ONLOAD_WATCH_TX msecs_to_jiffies(30)

/* Terms that a busy process has: half of what TCP's shortest retransmission
 * time-out allows, with the default of 20 ms.
 */
#define ONLOAD_TERMS_BUSY 5

static unsigned long onload_term(const struct onload_flow *flow)
{
	const struct onload_net *on = onload_net(flow->net);

	return msecs_to_jiffies(READ_ONCE(on->lease_term_ms));
}

/**
 * onload_watch_at() - look at a flow at a certain time
 * @flow: locked, leased
 * @due: jiffies
 */
void onload_watch_at(struct onload_flow *flow, unsigned long due)
{
	struct onload_ctx *ctx = flow->ctx;
	long delay = due - jiffies;

	spin_lock(&ctx->lock);
	if (!flow->watched) {
		flow->watched = true;
		refcount_inc(&flow->ref);
		list_add_tail(&flow->watch_node, &ctx->watched);
	}
	if (!delayed_work_pending(&ctx->watch) || time_before(due, ctx->due)) {
		ctx->due = due;
		mod_delayed_work(onload_wq, &ctx->watch, max(delay, 0L));
	}
	spin_unlock(&ctx->lock);
}

/**
 * onload_watch_rx() - a record was appended
 * @flow: locked, leased
 */
void onload_watch_rx(struct onload_flow *flow)
{
	if (flow->rx_armed)
		return;
	flow->rx_armed = true;
	flow->watch_mark = flow->rx_prod;
	flow->watch_since = jiffies;
	onload_watch_at(flow, jiffies + onload_term(flow));
}

/**
 * onload_watch_tx() - the state may have a deadline
 * @flow: locked, leased
 */
void onload_watch_tx(struct onload_flow *flow)
{
	if (flow->tx_armed)
		return;
	WRITE_ONCE(flow->tx_armed, true);
	onload_watch_at(flow, jiffies + ONLOAD_WATCH_TX);
}

/* The next time to look, as a delay; 0: not needed */
static void onload_sooner(unsigned long *delay, unsigned long other)
{
	other = max(other, 1UL);
	if (!*delay || other < *delay)
		*delay = other;
}

static bool onload_busy(const struct onload_flow *flow, unsigned long idle,
			unsigned long term)
{
	return idle < ONLOAD_TERMS_BUSY * term &&
	       jiffies - READ_ONCE(flow->ctx->kicked) < term;
}

static enum onload_reason onload_overdue(struct onload_flow *flow,
					 unsigned long *delay)
{
	unsigned long term = onload_term(flow);
	unsigned long idle = jiffies - flow->watch_since;
	u32 now = (u32)ktime_to_ms(ktime_get());
	struct sock *sk = flow->sk;
	struct onload_tcp_state st;
	u32 sent;
	s32 left;

	flow->rx_armed = false;
	WRITE_ONCE(flow->tx_armed, false);
	/* Only Linux knows what to do without: smaller windows, less queued. */
	if (tcp_under_memory_pressure(sk))
		return ONLOAD_R_PRESSURE;
	if (!onload_peek(flow, &st)) {
		/* It commits, so it lives; or its word is nonsense. */
		onload_sooner(delay, term);
		return ONLOAD_W_GEN(READ_ONCE(flow->slot->word)) ==
		       flow->generation ? ONLOAD_R_NONE : ONLOAD_R_TERM;
	}

	/* Moves on under the socket's lock; what is missed now arms the watch
	 * again.
	 */
	sent = READ_ONCE(flow->sent);
	/* Payload, or acknowledgements for which bytes wait to be sent */
	if ((s32)(flow->rx_data - st.rx_proc) > 0 ||
	    (flow->rx_prod != st.rx_proc && st.write_seq != sent)) {
		if ((s32)(flow->watch_mark - st.rx_proc) > 0) {
			if (idle >= term && !onload_busy(flow, idle, term))
				return ONLOAD_R_TERM;
			onload_sooner(delay, idle < term ? term - idle : term);
		} else {
			flow->watch_mark = flow->rx_prod;
			flow->watch_since = jiffies;
			onload_sooner(delay, term);
		}
		flow->rx_armed = true;
	}

	/* A deadline that is none, or far off, is like a passed one. */
	if (flow->acked != sent) {
		left = st.rto_at_ms - now;
		if (left <= 0 || left > ONLOAD_DEADLINE_MAX)
			return ONLOAD_R_RTO;
		onload_sooner(delay, msecs_to_jiffies(left));
		WRITE_ONCE(flow->tx_armed, true);
	}
	if (sock_flag(sk, SOCK_KEEPOPEN)) {
		unsigned long keep = keepalive_time_when(tcp_sk(sk));
		unsigned long quiet = jiffies - flow->heard;

		if (quiet >= keep)
			return ONLOAD_R_KEEPALIVE;
		onload_sooner(delay, keep - quiet);
	}
	/* Last: the kernel sends it, and the lease goes on. */
	if (st.ack_ms && READ_ONCE(flow->last_ack) != st.rcv_nxt) {
		left = st.ack_ms - now;
		if (left <= 0 || left > ONLOAD_DEADLINE_MAX)
			return ONLOAD_R_DELACK;
		onload_sooner(delay, msecs_to_jiffies(left));
		WRITE_ONCE(flow->tx_armed, true);
	}
	return ONLOAD_R_NONE;
}

/* Linux's keepalive may end the connection under a wire whose ends only spin. */
static enum onload_reason onload_watch_wire(struct onload_flow *flow,
					    unsigned long *delay)
{
	if (onload_wire_over(flow))
		return ONLOAD_R_PEERCLOSE;
	if (sock_flag(flow->sk, SOCK_KEEPOPEN))
		onload_sooner(delay, keepalive_intvl_when(tcp_sk(flow->sk)));
	return ONLOAD_R_NONE;
}

/**
 * onload_unwatch() - take a flow off its context's list
 * @ctx: the context
 * @flow: locked, or its socket
 *
 * Return: whether it was on it: the caller has the list's reference.
 */
bool onload_unwatch(struct onload_ctx *ctx, struct onload_flow *flow)
{
	bool was;

	spin_lock_bh(&ctx->lock);
	was = flow->watched;
	if (was) {
		list_del_init(&flow->watch_node);
		flow->watched = false;
	}
	spin_unlock_bh(&ctx->lock);
	return was;
}

static void onload_watch_one(struct onload_ctx *ctx, struct onload_flow *flow,
			     unsigned long *next)
{
	enum onload_reason why = ONLOAD_R_NONE;
	unsigned long delay = 0;
	bool put = false;

	spin_lock_bh(&flow->lock);
	if (flow->owner == ONLOAD_LEASED && flow->ctx == ctx)
		why = onload_overdue(flow, &delay);
	else if (flow->owner == ONLOAD_WIRED && flow->ctx == ctx)
		why = onload_watch_wire(flow, &delay);
	/* One that has moved is on another's list, if on any. */
	if (flow->ctx == ctx && !delay && !why)
		put = onload_unwatch(ctx, flow);
	spin_unlock_bh(&flow->lock);

	if (why)
		onload_flow_queue(flow, why);
	if (put)
		onload_flow_put(flow);
	if (delay)
		onload_sooner(next, delay);
}

/**
 * onload_watch_work() - look at a context's watched flows
 * @work: the context's
 */
void onload_watch_work(struct work_struct *work)
{
	struct onload_ctx *ctx = container_of(to_delayed_work(work),
					      struct onload_ctx, watch);
	struct onload_flow *flow;
	unsigned long next = 0;
	LIST_HEAD(todo);

	spin_lock_bh(&ctx->lock);
	list_splice_init(&ctx->watched, &todo);
	while (!list_empty(&todo)) {
		flow = list_first_entry(&todo, struct onload_flow, watch_node);
		list_move_tail(&flow->watch_node, &ctx->watched);
		refcount_inc(&flow->ref);
		spin_unlock_bh(&ctx->lock);

		onload_watch_one(ctx, flow, &next);
		onload_flow_put(flow);
		cond_resched();
		spin_lock_bh(&ctx->lock);
	}
	if (next && (!delayed_work_pending(&ctx->watch) ||
		     time_before(jiffies + next, ctx->due))) {
		ctx->due = jiffies + next;
		mod_delayed_work(onload_wq, &ctx->watch, next);
	}
	spin_unlock_bh(&ctx->lock);
}
