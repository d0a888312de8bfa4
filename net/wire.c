// SPDX-License-Identifier: GPL-2.0
/*
 * Wires: connections whose two ends are leased sockets of this host. The bytes
 * go through two rings from process to process, outside TCP's sequence space;
 * both tcp_socks stay live and idle underneath, so keepalive, resets, ICMP and
 * "ss -K" work by themselves.
 *
 * Pairing. Whoever asks for a lease looks for the socket with the mirrored
 * four-tuple. If neither has anything to send or to be read, and each expects
 * what the other will send next, they are one connection, of which at most
 * acknowledgements are under way: those are Linux's business. The other end's
 * socket is looked at only if nobody owns it, under its spinlock; if it is
 * busy, or its library has not asked yet, the caller stays with Linux for a
 * while and asks again. Every end that has once asked can be paired at any
 * time afterwards, without being asked: its library looks at its slot.
 *
 * Leaving. Whichever end is reclaimed first cuts the wire: one atomic for each
 * position word, after which nothing can be published. It imports what it had
 * not received and is Linux's; the other end is queued to do the same. No end
 * ever takes the other's socket lock or waits for it. What the first now sends
 * by TCP cannot overtake: every way to read it ends the other's lease before.
 *
 * Lock order: socket lock, other end's socket spinlock, flow's lock, wire's
 * lock. No two flows' locks at once.
 */
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/tcp.h>

#include "context.h"
#include "family.h"
#include "flow.h"
#include "lease.h"
#include "netns.h"
#include "region.h"
#include "stats.h"
#include "wait.h"
#include "watch.h"
#include "wire.h"

/* How long an end stays with Linux to wait for the other, which may never ask;
 * and for one that does, until both are quiet at the same time
 */
#define ONLOAD_WIRE_PATIENCE	(HZ / 5)
#define ONLOAD_WIRE_PATIENT	HZ
/* After waiting in vain not again for so long; doubled each time for an end
 * that does not ask
 */
#define ONLOAD_WIRE_PAUSE	HZ
#define ONLOAD_WIRE_PAUSE_MAX	6

static atomic_t onload_wire_generation = ATOMIC_INIT(0);

/* Not a wire, for a reason: the soft VI, then. */
static enum onload_reason onload_wire_none(struct onload_flow *flow,
					   enum onload_wire_why why)
{
	flow->wire_waits = false;
	WRITE_ONCE(flow->wire_why, why);
	return ONLOAD_R_NONE;
}

/* Not yet; and when that has been the answer for long enough, not now. */
static enum onload_reason onload_wire_later(struct onload_flow *flow,
					    bool speaks)
{
	if (!flow->wire_waits) {
		flow->wire_waits = true;
		flow->wire_since = jiffies;
	}
	WRITE_ONCE(flow->wire_time, flow->wire_since +
		   (speaks ? ONLOAD_WIRE_PATIENT : ONLOAD_WIRE_PATIENCE));
	if (time_before(jiffies, flow->wire_time)) {
		WRITE_ONCE(flow->wire_why, ONLOAD_X_WAITING);
		return ONLOAD_R_WIRE;
	}
	if (speaks)
		flow->wire_pauses = 0;
	WRITE_ONCE(flow->wire_time,
		   jiffies + (ONLOAD_WIRE_PAUSE << flow->wire_pauses));
	if (!speaks && flow->wire_pauses < ONLOAD_WIRE_PAUSE_MAX)
		flow->wire_pauses++;
	return onload_wire_none(flow, ONLOAD_X_TIMEOUT);
}

/**
 * onload_wire_again() - is it worth another try to become an end of a wire?
 * @flow: on the soft VI, and quiet at this moment
 *
 * Two ends on the soft VI would not ask any more.
 *
 * Return: true if the other end was waited for in vain, long enough ago.
 */
bool onload_wire_again(const struct onload_flow *flow)
{
	return READ_ONCE(flow->wire_why) == ONLOAD_X_TIMEOUT &&
	       time_after_eq(jiffies, READ_ONCE(flow->wire_time));
}

/* The socket at the other end, if it is on this host, referenced */
static struct sock *onload_wire_peer_sk(const struct sock *sk)
{
	struct net *net = sock_net(sk);
	struct inet_hashinfo *table = net->ipv4.tcp_death_row.hashinfo;

#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6 && !ipv6_addr_v4mapped(&sk->sk_v6_daddr))
		return __inet6_lookup_established(net, table,
						  &sk->sk_v6_rcv_saddr,
						  inet_sk(sk)->inet_sport,
						  &sk->sk_v6_daddr,
						  ntohs(sk->sk_dport),
						  sk->sk_bound_dev_if, 0);
#endif
	return __inet_lookup_established(net, table, sk->sk_rcv_saddr,
					 inet_sk(sk)->inet_sport, sk->sk_daddr,
					 ntohs(sk->sk_dport),
					 sk->sk_bound_dev_if, 0);
}

/* There is no flow at the other end. Can there be one soon? */
static enum onload_reason onload_wire_stranger(struct onload_flow *flow)
{
	struct sock *peer = onload_wire_peer_sk(flow->sk);
	enum onload_wire_why why = ONLOAD_X_WAITING;

	if (!peer)
		return onload_wire_none(flow, ONLOAD_X_REMOTE);
	if (!sk_fullsock(peer)) {
		why = ONLOAD_X_REMOTE;
	} else {
		/* Without a struct socket it waits to be accepted. */
		read_lock_bh(&peer->sk_callback_lock);
		if (peer->sk_socket && !onload_is_ours(peer->sk_socket))
			why = ONLOAD_X_PLAIN;
		read_unlock_bh(&peer->sk_callback_lock);
	}
	sock_gen_put(peer);
	return why == ONLOAD_X_WAITING ? onload_wire_later(flow, false) :
					 onload_wire_none(flow, why);
}

/* Each end has received all that the other has sent. */
static bool onload_wire_proof(const struct sock *a, const struct sock *b)
{
	const struct tcp_sock *ta = tcp_sk(a), *tb = tcp_sk(b);

	return a->sk_bound_dev_if == b->sk_bound_dev_if &&
	       ta->write_seq == tb->rcv_nxt && tb->write_seq == ta->rcv_nxt;
}

/* Has the mapping ended? If not by now, with the socket's lock or its spinlock
 * held, the work that its end queues comes later, and finds the lease.
 */
static bool onload_wire_orphan(const struct onload_flow *flow)
{
	return READ_ONCE(flow->ctx->dead);
}

/* May the other end be leased now? Its socket's spinlock held, not owned. */
static bool onload_wire_willing(struct onload_flow *peer)
{
	if (peer->owner == ONLOAD_LEASED)
		onload_flow_queue(peer, ONLOAD_R_WIRE);
	if (peer->owner != ONLOAD_KERNEL || !peer->hashed ||
	    !READ_ONCE(peer->wire_speaks) ||
	    !READ_ONCE(peer->wire_willing) ||
	    !peer->ctx || onload_wire_orphan(peer) || !peer->region ||
	    onload_region_shared(peer->region) || onload_backing_off(peer))
		return false;
	return !onload_export_check_wire(peer);
}

/* Bytes that @from may have under way, in the ring alone */
static u32 onload_wire_limit(const struct onload_wire *wire,
			     const struct sock *from, const struct sock *to)
{
	u32 limit = 1u << wire->max_shift;

	/* The application's figure is half of what Linux keeps. */
	if (from->sk_userlocks & SOCK_SNDBUF_LOCK)
		limit = min_t(u32, limit, READ_ONCE(from->sk_sndbuf) / 2);
	if (to->sk_userlocks & SOCK_RCVBUF_LOCK)
		limit = min_t(u32, limit, READ_ONCE(to->sk_rcvbuf) / 2);
	return max(limit, 1u);
}

static struct onload_wire *onload_wire_alloc(struct onload_flow *flow,
					     struct onload_flow *peer)
{
	struct onload_wire *wire = kzalloc(sizeof(*wire), GFP_KERNEL_ACCOUNT);
	u32 generation;

	if (!wire)
		return NULL;
	do {
		generation = atomic_inc_return(&onload_wire_generation) &
			     ONLOAD_X_GEN_MAX;
	} while (!generation);
	wire->generation = generation;
	refcount_set(&wire->ref, 2);
	spin_lock_init(&wire->lock);
	wire->end[0].flow = flow;
	wire->end[1].flow = peer;
	return wire;
}

/* Fill in what user level of one end reads. Nothing can be published yet: it
 * may come to nothing.
 */
static void onload_wire_prepare(struct onload_wire *wire, int side)
{
	struct onload_wire_end *end = &wire->end[side];
	struct onload_wire_end *other = &wire->end[!side];
	struct onload_flow *flow = end->flow;
	struct onload_wire_head *head = end->region->head;
	u32 shift = min(onload_region_shift(end->region), wire->max_shift);
	struct onload_slot *slot = flow->slot;
	struct onload_flow_const c = {
		.flags = ONLOAD_C_WIRE,
		.family = flow->sk->sk_family,
		.wire_limit = end->limit,
		.wire_gen = wire->generation,
		.wire_shift = shift,
		.wire_peer_limit = other->limit,
		.wire_max_shift = wire->max_shift,
	};

	memset(head, 0, sizeof(*head));
	head->tx = ONLOAD_X_MAKE(wire->generation, shift, 0) & ~ONLOAD_X_USER;
	head->rx = ONLOAD_X_MAKE(wire->generation, 0, 0) & ~ONLOAD_X_USER;
	/* Who came to sleep before the lease has looked at Linux only. */
	head->wake = ONLOAD_WAKE_RX | ONLOAD_WAKE_TX;
	memcpy(&slot->c, &c, sizeof(c));
	WRITE_ONCE(slot->need_wake, 1);
	WRITE_ONCE(slot->reason, ONLOAD_R_NONE);
}

/* Make it the flow's wire. False: a thread is inside, or the gate has a packet
 * for the other end, whose socket's spinlock it wants: nothing has happened.
 */
static bool onload_wire_own(struct onload_wire *wire, int side)
{
	struct onload_flow *flow = wire->end[side].flow;
	bool ok;

	/* The gate takes the two locks the other way round. That of our own
	 * end needs no other: our socket has an owner.
	 */
	if (side == 0)
		spin_lock_bh(&flow->lock);
	else if (!spin_trylock_bh(&flow->lock))
		return false;
	flow->wire = wire;
	flow->wire_side = side;
	ok = onload_flow_claim(flow, ONLOAD_WIRED);
	if (!ok)
		flow->wire = NULL;
	spin_unlock_bh(&flow->lock);
	return ok;
}

static void onload_wire_disown(struct onload_flow *flow)
{
	spin_lock_bh(&flow->lock);
	WRITE_ONCE(flow->owner, ONLOAD_KERNEL);
	flow->wire = NULL;
	spin_unlock_bh(&flow->lock);
}

static void onload_wire_publish(struct onload_flow *flow)
{
	struct onload_wire_head *head = flow->region->head;

	/* Who comes from now on finds a wire, and says so himself. */
	if (onload_who_waits(flow->sk) & ONLOAD_WHO_POLLS)
		WRITE_ONCE(head->polled, 1);
	atomic64_or(ONLOAD_X_USER, (atomic64_t *)&head->tx);
	atomic64_or(ONLOAD_X_USER, (atomic64_t *)&head->rx);
	flow->generation = onload_ctx_generation(flow->ctx);
	/* But for an unmapping, which parts the flow from its context. */
	onload_flow_because(flow, ONLOAD_R_NONE);
	flow->leased_at = jiffies;
	flow->wire_waits = false;
	flow->wire_pauses = 0;
	WRITE_ONCE(flow->wire_why, ONLOAD_X_YES);
	onload_stat_lease(flow);
	/* The word last: it makes the rest valid. */
	smp_store_release(&flow->slot->word,
			  ONLOAD_W_MAKE(flow->generation, 0));
}

/* Keepalive finds who has gone: have the watch look when a probe is due. No
 * socket's spinlock held.
 */
static void onload_wire_watch(struct onload_flow *flow)
{
	if (!sock_flag(flow->sk, SOCK_KEEPOPEN))
		return;
	spin_lock_bh(&flow->lock);
	if (flow->owner == ONLOAD_WIRED)
		onload_watch_at(flow, jiffies +
				keepalive_time_when(tcp_sk(flow->sk)));
	spin_unlock_bh(&flow->lock);
}

/* Both ends are quiet and nobody can change that: join them. */
static bool onload_wire_join(struct onload_wire *wire)
{
	struct onload_flow *flow = wire->end[0].flow;
	struct onload_flow *peer = wire->end[1].flow;
	int side;

	wire->max_shift = min(flow->ctx->wire_max_shift,
			      peer->ctx->wire_max_shift);
	for (side = 0; side < 2; side++) {
		wire->end[side].region = wire->end[side].flow->region;
		wire->end[side].limit =
			onload_wire_limit(wire, wire->end[side].flow->sk,
					  wire->end[!side].flow->sk);
	}
	onload_wire_prepare(wire, 0);
	onload_wire_prepare(wire, 1);
	if (!onload_wire_own(wire, 0))
		return false;
	if (!onload_wire_own(wire, 1)) {
		onload_wire_disown(flow);
		return false;
	}
	for (side = 0; side < 2; side++) {
		refcount_inc(&wire->end[side].flow->ref);
		refcount_inc(&wire->end[side].region->ref);
		onload_wire_publish(wire->end[side].flow);
	}
	return true;
}

static void onload_wire_put(struct onload_wire *wire)
{
	int side;

	if (!refcount_dec_and_test(&wire->ref))
		return;
	for (side = 0; side < 2; side++) {
		onload_region_put(wire->end[side].region);
		onload_flow_put(wire->end[side].flow);
	}
	kfree(wire);
}

static bool onload_wire_try(struct onload_flow *flow, struct onload_flow *peer)
{
	struct onload_wire *wire = onload_wire_alloc(flow, peer);
	struct sock *psk = peer->sk;
	bool ok = false;

	if (!wire)
		return false;
	local_bh_disable();
	bh_lock_sock(psk);
	if (!sock_owned_by_user(psk) && onload_wire_willing(peer) &&
	    onload_wire_proof(flow->sk, psk))
		ok = onload_wire_join(wire);
	bh_unlock_sock(psk);
	local_bh_enable();
	if (!ok) {
		kfree(wire);
		return false;
	}
	onload_wire_watch(flow);
	onload_wire_watch(peer);
	/* Its sleepers in WAIT find the lease. */
	onload_wake_rx(peer);
	return true;
}

/**
 * onload_wire_pair() - try to make a flow one end of a wire
 * @flow: socket locked, attached, KERNEL
 * @flags: ONLOAD_L_* of the request
 *
 * Return: 0, and @flow->owner tells whether it is; if not, it should take the
 * soft VI. Else why it should stay with Linux for now: ONLOAD_R_WIRE if the
 * other end is not ready.
 */
enum onload_reason onload_wire_pair(struct onload_flow *flow, u32 flags)
{
	enum onload_reason why, busy;
	struct onload_flow *peer;
	int err;

	WRITE_ONCE(flow->wire_speaks, flags & ONLOAD_L_WIRE);
	WRITE_ONCE(flow->wire_willing, flags & ONLOAD_L_AFTER);
	/* The soft VI will find that there is no mapping. */
	if (!flow->wire_speaks || onload_wire_orphan(flow))
		return onload_wire_none(flow, ONLOAD_X_LIBRARY);
	if (!READ_ONCE(onload_net(flow->net)->wire) || !flow->hashed)
		return onload_wire_none(flow, ONLOAD_X_OFF);
	if (flow->wire_why == ONLOAD_X_TIMEOUT &&
	    time_before(jiffies, flow->wire_time))
		return ONLOAD_R_NONE;
	peer = onload_flow_peer(flow);
	if (!peer)
		return onload_wire_stranger(flow);
	why = ONLOAD_R_NONE;
	if (peer == flow) {
		onload_wire_none(flow, ONLOAD_X_SELF);
		goto out;
	}
	if (!READ_ONCE(onload_net(peer->net)->wire)) {
		onload_wire_none(flow, ONLOAD_X_OFF);
		goto out;
	}
	err = onload_ctx_region(flow->ctx, flow);
	if (err) {
		onload_wire_none(flow, err == -ENXIO ? ONLOAD_X_LIBRARY :
						       ONLOAD_X_MEMORY);
		goto out;
	}
	busy = onload_export_check_wire(flow);
	switch (busy) {
	case ONLOAD_R_NONE:
		if (!onload_region_shared(flow->region) &&
		    onload_wire_try(flow, peer))
			goto out;
		break;
	case ONLOAD_R_UNREAD:
	case ONLOAD_R_UNSENT:
	case ONLOAD_R_REORDER:
	case ONLOAD_R_RECOVERY:
		break;
	default:
		onload_wire_none(flow, ONLOAD_X_OPTIONS);
		goto out;
	}
	why = onload_wire_later(flow, READ_ONCE(peer->wire_speaks));
	if (why && busy)
		why = busy;
out:
	onload_flow_put(peer);
	return why;
}

/**
 * onload_wire_met() - the process is about to learn of its lease
 * @flow: socket locked, WIRED
 */
void onload_wire_met(struct onload_flow *flow)
{
	struct sock *sk = flow->sk;

	onload_ctx_hide(flow->ctx, flow->slot_nr);
	/* No reply will carry it. */
	if (inet_csk_ack_scheduled(sk) && sk->sk_state == TCP_ESTABLISHED)
		__tcp_send_ack(sk, tcp_sk(sk)->rcv_nxt);
}

/* End all publishing through a word; what was published by then. */
static u64 onload_wire_revoke(u64 *word)
{
	/* A full barrier: bytes that the word announces are seen after it. */
	return atomic64_fetch_andnot(ONLOAD_X_USER, (atomic64_t *)word);
}

static bool onload_wire_valid(const struct onload_wire *wire, u64 word)
{
	return word & ONLOAD_X_USER &&
	       ONLOAD_X_GEN(word) == wire->generation;
}

/* 64 bits of a position of which memory tells 32 that count */
static u64 onload_wire_total(const struct onload_wire_head *head, u64 tx)
{
	u64 total = READ_ONCE(head->tx_total);

	return total + (s32)(ONLOAD_X_POS(tx) - (u32)total);
}

/* Bytes that an end has not received, if the words can be believed; else
 * -EBADMSG. Both ends' tx are those of the cut.
 */
static int onload_wire_left(const struct onload_wire *wire, int side, u64 rx,
			    u32 *unread)
{
	const struct onload_wire_end *other = &wire->end[!side];
	u32 shift = ONLOAD_X_SHIFT(other->tx);

	*unread = ONLOAD_X_POS(other->tx) - ONLOAD_X_POS(rx);
	if (!onload_wire_valid(wire, wire->end[side].tx) ||
	    !onload_wire_valid(wire, other->tx) ||
	    !onload_wire_valid(wire, rx) || shift < PAGE_SHIFT ||
	    shift > onload_region_shift(other->region) ||
	    *unread > 1u << shift)
		return -EBADMSG;
	return 0;
}

/**
 * onload_wire_leave() - take an end back, with the bytes it did not receive
 * @flow: socket locked, WIRED
 * @why: reason to show to user level
 *
 * Return: 0, or -EBADMSG if the shared state was nonsense and the connection
 * is to be reset. The owner is KERNEL.
 */
int onload_wire_leave(struct onload_flow *flow, enum onload_reason why)
{
	struct onload_wire *wire = flow->wire;
	struct onload_wire_end *own = &wire->end[flow->wire_side];
	struct onload_wire_end *other = &wire->end[!flow->wire_side];
	struct onload_slot *slot = flow->slot;
	bool first;
	u32 unread;
	u64 rx;
	int err;

	WRITE_ONCE(slot->reason, why);
	xchg(&slot->word, (u64)(flow->generation + 1) << 32);

	spin_lock_bh(&wire->lock);
	first = !wire->cut;
	wire->cut = true;
	if (first) {
		own->tx = onload_wire_revoke(&own->region->head->tx);
		other->tx = onload_wire_revoke(&other->region->head->tx);
	}
	spin_unlock_bh(&wire->lock);
	if (first)
		onload_flow_queue(other->flow, ONLOAD_R_PEER);
	rx = onload_wire_revoke(&own->region->head->rx);

	err = onload_wire_left(wire, flow->wire_side, rx, &unread);
	if (!err)
		onload_import_wire(flow, other, unread,
				   onload_wire_total(other->region->head,
						     other->tx),
				   onload_wire_total(own->region->head,
						     own->tx));
	/* Its library asks again before anything else. */
	if (why == ONLOAD_R_PEER)
		WRITE_ONCE(flow->wire_willing, true);
	onload_wire_disown(flow);
	onload_ctx_hide(flow->ctx, flow->slot_nr);
	onload_wire_put(wire);
	return err;
}

/**
 * onload_wire_grow() - a longer ring for what this end sends
 * @flow: any
 * @generation: of the lease the caller means
 *
 * Return: log2 of its bytes, or an error of ONLOAD_GROW.
 */
int onload_wire_grow(struct onload_flow *flow, u32 generation)
{
	struct onload_wire *wire;
	u32 shift;
	int err = -ESTALE;

	lock_sock(flow->sk);
	wire = flow->wire;
	if (flow->owner != ONLOAD_WIRED || flow->generation != generation ||
	    !onload_flow_mine(flow))
		goto out;
	shift = onload_region_shift(flow->region);
	err = -EMSGSIZE;
	if (shift >= wire->max_shift ||
	    1u << shift >= wire->end[flow->wire_side].limit)
		goto out;
	shift = min(shift + 2, wire->max_shift);
	mutex_lock(&flow->ctx->mutex);
	err = onload_region_grow(flow->ctx, flow->region, shift);
	mutex_unlock(&flow->ctx->mutex);
	err = err ?: (int)shift;
out:
	release_sock(flow->sk);
	return err;
}
