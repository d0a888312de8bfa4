// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting on a wire, and the pages that its ends see of each other. While the
 * flow's lock is held, the flow's wire and its two ends stay.
 *
 * Whoever is about to sleep raises a bit of his own head and then looks at the
 * other's positions; the other moves its position and then looks at the bit.
 * Each has a full barrier in between, so one of them sees the other.
 */
#include <linux/sched/signal.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "context.h"
#include "flow.h"
#include "lease.h"
#include "region.h"
#include "wait.h"
#include "wire.h"

/* What a fault finds once the other end's area is gone */
static struct page *onload_wire_blank;

static void onload_wire_raise(struct onload_wire_head *head, u32 bits)
{
	atomic_or(bits, (atomic_t *)&head->wake);
	/* Before the look at the other end's positions; see above. */
	smp_mb__after_atomic();
}

/* Bytes that the other end has published and this one has not received */
static u32 onload_wire_unread(const struct onload_wire *wire, int side)
{
	return ONLOAD_X_POS(READ_ONCE(wire->end[!side].region->head->tx)) -
	       ONLOAD_X_POS(READ_ONCE(wire->end[side].region->head->rx));
}

/* Room to send, as Linux counts it: enough only if a third is free */
static bool onload_wire_room(const struct onload_wire *wire, int side,
			     bool empty)
{
	u64 tx = READ_ONCE(wire->end[side].region->head->tx);
	u64 rx = READ_ONCE(wire->end[!side].region->head->rx);
	u32 used = ONLOAD_X_POS(tx) - ONLOAD_X_POS(rx);
	u32 size = wire->end[side].limit;

	if (ONLOAD_X_SHIFT(tx) < 31)
		size = min(size, 1u << ONLOAD_X_SHIFT(tx));
	if (empty)
		return !used;
	/* More than there can be is nonsense: let the caller find out. */
	return used > size || size - used >= size / 3;
}

/**
 * onload_wire_over() - has the other end left, or has anything happened to the
 *	connection underneath?
 * @flow: locked, or its socket; WIRED
 *
 * The gate looks after each segment, who waits before he sleeps, the watch for
 * those who do neither.
 *
 * Return: true if the end only has to be taken back.
 */
bool onload_wire_over(const struct onload_flow *flow)
{
	const struct sock *sk = flow->sk;

	return READ_ONCE(flow->wire->cut) ||
	       READ_ONCE(sk->sk_state) != TCP_ESTABLISHED ||
	       READ_ONCE(sk->sk_err) || READ_ONCE(sk->sk_shutdown) ||
	       !skb_queue_empty_lockless(&sk->sk_receive_queue);
}

/**
 * onload_wire_poll() - readiness of an end
 * @flow: locked, WIRED
 * @registers: the caller stays on the wait queue afterwards
 *
 * Return: as tcp_poll().
 */
__poll_t onload_wire_poll(struct onload_flow *flow, bool registers)
{
	struct onload_wire *wire = flow->wire;
	int side = flow->wire_side;
	struct onload_wire_head *head = wire->end[side].region->head;
	__poll_t mask = 0;

	if (registers)
		WRITE_ONCE(head->polled, 1);
	/* Even if there is something: an edge is due for what follows. */
	onload_wire_raise(head, ONLOAD_WAKE_RX);
	if (onload_wire_unread(wire, side))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (!onload_wire_room(wire, side, false))
		onload_wire_raise(head, ONLOAD_WAKE_TX);
	if (onload_wire_room(wire, side, false))
		mask |= EPOLLOUT | EPOLLWRNORM;
	/* What happened since wakes whoever is on the queue. */
	if (onload_wire_over(flow))
		onload_flow_queue(flow, ONLOAD_R_PEERCLOSE);
	return mask;
}

/* Before a sleep on a wire: is it there already? Flow locked, WIRED. */
static bool onload_wire_arm(struct onload_flow *flow,
			    const struct onload_wait *req)
{
	struct onload_wire *wire = flow->wire;
	int side = flow->wire_side;
	struct onload_wire_head *head = wire->end[side].region->head;
	u32 bits = 0;
	u64 tx;

	if (req->events & ONLOAD_WAIT_IN)
		bits |= ONLOAD_WAKE_RX;
	if (req->events & ONLOAD_WAIT_TX)
		bits |= ONLOAD_WAKE_TX;
	if (req->events & ONLOAD_WAIT_EMPTY)
		bits |= ONLOAD_WAKE_EMPTY;
	onload_wire_raise(head, bits);

	tx = READ_ONCE(wire->end[!side].region->head->tx);
	if (req->events & ONLOAD_WAIT_IN &&
	    ONLOAD_X_POS(tx) != req->rx_prod)
		return true;
	if (req->events & ONLOAD_WAIT_TX &&
	    onload_wire_room(wire, side, false))
		return true;
	if (req->events & ONLOAD_WAIT_EMPTY &&
	    onload_wire_room(wire, side, true))
		return true;
	return false;
}

/**
 * onload_wire_ended() - is it on a wire that is of no use any more?
 * @flow: any
 *
 * Return: true if its end only has to be taken back.
 */
bool onload_wire_ended(struct onload_flow *flow)
{
	bool ended;

	spin_lock_bh(&flow->lock);
	ended = flow->owner == ONLOAD_WIRED && onload_wire_over(flow);
	spin_unlock_bh(&flow->lock);
	return ended;
}

static bool onload_wire_woken(struct onload_flow *flow,
			      const struct onload_wait *req, int *err)
{
	bool woken = true;

	*err = -ESTALE;
	spin_lock_bh(&flow->lock);
	if (flow->owner == ONLOAD_WIRED &&
	    flow->generation == req->generation) {
		woken = onload_wire_arm(flow, req);
		if (woken)
			*err = 0;
		else
			woken = onload_wire_over(flow);
	}
	spin_unlock_bh(&flow->lock);
	return woken;
}

/* Before the lease: is there no reason to wait for the other end any more? */
static bool onload_wire_waited(struct onload_flow *flow, long *timeo)
{
	struct sock *sk = flow->sk;
	long left = READ_ONCE(flow->wire_time) - jiffies;

	/* Pairs with the barriers of who wakes. */
	smp_mb();
	if (left <= 0 || !READ_ONCE(flow->wire_waits) ||
	    onload_flow_leased(flow) ||
	    !skb_queue_empty_lockless(&sk->sk_receive_queue) ||
	    READ_ONCE(sk->sk_err) || READ_ONCE(sk->sk_shutdown) ||
	    READ_ONCE(sk->sk_state) != TCP_ESTABLISHED)
		return true;
	*timeo = min(*timeo, left);
	return false;
}

/**
 * onload_wire_wait() - sleep on a wire, or until there is one
 * @flow: of the socket that was asked
 * @req: what for and how long; generation 0: until the lease begins
 * @timeo: how long in jiffies, or MAX_SCHEDULE_TIMEOUT
 *
 * Return: 0 or an error of ONLOAD_WAIT.
 */
int onload_wire_wait(struct onload_flow *flow, const struct onload_wait *req,
		     long timeo)
{
	bool forever = timeo == MAX_SCHEDULE_TIMEOUT;
	wait_queue_head_t *queue = sk_sleep(flow->sk);
	DEFINE_WAIT_FUNC(wait, onload_wait_woken);
	int err = 0;

	/* Its thread asks for the lease again before anything else. */
	if (!req->generation)
		WRITE_ONCE(flow->wire_willing, true);

	add_wait_queue(queue, &wait);
	while (req->generation ? !onload_wire_woken(flow, req, &err) :
				 !onload_wire_waited(flow, &timeo)) {
		if (!timeo) {
			err = forever ? 0 : -ETIMEDOUT;
			break;
		}
		if (signal_pending(current)) {
			err = onload_wait_interrupted(req);
			break;
		}
		timeo = wait_woken(&wait, TASK_INTERRUPTIBLE, timeo);
	}
	remove_wait_queue(queue, &wait);
	/* Its library would only come back to sleep. */
	if (err == -ESTALE && onload_wire_ended(flow))
		onload_reclaim(flow, ONLOAD_R_PEERCLOSE);
	return err;
}

static bool onload_wire_signals(const struct sock *sk)
{
	const struct socket_wq *wq;
	bool signals;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	signals = wq && READ_ONCE(wq->fasync_list);
	rcu_read_unlock();
	return signals;
}

/**
 * onload_wire_wake() - wake who sleeps at the other end
 * @flow: any
 * @generation: of the lease the caller means
 *
 * Return: 0, -ESTALE.
 */
int onload_wire_wake(struct onload_flow *flow, u32 generation)
{
	struct onload_wire_end *other;
	struct sock *sk;
	int err = -ESTALE;
	u32 wake;

	spin_lock_bh(&flow->lock);
	if (flow->owner != ONLOAD_WIRED || flow->generation != generation ||
	    !onload_flow_mine(flow))
		goto out;
	/* The wire holds its flow, which holds its socket. */
	other = &flow->wire->end[!flow->wire_side];
	sk = other->flow->sk;
	/* Down before the wake-up: whoever looks after it raises it anew. */
	wake = atomic_xchg((atomic_t *)&other->region->head->wake, 0);
	if (wake & ONLOAD_WAKE_RX)
		onload_wake_rx(other->flow);
	if (wake & (ONLOAD_WAKE_TX | ONLOAD_WAKE_EMPTY))
		onload_wake_tx(other->flow);
	/* A signal is due at every arrival, whoever reads. */
	if (onload_wire_signals(sk))
		atomic_or(ONLOAD_WAKE_RX,
			  (atomic_t *)&other->region->head->wake);
	err = 0;
out:
	spin_unlock_bh(&flow->lock);
	return err;
}

/**
 * onload_wire_page() - a page of the other end's area
 * @flow: of the slot, or NULL
 * @offset: in the area
 *
 * Context: context's mutex.
 * Return: the page; without a wire, or beyond what there is, one of zeros: a
 * thread that reads there just as its lease ends must not come to harm.
 */
struct page *onload_wire_page(struct onload_flow *flow, u64 offset)
{
	struct page *page = NULL;

	if (!flow)
		return onload_wire_blank;
	spin_lock_bh(&flow->lock);
	if (flow->owner == ONLOAD_WIRED)
		page = onload_region_page(flow->wire->end[!flow->wire_side].region,
					  offset);
	spin_unlock_bh(&flow->lock);
	return page ?: onload_wire_blank;
}

/**
 * onload_wire_init() - allocate what there is one of
 *
 * Return: 0, -ENOMEM.
 */
int onload_wire_init(void)
{
	onload_wire_blank = alloc_page(GFP_KERNEL | __GFP_ZERO);
	return onload_wire_blank ? 0 : -ENOMEM;
}

/**
 * onload_wire_uninit() - undo onload_wire_init()
 */
void onload_wire_uninit(void)
{
	put_page(onload_wire_blank);
}
