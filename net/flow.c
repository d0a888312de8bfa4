// SPDX-License-Identifier: GPL-2.0
/*
 * Flows: what a socket of ours gets when it first asks for a lease, and the
 * table by which the gate finds it.
 *
 * Lock order, outermost first:
 *
 *	socket lock (lock_sock)
 *	  mmap_lock (copies from and to the user)
 *	    context's mutex
 *	      table of contexts
 *	      flow's lock (softirq)
 *	        wire's lock (softirq)
 *	        context's lock (softirq)
 *	        wait queues
 *	  other end's socket spinlock (wire.c)
 *	    flow's lock, of the socket's owner's own end (softirq)
 *	table lock (softirq)
 *
 * No two flows' locks, and no two sockets' locks, are ever held at once. The
 * gate runs all of tcp_v4_rcv() under the flow's lock, and that takes the
 * socket's spinlock, whether or not the socket has an owner: so under a socket's
 * spinlock its own flow's lock may only be tried. What tcp_v4_rcv() transmits
 * reaches the next gate from another softirq.
 *
 * A flow lives from the first request for a lease to the release of its
 * socket. sk_prot is a copy of Linux's while it does; see prot.c.
 */
#include <linux/jhash.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <net/tcp.h>

#include "family.h"
#include "flow.h"
#include "lease.h"
#include "netns.h"
#include "prot.h"
#include "wait.h"
#include "watch.h"
#include "xmit.h"

#define ONLOAD_TABLE_BITS 12

static struct hlist_head onload_table[1 << ONLOAD_TABLE_BITS];
static DEFINE_SPINLOCK(onload_table_lock);
static u32 onload_table_seed __read_mostly;

static struct hlist_head *onload_table_head(const struct onload_key *key)
{
	u32 hash = jhash_3words((__force u32)key->local.s6_addr32[3],
				(__force u32)key->remote.s6_addr32[3],
				(__force u32)key->lport << 16 |
				(__force u32)key->rport, onload_table_seed);

	return &onload_table[hash >> (32 - ONLOAD_TABLE_BITS)];
}

static bool onload_key_equal(const struct onload_key *a,
			     const struct onload_key *b)
{
	return a->lport == b->lport && a->rport == b->rport &&
	       ipv6_addr_equal(&a->local, &b->local) &&
	       ipv6_addr_equal(&a->remote, &b->remote);
}

static void onload_key_of_sk(struct onload_key *key, const struct sock *sk)
{
	key->lport = inet_sk(sk)->inet_sport;
	key->rport = sk->sk_dport;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6) {
		key->local = sk->sk_v6_rcv_saddr;
		key->remote = sk->sk_v6_daddr;
		return;
	}
#endif
	ipv6_addr_set_v4mapped(sk->sk_rcv_saddr, &key->local);
	ipv6_addr_set_v4mapped(sk->sk_daddr, &key->remote);
}

/* Two sockets that are bound to different devices may share a tuple. */
static bool onload_flow_match(const struct onload_flow *flow, struct net *net,
			      const struct sock *sk, int dif, int sdif)
{
	if (!net_eq(flow->net, net))
		return false;
	if (sk)
		return sk == flow->sk;
	return inet_sk_bound_dev_eq(net, READ_ONCE(flow->sk->sk_bound_dev_if),
				    dif, sdif);
}

/**
 * onload_flow_lookup() - find the flow of a segment
 * @net: where it arrived
 * @key: its addresses and ports, local and remote as the receiver sees them
 * @sk: whose it is if that is known already, or NULL
 * @dif: device that it arrived by
 * @sdif: that device's slave in a VRF, or 0
 *
 * Context: RCU read side, which also bounds the use of the result.
 * Return: the flow or NULL.
 */
struct onload_flow *onload_flow_lookup(struct net *net,
				       const struct onload_key *key,
				       const struct sock *sk, int dif,
				       int sdif)
{
	struct onload_flow *flow;

	hlist_for_each_entry_rcu(flow, onload_table_head(key), node)
		if (onload_key_equal(&flow->key, key) &&
		    onload_flow_match(flow, net, sk, dif, sdif))
			return flow;
	return NULL;
}

/**
 * onload_flow_get_sk() - find the flow of a socket that is not at hand as a
 *	struct socket
 * @sk: a connected TCP socket
 *
 * Return: the flow with a reference, or NULL.
 */
struct onload_flow *onload_flow_get_sk(struct sock *sk)
{
	struct onload_flow *flow;
	struct onload_key key;

	onload_key_of_sk(&key, sk);
	rcu_read_lock();
	flow = onload_flow_lookup(sock_net(sk), &key, sk, 0, 0);
	if (flow && !refcount_inc_not_zero(&flow->ref))
		flow = NULL;
	rcu_read_unlock();
	return flow;
}

/* Of another namespace only if both allow it */
static bool onload_flow_may_wire(const struct net *a, const struct net *b)
{
	return net_eq(a, b) || (READ_ONCE(onload_net(a)->wire) == 2 &&
				READ_ONCE(onload_net(b)->wire) == 2);
}

/**
 * onload_flow_peer() - find the flow at the other end of a connection
 * @flow: hashed
 *
 * Addresses alone prove nothing: another namespace may use the same.
 *
 * Return: the flow with the mirrored four-tuple, referenced, or NULL.
 */
struct onload_flow *onload_flow_peer(const struct onload_flow *flow)
{
	struct onload_key key = {
		.local = flow->key.remote,
		.remote = flow->key.local,
		.lport = flow->key.rport,
		.rport = flow->key.lport,
	};
	struct onload_flow *peer, *found = NULL;

	rcu_read_lock();
	hlist_for_each_entry_rcu(peer, onload_table_head(&key), node)
		if (onload_key_equal(&peer->key, &key) &&
		    onload_flow_may_wire(flow->net, peer->net) &&
		    refcount_inc_not_zero(&peer->ref)) {
			found = peer;
			break;
		}
	rcu_read_unlock();
	return found;
}

static void onload_flow_free(struct rcu_head *rcu)
{
	struct onload_flow *flow = container_of(rcu, struct onload_flow, rcu);

	sock_put(flow->sk);
	kfree(flow);
	/* Unloading waits for the end of this. */
	module_put(THIS_MODULE);
}

/**
 * onload_flow_put() - drop a reference
 * @flow: freed after a grace period with the last one
 */
void onload_flow_put(struct onload_flow *flow)
{
	if (refcount_dec_and_test(&flow->ref))
		call_rcu(&flow->rcu, onload_flow_free);
}

/* Whoever owned the socket has let go of it: the work again, with the entry's
 * reference. Under the socket's spinlock.
 */
static int onload_flow_unlocked(struct wait_queue_entry *entry,
				unsigned int mode, int flags, void *key)
{
	struct onload_flow *flow = container_of(entry, struct onload_flow,
						unlocked);

	list_del_init(&entry->entry);
	if (!queue_work(onload_wq, &flow->work))
		onload_flow_put(flow);
	return 0;
}

/* lock_sock() for work. Its owner may keep the lock for as long as he likes:
 * who copies from a page that the process itself provides (userfaultfd) does.
 * No worker waits for that, since others' reclaims wait for workers: if this
 * fails, release_sock() queues the work again, and the reference is gone.
 */
static bool onload_flow_trylock(struct onload_flow *flow)
{
	struct sock *sk = flow->sk;
	bool locked, put = false;

	spin_lock_bh(&sk->sk_lock.slock);
	locked = !sock_owned_by_user_nocheck(sk);
	if (locked)
		sk->sk_lock.owned = 1;
	else if (list_empty(&flow->unlocked.entry))
		add_wait_queue(&sk->sk_lock.wq, &flow->unlocked);
	else
		put = true;
	spin_unlock_bh(&sk->sk_lock.slock);
	if (locked)
		mutex_acquire(&sk->sk_lock.dep_map, 0, 1, _RET_IP_);
	if (put)
		onload_flow_put(flow);
	return locked;
}

static void onload_flow_work(struct work_struct *work)
{
	struct onload_flow *flow = container_of(work, struct onload_flow, work);
	enum onload_reason why;
	int err = -ESTALE;

	if (!onload_flow_trylock(flow))
		return;
	why = xchg(&flow->why, ONLOAD_R_NONE);
	/* None: the lease that it was about has ended meanwhile. */
	if (why && (why != ONLOAD_R_DELACK || !onload_acknowledge(flow)))
		err = onload_reclaim_owned(flow, why);
	/* The mapping is gone, and with it any thread in the slot. */
	if (why == ONLOAD_R_UNMAP)
		onload_detach_dead(flow);
	release_sock(flow->sk);
	if (err != -ESTALE)
		onload_wake_all(flow);
	/* Takes the lock once more, and has to wait for it. */
	if (err == -ECONNABORTED && queue_work(onload_abort_wq, &flow->abort))
		return;
	onload_flow_put(flow);
}

static void onload_flow_abort(struct work_struct *work)
{
	struct onload_flow *flow = container_of(work, struct onload_flow,
						abort);

	tcp_abort(flow->sk, ECONNABORTED);
	onload_flow_put(flow);
}

/**
 * onload_flow_claim() - from Linux to user level, unless a thread is inside
 * @flow: locked, KERNEL
 * @owner: ONLOAD_LEASED or ONLOAD_WIRED
 *
 * Return: false if one is: nothing has happened.
 */
bool onload_flow_claim(struct onload_flow *flow, enum onload_owner owner)
{
	WRITE_ONCE(flow->owner, owner);
	/* Pairs with onload_enter(): it sees the lease, or we see it. */
	smp_mb();
	if (!atomic_read(&flow->in_kernel))
		return true;
	WRITE_ONCE(flow->owner, ONLOAD_KERNEL);
	return false;
}

/* An acknowledgement may do instead of a reclaim, a suspicion may come to
 * nothing, and an unmapping detaches, too.
 */
static int onload_firmness(enum onload_reason why)
{
	switch (why) {
	case ONLOAD_R_NONE:
		return 0;
	case ONLOAD_R_DELACK:
		return 1;
	case ONLOAD_R_PEERCLOSE:
		return 2;
	case ONLOAD_R_UNMAP:
		return 4;
	default:
		return 3;
	}
}

/**
 * onload_flow_because() - set the reason that queued work is to give
 * @flow: any
 * @why: the reason, or ONLOAD_R_NONE at the beginning of a lease
 *
 * Of two reasons the firmer one survives. The beginning of a lease ends all of
 * the former's but an unmapping.
 */
void onload_flow_because(struct onload_flow *flow, enum onload_reason why)
{
	enum onload_reason old = READ_ONCE(flow->why);

	while ((why ? onload_firmness(why) >= onload_firmness(old) :
		      old != ONLOAD_R_UNMAP) &&
	       !try_cmpxchg(&flow->why, &old, why))
		;
}

/**
 * onload_flow_queue() - reclaim from a context that cannot sleep
 * @flow: reference held, or flow's lock and leased
 * @why: reason to record
 */
void onload_flow_queue(struct onload_flow *flow, enum onload_reason why)
{
	onload_flow_because(flow, why);
	refcount_inc(&flow->ref);
	if (!queue_work(onload_wq, &flow->work))
		onload_flow_put(flow);
}

/* Do the flow's packets leave, or arrive, by the device? RCU read side. */
static bool onload_flow_passes(const struct onload_flow *flow,
			       const struct net_device *dev)
{
	const struct sock *sk = flow->sk;
	const struct dst_entry *dst = rcu_dereference(sk->sk_dst_cache);

	return (dst && READ_ONCE(dst->dev) == dev) ||
	       (net_eq(flow->net, dev_net(dev)) &&
		READ_ONCE(sk->sk_rx_dst_ifindex) == dev->ifindex);
}

/**
 * onload_flow_queue_device() - reclaim what passes a device
 * @dev: is going down
 */
void onload_flow_queue_device(const struct net_device *dev)
{
	struct onload_flow *flow;
	unsigned int i;

	rcu_read_lock();
	for (i = 0; i < ARRAY_SIZE(onload_table); i++)
		hlist_for_each_entry_rcu(flow, &onload_table[i], node) {
			if (!onload_flow_leased(flow) ||
			    !onload_flow_passes(flow, dev) ||
			    !refcount_inc_not_zero(&flow->ref))
				continue;
			onload_flow_queue(flow, ONLOAD_R_DEVICE);
			onload_flow_put(flow);
		}
	rcu_read_unlock();
}

/**
 * onload_flow_attach() - give a socket its flow
 * @sock: one of ours, without a flow, of a connected TCP socket
 *
 * Context: socket locked.
 * Return: the flow, or NULL for want of memory or of a stock socket.
 */
struct onload_flow *onload_flow_attach(struct socket *sock)
{
	struct sock *sk = sock->sk;
	struct proto *prot = onload_prot(sk);
	struct onload_flow *flow;

	if (!prot)
		return NULL;
	flow = kzalloc(sizeof(*flow), GFP_KERNEL_ACCOUNT);
	if (!flow)
		return NULL;

	/* What is queued on the socket's lock may outlive the socket's being
	 * ours.
	 */
	__module_get(THIS_MODULE);
	flow->base = sock->ops;
	onload_flow_ops(&flow->ops, flow->base);
	flow->base_prot = sk->sk_prot;
	refcount_set(&flow->ref, 1);
	flow->net = sock_net(sk);
	/* Queued work may outlive the socket; it then finds no lease. */
	sock_hold(sk);
	flow->sk = sk;
	INIT_WORK(&flow->work, onload_flow_work);
	INIT_WORK(&flow->abort, onload_flow_abort);
	init_waitqueue_func_entry(&flow->unlocked, onload_flow_unlocked);
	INIT_LIST_HEAD(&flow->unlocked.entry);
	INIT_LIST_HEAD(&flow->watch_node);
	spin_lock_init(&flow->lock);
	init_waitqueue_head(&flow->sleepers);
	WRITE_ONCE(sk->sk_prot, prot);
	/* Pairs with the dependent loads of everyone who calls an op. */
	smp_store_release(&sock->ops, &flow->ops);
	return flow;
}

static void onload_flow_is_ready(struct rcu_head *rcu)
{
	struct onload_flow *flow = container_of(rcu, struct onload_flow, rcu);

	/* The head may be used again from here on. Pairs with onload_ask(). */
	smp_store_release(&flow->ready, true);
	onload_flow_put(flow);
}

/**
 * onload_flow_hash() - let the gate see the flow's segments
 * @flow: of a socket in TCP_ESTABLISHED
 *
 * A grace period later no softirq is left that looked before the flow was
 * there; @flow->ready says so. Nobody is kept waiting for it.
 *
 * Context: socket locked, the gate is open.
 */
void onload_flow_hash(struct onload_flow *flow)
{
	onload_key_of_sk(&flow->key, flow->sk);
	spin_lock_bh(&onload_table_lock);
	hlist_add_head_rcu(&flow->node, onload_table_head(&flow->key));
	spin_unlock_bh(&onload_table_lock);
	WRITE_ONCE(flow->hashed, true);
	refcount_inc(&flow->ref);
	call_rcu(&flow->rcu, onload_flow_is_ready);
}

/**
 * onload_flow_unhash() - hide the flow from the gate
 * @flow: owned by the kernel; is not hashed again
 *
 * Before the four-tuple can be used by another socket.
 *
 * Context: socket locked or being released.
 */
void onload_flow_unhash(struct onload_flow *flow)
{
	if (!flow->hashed)
		return;
	spin_lock_bh(&onload_table_lock);
	hlist_del_init_rcu(&flow->node);
	spin_unlock_bh(&onload_table_lock);
	WRITE_ONCE(flow->hashed, false);
}

/**
 * onload_flow_init() - prepare the table
 *
 * Return: 0.
 */
int onload_flow_init(void)
{
	onload_table_seed = get_random_u32();
	return 0;
}

/**
 * onload_flow_uninit() - wait for the last flow's memory
 */
void onload_flow_uninit(void)
{
	rcu_barrier();
}
