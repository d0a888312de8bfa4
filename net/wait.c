// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting: poll and ONLOAD_WAIT on a leased flow, and who wakes them.
 *
 * Whoever is about to sleep raises need_wake, then looks; whoever appends a
 * record publishes it, then looks at need_wake. Each side has a full barrier
 * between the two, so one of them sees the other.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "context.h"
#include "flow.h"
#include "lease.h"
#include "wait.h"

/**
 * onload_wake_tx() - wake who waits for room to send
 * @flow: its socket is alive
 */
void onload_wake_tx(struct onload_flow *flow)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(flow->sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_poll(&wq->wait, EPOLLOUT | EPOLLWRNORM |
					   EPOLLWRBAND);
	rcu_read_unlock();
}

/**
 * onload_wake() - a record was appended
 * @flow: locked, leased
 * @data: it concerns a reader
 */
void onload_wake(struct onload_flow *flow, bool data)
{
	/* The record before the look at who sleeps; see above. */
	smp_mb();
	if (data && READ_ONCE(flow->slot->need_wake))
		flow->sk->sk_data_ready(flow->sk);
	if (flow->want_tx) {
		flow->want_tx = false;
		onload_wake_tx(flow);
	}
}

static bool onload_wait_over(struct onload_flow *flow,
			     const struct onload_wait *req, int *err)
{
	u32 pos;

	spin_lock_bh(&flow->lock);
	if (flow->owner != ONLOAD_LEASED ||
	    flow->generation != req->generation) {
		spin_unlock_bh(&flow->lock);
		*err = -ESTALE;
		return true;
	}
	WRITE_ONCE(flow->slot->need_wake, 1);
	if (req->events & ONLOAD_WAIT_TX)
		flow->want_tx = true;
	/* The gate appends under the same lock, so no barrier is needed. */
	pos = req->events & ONLOAD_WAIT_TX ? flow->rx_prod : flow->rx_data;
	spin_unlock_bh(&flow->lock);
	*err = 0;
	return (s32)(pos - req->rx_prod) > 0;
}

/**
 * onload_wait() - sleep until a record arrives
 * @flow: of the socket that was asked
 * @req: what for and how long
 *
 * Return: 0 or an error of ONLOAD_WAIT.
 */
int onload_wait(struct onload_flow *flow, const struct onload_wait *req)
{
	wait_queue_head_t *queue = sk_sleep(flow->sk);
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	long timeo = MAX_SCHEDULE_TIMEOUT;
	int err;

	if (!req->events ||
	    req->events & ~(ONLOAD_WAIT_IN | ONLOAD_WAIT_TX))
		return -EINVAL;
	if (!onload_flow_mine(flow))
		return -ESTALE;
	if (req->timeout_ns != ONLOAD_WAIT_FOREVER)
		timeo = min_t(u64, nsecs_to_jiffies64(req->timeout_ns) + 1,
			      MAX_SCHEDULE_TIMEOUT - 1);

	add_wait_queue(queue, &wait);
	while (!onload_wait_over(flow, req, &err)) {
		if (!timeo) {
			err = -ETIMEDOUT;
			break;
		}
		if (signal_pending(current)) {
			err = req->timeout_ns == ONLOAD_WAIT_FOREVER ?
			      -ERESTARTSYS : -EINTR;
			break;
		}
		timeo = wait_woken(&wait, TASK_INTERRUPTIBLE, timeo);
	}
	remove_wait_queue(queue, &wait);
	return err;
}

/* Flow locked and leased */
static __poll_t onload_poll_mask(struct onload_flow *flow)
{
	u32 size = flow->ctx->tx_size, una;
	struct onload_tcp_state st;
	__poll_t mask = 0;

	WRITE_ONCE(flow->slot->need_wake, 1);
	/* User level is committing right now: let the caller look there. */
	if (!onload_peek(flow, &st))
		return EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
	if (st.copied_seq != st.rcv_nxt ||
	    (s32)(flow->rx_data - st.rx_proc) > 0)
		mask |= EPOLLIN | EPOLLRDNORM;
	una = after(flow->acked, st.snd_una) ? flow->acked : st.snd_una;
	if (size - (st.write_seq - una) >= size / 3)
		mask |= EPOLLOUT | EPOLLWRNORM;
	else
		flow->want_tx = true;
	return mask;
}

/**
 * onload_poll() - readiness of a socket with a flow
 * @flow: its flow
 * @file: its file
 * @sock: the socket
 * @wait: poll table
 *
 * Right whoever asks, with no help from the library: an unconsumed record
 * counts as readable for the holder of the lease; before anybody else looks
 * the lease ends.
 *
 * Return: as tcp_poll().
 */
__poll_t onload_poll(struct onload_flow *flow, struct file *file,
		     struct socket *sock, poll_table *wait)
{
	__poll_t mask = 0;

	if (onload_flow_leased(flow) && !onload_flow_mine(flow))
		onload_reclaim(flow, ONLOAD_R_FOREIGN);

	sock_poll_wait(file, sock, wait);
	spin_lock_bh(&flow->lock);
	if (flow->owner == ONLOAD_LEASED)
		mask = onload_poll_mask(flow);
	/* FROZEN: nothing is right yet, and its end wakes everybody. */
	if (flow->owner != ONLOAD_KERNEL) {
		spin_unlock_bh(&flow->lock);
		return mask;
	}
	spin_unlock_bh(&flow->lock);

	/* Linux sees to wake-ups itself, unless a lease comes in between. */
	mask = tcp_poll(file, sock, NULL);
	if (onload_flow_leased(flow)) {
		spin_lock_bh(&flow->lock);
		if (flow->owner == ONLOAD_LEASED)
			mask |= onload_poll_mask(flow);
		spin_unlock_bh(&flow->lock);
	}
	return mask;
}
