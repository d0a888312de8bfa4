// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting: poll and ONLOAD_WAIT on a leased flow, and who wakes them.
 *
 * Who sleeps in WAIT looks, and joins the queue, under the lock under which
 * records are appended. Who polls raises need_wake, then looks; whoever appends
 * a record publishes it, then looks at need_wake. Each side has a full barrier
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
#include "wire.h"

/**
 * onload_wake_tx() - wake who polls for room to send
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
 * onload_wake_rx() - wake who polls for bytes, or asked for a signal
 * @flow: its socket is alive
 *
 * Not by sk_data_ready(): the caller has not locked this socket, and by now
 * that may be somebody's (TLS, a sockmap) who reads at once. There is nothing
 * in Linux's queue for him.
 */
void onload_wake_rx(struct onload_flow *flow)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(flow->sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_sync_poll(&wq->wait, EPOLLIN |
						EPOLLRDNORM | EPOLLRDBAND);
	sk_wake_async(flow->sk, SOCK_WAKE_WAITD, POLL_IN);
	rcu_read_unlock();
}

/**
 * onload_wait_woken() - woken_wake_function(), for sleepers of ours
 * @entry: on a socket's wait queue
 * @mode: as there
 * @flags: as there
 * @key: as there
 *
 * So that they can be told from those of Linux.
 *
 * Return: as there.
 */
int onload_wait_woken(struct wait_queue_entry *entry, unsigned int mode,
		      int flags, void *key)
{
	return woken_wake_function(entry, mode, flags, key);
}

/**
 * onload_who_waits() - look through a socket's wait queue
 * @sk: locked by any means
 *
 * Return: ONLOAD_WHO_*. Ours are left out: they look for themselves.
 */
u32 onload_who_waits(struct sock *sk)
{
	struct wait_queue_entry *entry;
	struct socket_wq *wq;
	unsigned long flags;
	u32 who = 0;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq)) {
		spin_lock_irqsave(&wq->wait.lock, flags);
		list_for_each_entry(entry, &wq->wait.head, entry)
			if (entry->func == woken_wake_function)
				who |= ONLOAD_WHO_SLEEPS;
			else if (entry->func != onload_wait_woken)
				who |= ONLOAD_WHO_POLLS;
		spin_unlock_irqrestore(&wq->wait.lock, flags);
	}
	rcu_read_unlock();
	return who;
}

/**
 * struct onload_sleeper - a thread in ONLOAD_WAIT
 * @entry: in the flow's @sleepers
 * @events: ONLOAD_WAIT_* that end the wait
 */
struct onload_sleeper {
	struct wait_queue_entry entry;
	u32 events;
};

static int onload_sleeper_wake(struct wait_queue_entry *entry,
			       unsigned int mode, int flags, void *key)
{
	struct onload_sleeper *me =
		container_of(entry, struct onload_sleeper, entry);

	if (!(me->events & (uintptr_t)key))
		return 0;
	return autoremove_wake_function(entry, mode, flags, key);
}

/* A queue of their own: what lies between sk_data_ready() and the threads of
 * a socket is a fifth of what a wake-up costs.
 */
static void onload_wake_sleepers(struct onload_flow *flow, u32 events)
{
	/* They join under the flow's lock, which is held here. */
	if (!waitqueue_active(&flow->sleepers))
		return;
	spin_lock(&flow->sleepers.lock);
	__wake_up_locked_sync_key(&flow->sleepers, TASK_INTERRUPTIBLE,
				  (void *)(uintptr_t)events);
	spin_unlock(&flow->sleepers.lock);
}

/**
 * onload_wake() - a record was appended
 * @flow: locked, leased
 * @data: it concerns a reader
 *
 * Context: RCU read side.
 */
void onload_wake(struct onload_flow *flow, bool data)
{
	struct sock *sk = flow->sk;

	onload_wake_sleepers(flow, data ? ONLOAD_WAIT_IN | ONLOAD_WAIT_TX :
					  ONLOAD_WAIT_TX);
	/* The record before the look at who polls; see above. */
	smp_mb();
	if (data && READ_ONCE(flow->slot->need_wake) &&
	    (skwq_has_sleeper(rcu_dereference(sk->sk_wq)) ||
	     sock_flag(sk, SOCK_FASYNC)))
		sk->sk_data_ready(sk);
	if (flow->want_tx) {
		flow->want_tx = false;
		onload_wake_tx(flow);
	}
}

/**
 * onload_wake_all() - the lease has ended: all look again, at Linux's state
 * @flow: not leased; readers were told through sk_data_ready()
 */
void onload_wake_all(struct onload_flow *flow)
{
	spin_lock_bh(&flow->lock);
	onload_wake_sleepers(flow, ~0u);
	spin_unlock_bh(&flow->lock);
	onload_wake_tx(flow);
}

static bool onload_wait_stale(const struct onload_flow *flow,
			      const struct onload_wait *req)
{
	return READ_ONCE(flow->owner) != ONLOAD_LEASED ||
	       READ_ONCE(flow->generation) != req->generation;
}

/* Flow locked */
static bool onload_wait_over(const struct onload_flow *flow,
			     const struct onload_wait *req, int *err)
{
	u32 pos;

	*err = -ESTALE;
	if (onload_wait_stale(flow, req))
		return true;
	*err = 0;
	pos = req->events & ONLOAD_WAIT_TX ? flow->rx_prod : flow->rx_data;
	return (s32)(pos - req->rx_prod) > 0;
}

/* Looks, and is on the queue if there is nothing to see. */
static bool onload_wait_arm(struct onload_flow *flow,
			    const struct onload_wait *req,
			    struct onload_sleeper *me, int *err)
{
	bool over;

	/* The gate appends, and wakes, under the same lock. */
	spin_lock_bh(&flow->lock);
	over = onload_wait_over(flow, req, err);
	if (!over) {
		spin_lock(&flow->sleepers.lock);
		__add_wait_queue_entry_tail(&flow->sleepers, &me->entry);
		spin_unlock(&flow->sleepers.lock);
		set_current_state(TASK_INTERRUPTIBLE);
	}
	spin_unlock_bh(&flow->lock);
	return over;
}

/* Off the queue. True if we were woken, and not for a signal or the time. */
static bool onload_wait_disarm(struct onload_flow *flow,
			       struct onload_sleeper *me)
{
	bool woken = list_empty_careful(&me->entry.entry);

	if (woken)
		return true;
	spin_lock_bh(&flow->lock);
	woken = list_empty(&me->entry.entry);
	spin_lock(&flow->sleepers.lock);
	list_del_init(&me->entry.entry);
	spin_unlock(&flow->sleepers.lock);
	spin_unlock_bh(&flow->lock);
	return woken;
}

/**
 * onload_wait_interrupted() - what a wait returns that a signal ended
 * @req: of that wait
 *
 * Return: -EINTR, -ERESTARTSYS.
 */
int onload_wait_interrupted(const struct onload_wait *req)
{
	return req->timeout_ns == ONLOAD_WAIT_FOREVER ||
	       req->events & ONLOAD_WAIT_RESTART ? -ERESTARTSYS : -EINTR;
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
	bool forever = req->timeout_ns == ONLOAD_WAIT_FOREVER;
	long timeo = MAX_SCHEDULE_TIMEOUT;
	struct onload_sleeper me = {
		.entry.private = current,
		.entry.func = onload_sleeper_wake,
		.events = req->events,
	};
	int err;

	if (!(req->events & ~ONLOAD_WAIT_RESTART) ||
	    req->events & ~(ONLOAD_WAIT_IN | ONLOAD_WAIT_TX |
			    ONLOAD_WAIT_EMPTY | ONLOAD_WAIT_RESTART))
		return -EINVAL;
	if (!onload_flow_mine(flow))
		return -ESTALE;
	if (!forever)
		timeo = min_t(u64, nsecs_to_jiffies64(req->timeout_ns) + 1,
			      MAX_SCHEDULE_TIMEOUT - 1);
	if (!req->generation || READ_ONCE(flow->owner) == ONLOAD_WIRED)
		return onload_wire_wait(flow, req, timeo);
	if (unlikely(onload_wire_again(flow))) {
		onload_reclaim(flow, ONLOAD_R_WIRE);
		return -ESTALE;
	}

	while (!onload_wait_arm(flow, req, &me, &err)) {
		if (forever)
			schedule();
		else
			timeo = schedule_timeout(timeo);
		if (onload_wait_disarm(flow, &me))
			return onload_wait_stale(flow, req) ? -ESTALE : 0;
		if (!forever && !timeo)
			return -ETIMEDOUT;
		if (signal_pending(current))
			return onload_wait_interrupted(req);
	}
	return err;
}

/* Flow locked and leased */
static __poll_t onload_poll_mask(struct onload_flow *flow, bool registers)
{
	u32 size = flow->ctx->tx_size, una;
	struct onload_tcp_state st;
	__poll_t mask = 0;

	if (flow->owner == ONLOAD_WIRED)
		return onload_wire_poll(flow, registers);
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
	/* Not so the second look of somebody who is on the queue already */
	bool registers = wait && wait->_qproc;
	__poll_t mask = 0;

	if (onload_flow_leased(flow) && !onload_flow_mine(flow))
		onload_reclaim(flow, ONLOAD_R_FOREIGN);
	else if (READ_ONCE(flow->owner) == ONLOAD_WIRED &&
		 onload_wire_ended(flow))
		onload_reclaim(flow, ONLOAD_R_PEER);

	sock_poll_wait(file, sock, wait);
	spin_lock_bh(&flow->lock);
	if (flow->owner == ONLOAD_LEASED || flow->owner == ONLOAD_WIRED)
		mask = onload_poll_mask(flow, registers);
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
		if (flow->owner == ONLOAD_LEASED || flow->owner == ONLOAD_WIRED)
			mask |= onload_poll_mask(flow, registers);
		spin_unlock_bh(&flow->lock);
	}
	return mask;
}
