/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_FLOW_H
#define ONLOAD_FLOW_H

#include <linux/net.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/sock.h>

#include <linux/onload.h>

struct onload_ctx;
struct onload_region;
struct onload_rings;
struct onload_wire;
struct net_device;

/**
 * enum onload_owner - who runs a flow's transport
 * @ONLOAD_KERNEL: Linux; the gate delivers to it
 * @ONLOAD_LEASED: user level; the gate fills the ring
 * @ONLOAD_FROZEN: nobody: the state is being put back; the gate fills the ring
 * @ONLOAD_WIRED: Linux, which is idle; the bytes go over a wire. The gate
 *	delivers to it
 */
enum onload_owner {
	ONLOAD_KERNEL,
	ONLOAD_LEASED,
	ONLOAD_FROZEN,
	ONLOAD_WIRED,
};

/**
 * struct onload_key - what tells a flow's segments
 * @local: IPv4 as v4-mapped
 * @remote: ditto
 * @lport: as on the wire
 * @rport: as on the wire
 */
struct onload_key {
	struct in6_addr local;
	struct in6_addr remote;
	__be16 lport;
	__be16 rport;
};

/**
 * struct onload_flow - what a socket of ours gets when it first asks for a
 *	lease
 * @ops: the socket's proto_ops from then on, so that an op finds its flow
 *	without a lookup; constant
 * @base: the proto_ops before; constant
 * @base_prot: the sk_prot before; constant
 * @node: in the gate's table; RCU, table lock
 * @rcu: for freeing and for the grace period of attaching
 * @ref: socket, queued work or @unlocked, watch list, RCU callback
 * @net: constant
 * @sk: held; constant
 * @key: constant while hashed
 * @work: reclaims from where nobody may sleep
 * @abort: resets the connection if that found nonsense
 * @unlocked: in the queue of the socket lock while @work waits for it; the
 *	socket's spinlock
 * @in_kernel: threads inside wrapped ops; a lease needs none. Read under
 *	@lock after the owner was set, incremented before the owner is read
 * @callers: threads inside our own options and poll, which a lease does not
 *	mind; until they have left, a retired flow stays
 * @ready: every segment passes the gate; written once
 * @hashed: in the gate's table; socket lock to write
 * @ctx: whom it is attached to; socket lock
 * @mm: whose @ctx is, NULL without one; socket lock to write. Only compared:
 *	while it is set, @ctx keeps the address from being reused
 * @slot_nr: in @ctx; socket lock
 * @slot: shared memory; valid while @ctx is
 * @rings: valid while @ctx is, NULL before the first lease on the soft VI
 * @region: ditto, of a wire
 * @wire_speaks: the library knows wires: the flow can be made one end of one
 *	without being asked; socket lock, or socket's spinlock without owner
 * @wire_willing: and its threads will notice: none is on its way from a
 *	refusal into a system call, as far as we know; plain
 * @wire_waits: for the other end, until @wire_time; socket lock to write
 * @wire_since: jiffies when @wire_waits began; socket lock
 * @wire_time: jiffies; without @wire_waits, not before it for a wire again
 * @wire_pauses: doublings of the latter so far; socket lock
 * @wire_why: why it is not on a wire, enum onload_wire_why; plain
 * @wires: leases that were ends of wires; socket lock
 * @lock: guards what follows up to @next_lease; softirq. Inside: context's
 *	lock, wait queues
 * @owner: see there
 * @generation: of the lease
 * @wire: while @owner is ONLOAD_WIRED; also the socket lock to write
 * @wire_side: which of its ends
 * @why: reason that the pending @work is to give; atomic
 * @alien: a segment came with IPv6 extension headers, or is another layer's
 *	to change: no lease ever
 * @strayed: the gate has let a segment pass
 * @strays: grace period after the last of these, valid with @strayed
 * @closed: nothing more is taken while the ring is drained
 * @watched: on the context's list
 * @rx_armed: a look at unread records is due
 * @tx_armed: a look at the deadline is due
 * @want_tx: somebody polls until there is room to send
 * @sleepers: threads in ONLOAD_WAIT; its own lock nests inside, for the sake
 *	of what is called with it
 * @watch_node: there; context's lock
 * @watch_mark: behind the record whose processing the watch waits for
 * @watch_since: jiffies when it arrived
 * @heard: jiffies when anything arrived last; keepalive counts from there
 * @rx_prod: ring position up to which records are complete
 * @rx_cons: ring position known to be given back
 * @rx_data: ring position behind the last record that concerns a reader
 * @rx_seq: highest end of a segment that the gate saw, within @rcv_edge
 * @acked: highest acknowledgement that the gate saw
 * @snd_una0: when leased
 * @sent: end of what has been transmitted
 * @rcv_nxt0: when leased
 * @copied0: copied_seq when leased
 * @rcv_edge: highest sequence number promised to the peer
 * @last_ack: acknowledgement sent last
 * @last_wnd: window sent with it
 * @snd_wscale: constant during a lease
 * @next_lease: jiffies before which no lease is given; socket lock
 * @backoff: doublings so far; socket lock
 * @leased_at: jiffies; socket lock
 * @reason: last refusal or reclaim; plain
 * @leases: by this flow; socket lock
 * @reclaims: ditto
 * @refusals: ditto
 * @reasons: ditto by reason
 * @rx_user: payload bytes received at user level; socket lock
 * @tx_user: payload bytes sent at user level; socket lock
 * @holder: process that has or had the lease, for display; plain
 */
struct onload_flow {
	struct proto_ops ops;
	const struct proto_ops *base;
	struct proto *base_prot;
	struct hlist_node node;
	struct rcu_head rcu;
	refcount_t ref;
	struct net *net;
	struct sock *sk;
	struct onload_key key;
	struct work_struct work;
	struct work_struct abort;
	struct wait_queue_entry unlocked;
	atomic_t in_kernel;
	atomic_t callers;
	bool ready;
	bool hashed;

	struct onload_ctx *ctx;
	struct mm_struct *mm;
	u32 slot_nr;
	struct onload_slot *slot;
	struct onload_rings *rings;
	struct onload_region *region;
	bool wire_speaks;
	bool wire_willing;
	bool wire_waits;
	u8 wire_pauses;
	u8 wire_why;
	unsigned long wire_since;
	unsigned long wire_time;
	u64 wires;

	spinlock_t lock ____cacheline_aligned_in_smp;	/* above */
	enum onload_owner owner;
	u32 generation;
	struct onload_wire *wire;
	u8 wire_side;
	enum onload_reason why;
	bool alien;
	bool strayed;
	unsigned long strays;
	bool closed;
	bool watched;
	bool rx_armed;
	bool tx_armed;
	bool want_tx;
	struct wait_queue_head sleepers;
	struct list_head watch_node;
	u32 watch_mark;
	unsigned long watch_since;
	unsigned long heard;
	u32 rx_prod;
	u32 rx_cons;
	u32 rx_data;
	u32 rx_seq;
	u32 acked;
	u32 snd_una0;
	u32 sent;
	u32 rcv_nxt0;
	u32 copied0;
	u32 rcv_edge;
	u32 last_ack;
	u32 last_wnd;
	u8 snd_wscale;

	unsigned long next_lease;
	u8 backoff;
	unsigned long leased_at;
	enum onload_reason reason;
	u64 leases;
	u64 reclaims;
	u64 refusals;
	u32 reasons[ONLOAD_R_MAX];
	u64 rx_user;
	u64 tx_user;
	pid_t holder;
};

/* ops.c: is this socket ours, and has it a flow? */
struct onload_flow *onload_flow_of(const struct socket *sock);

/* ops.c: around calls of ours that may sleep */
struct onload_flow *onload_call_begin(const struct socket *sock);
void onload_call_end(struct onload_flow *flow);

/* Both read without a lock: a hint, to be confirmed under one. */
static inline bool onload_flow_leased(const struct onload_flow *flow)
{
	return READ_ONCE(flow->owner) != ONLOAD_KERNEL;
}

static inline enum onload_path onload_flow_path(const struct onload_flow *flow)
{
	enum onload_owner owner = READ_ONCE(flow->owner);

	if (owner == ONLOAD_WIRED)
		return ONLOAD_PATH_WIRE;
	return owner == ONLOAD_KERNEL ? ONLOAD_PATH_KERNEL : ONLOAD_PATH_VI;
}

static inline bool onload_flow_mine(const struct onload_flow *flow)
{
	return READ_ONCE(flow->mm) == current->mm;
}

struct onload_flow *onload_flow_attach(struct socket *sock);
void onload_flow_hash(struct onload_flow *flow);
void onload_flow_unhash(struct onload_flow *flow);
struct onload_flow *onload_flow_lookup(struct net *net,
				       const struct onload_key *key,
				       const struct sock *sk, int dif,
				       int sdif);
struct onload_flow *onload_flow_get_sk(struct sock *sk);
struct onload_flow *onload_flow_peer(const struct onload_flow *flow);
void onload_flow_put(struct onload_flow *flow);
bool onload_flow_claim(struct onload_flow *flow, enum onload_owner owner);
void onload_flow_because(struct onload_flow *flow, enum onload_reason why);
void onload_flow_queue(struct onload_flow *flow, enum onload_reason why);
void onload_flow_queue_device(const struct net_device *dev);
int onload_flow_init(void);
void onload_flow_uninit(void);

#endif
