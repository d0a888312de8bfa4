// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a lease.
 *
 * A reclaim never waits for user level: one exchange of the word ends all
 * commits, the slot that the word named last is complete whatever instruction
 * the process is at, and everything read from there is copied once and
 * checked against what the kernel itself knows (import.c).
 */
#include <linux/jiffies.h>
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

/* Longest back-off: base times 2^ONLOAD_BACKOFF_MAX */
#define ONLOAD_BACKOFF_MAX	10
/* A lease that held so long was worth it: forget earlier failures */
#define ONLOAD_BACKOFF_FORGET	HZ

/**
 * onload_part() - part a flow from its context
 * @flow: attached, not leased
 * @give_back: free the slot's memory: nobody is in there
 *
 * Context: socket locked.
 */
void onload_part(struct onload_flow *flow, bool give_back)
{
	struct onload_ctx *ctx = flow->ctx;
	bool put = onload_unwatch(ctx, flow);

	flow->ctx = NULL;
	WRITE_ONCE(flow->mm, NULL);
	flow->slot = NULL;
	flow->rings = NULL;
	flow->region = NULL;
	WRITE_ONCE(flow->wire_speaks, false);
	onload_ctx_detach(ctx, flow->slot_nr, flow, give_back);
	/* Never the last: the socket has one. */
	if (put)
		onload_flow_put(flow);
}

static void onload_back_off(struct onload_flow *flow, enum onload_reason why)
{
	u32 base = READ_ONCE(onload_net(flow->net)->backoff_ms);

	if (time_after(jiffies, flow->leased_at + ONLOAD_BACKOFF_FORGET))
		flow->backoff = 0;
	switch (why) {
	case ONLOAD_R_SYSCALL:
	case ONLOAD_R_FOREIGN:
	case ONLOAD_R_TERM:
	case ONLOAD_R_RXFULL:
	case ONLOAD_R_RTO:
	case ONLOAD_R_LOSS:
		flow->next_lease = jiffies +
				   msecs_to_jiffies(base << flow->backoff);
		if (flow->backoff < ONLOAD_BACKOFF_MAX)
			flow->backoff++;
		break;
	default:
		/* Idleness or an end: nothing says that the next lease fails */
		flow->next_lease = jiffies;
	}
}

/* Socket locked, leased on the soft VI. Returns 0, or the connection must be
 * reset.
 */
static int onload_take_vi(struct onload_flow *flow, enum onload_reason why)
{
	struct onload_slot *slot = flow->slot;
	struct onload_tcp_state st;
	/* Aborted meanwhile, from softirq or by an administrator: there is
	 * nothing to import, so nothing of the state is checked, nor used.
	 */
	bool dead = flow->sk->sk_state != TCP_ESTABLISHED;
	int err = 0;
	u64 word;

	spin_lock_bh(&flow->lock);
	WRITE_ONCE(flow->owner, ONLOAD_FROZEN);
	WRITE_ONCE(slot->reason, why);
	/* From here on no commit succeeds. Full barrier: what was committed
	 * is seen below.
	 */
	word = xchg(&slot->word, (u64)(flow->generation + 1) << 32);
	spin_unlock_bh(&flow->lock);

	onload_copy_shared(&st, &slot->state[word & 1], sizeof(st));
	if (ONLOAD_W_GEN(word) != flow->generation || !(word & ONLOAD_W_USER))
		err = -EBADMSG;
	else if (!dead)
		err = onload_import(flow, &st);
	if (err || dead) {
		spin_lock_bh(&flow->lock);
		WRITE_ONCE(flow->owner, ONLOAD_KERNEL);
		spin_unlock_bh(&flow->lock);
	} else {
		onload_record_drain(flow, st.rx_proc);
	}
	return err;
}

/* Socket locked, leased. Returns 0, or the connection must be reset. */
static int onload_take(struct onload_flow *flow, enum onload_reason why)
{
	int err;

	if (flow->owner == ONLOAD_WIRED) {
		/* Whatever it is that comes first after the other end left */
		if (READ_ONCE(flow->wire->cut))
			why = ONLOAD_R_PEER;
		err = onload_wire_leave(flow, why);
	} else {
		err = onload_take_vi(flow, why);
		/* Its library asks again before anything else. */
		if (why == ONLOAD_R_WIRE)
			WRITE_ONCE(flow->wire_willing, true);
	}
	if (err)
		why = ONLOAD_R_CORRUPT;
	onload_back_off(flow, why);
	onload_stat_reclaim(flow, why);
	return err;
}

/**
 * onload_reclaim_owned() - take the lease back, with the socket locked
 * @flow: any; nothing happens unless it is leased
 * @why: reason to record
 *
 * On return Linux owns the flow, with every byte for which user level's
 * send() returned and none that its recv() returned. After release_sock() the
 * caller owes an onload_reclaimed().
 *
 * Context: may sleep, socket locked.
 * Return: 0, -ESTALE if it was not leased, -ECONNABORTED if the shared state
 * was nonsense: the connection is to be reset.
 */
int onload_reclaim_owned(struct onload_flow *flow, enum onload_reason why)
{
	struct sock *sk = flow->sk;
	int corrupt;

	if (flow->owner != ONLOAD_LEASED && flow->owner != ONLOAD_WIRED)
		return -ESTALE;
	/* A suspicion only: nothing has come of it. */
	if (why == ONLOAD_R_PEERCLOSE && flow->owner == ONLOAD_WIRED &&
	    !onload_wire_over(flow))
		return -ESTALE;
	corrupt = onload_take(flow, why);
	/* Pollers and sleepers in WAIT look again, at Linux's state. With the
	 * lock: somebody who took over the callback since may read at once.
	 */
	sk->sk_data_ready(sk);
	return corrupt ? -ECONNABORTED : 0;
}

/**
 * onload_reclaimed() - what is owed after onload_reclaim_owned()
 * @flow: its socket has been released
 * @err: what that returned
 *
 * Context: may sleep, socket not locked.
 */
void onload_reclaimed(struct onload_flow *flow, int err)
{
	if (err != -ESTALE)
		onload_wake_all(flow);
	if (err == -ECONNABORTED)
		tcp_abort(flow->sk, ECONNABORTED);
}

/**
 * onload_reclaim() - take the lease back
 * @flow: any; nothing happens unless it is leased
 * @why: reason to record
 *
 * Context: may sleep, socket not locked.
 * Return: 0, -ESTALE if it was not leased, -ECONNABORTED if the shared state
 * was nonsense and the connection has been reset.
 */
int onload_reclaim(struct onload_flow *flow, enum onload_reason why)
{
	struct sock *sk = flow->sk;
	int err;

	lock_sock(sk);
	err = onload_reclaim_owned(flow, why);
	release_sock(sk);
	onload_reclaimed(flow, err);
	return err;
}

/**
 * onload_end_owned() - no lease any more, with the socket locked
 * @flow: any
 * @why: reason to record
 *
 * The lease is taken back, the flow hidden from the gate and the socket's own
 * sk_prot put back, at one go: between two of these the other end could make
 * it a wire, or a segment of a leased flow pass the gate. After release_sock()
 * the caller owes an onload_reclaimed().
 *
 * Context: may sleep, socket locked.
 * Return: as onload_reclaim_owned().
 */
int onload_end_owned(struct onload_flow *flow, enum onload_reason why)
{
	int err = onload_reclaim_owned(flow, why);

	onload_flow_unhash(flow);
	onload_prot_restore(flow);
	return err;
}

/**
 * onload_end() - no lease any more
 * @flow: any; see onload_end_owned()
 * @why: reason to record
 *
 * Context: may sleep, socket not locked.
 */
void onload_end(struct onload_flow *flow, enum onload_reason why)
{
	struct sock *sk = flow->sk;
	int err;

	lock_sock(sk);
	err = onload_end_owned(flow, why);
	release_sock(sk);
	onload_reclaimed(flow, err);
}

/**
 * onload_handback() - the library gives the lease back
 * @flow: any
 * @generation: of the lease it means
 * @why: its reason
 *
 * Return: 0, -ESTALE if that lease has ended, -EPERM not its holder.
 */
int onload_handback(struct onload_flow *flow, u32 generation,
		    enum onload_reason why)
{
	struct sock *sk = flow->sk;
	int err = -ESTALE;

	/* The library's word counts only as far as it may know. */
	if (why < ONLOAD_R_FIN || why > ONLOAD_R_LIBRARY)
		why = ONLOAD_R_LIBRARY;
	/* Asked with the lock: who waits for it may be the next holder. */
	lock_sock(sk);
	if (onload_flow_leased(flow) && flow->generation == generation)
		err = onload_flow_mine(flow) ? onload_reclaim_owned(flow, why) :
					       -EPERM;
	release_sock(sk);
	if (err != -EPERM)
		onload_reclaimed(flow, err);
	return err;
}

/* At one go: a flow between the two can become an end of a wire. */
static int onload_detach_owned(struct onload_flow *flow,
			       enum onload_reason why, bool give_back)
{
	int err = onload_reclaim_owned(flow, why);

	if (flow->ctx && flow->owner == ONLOAD_KERNEL)
		onload_part(flow, give_back);
	return err;
}

/**
 * onload_detach() - take the lease back, if there is one, and part the flow
 *	from its context
 * @flow: any
 * @why: reason to record
 *
 * Somebody may still be in the slot: its rings stay.
 *
 * Context: may sleep, socket not locked.
 */
void onload_detach(struct onload_flow *flow, enum onload_reason why)
{
	struct sock *sk = flow->sk;
	int err;

	lock_sock(sk);
	err = onload_detach_owned(flow, why, false);
	release_sock(sk);
	onload_reclaimed(flow, err);
}

/**
 * onload_detach_mine() - the same for the process that says it is out of the
 *	slot, whose memory is given back
 * @flow: any
 * @slot: the one that it means
 *
 * Context: may sleep, socket not locked.
 * Return: 0, -ESTALE another process's or nobody's, -EINVAL another slot.
 */
int onload_detach_mine(struct onload_flow *flow, u32 slot)
{
	struct sock *sk = flow->sk;
	int err, ret = 0;

	/* Asked with the lock: who waits for it may be the next holder. */
	lock_sock(sk);
	if (!onload_flow_mine(flow))
		ret = -ESTALE;
	else if (flow->slot_nr != slot)
		ret = -EINVAL;
	else
		err = onload_detach_owned(flow, ONLOAD_R_LIBRARY, true);
	release_sock(sk);
	if (!ret)
		onload_reclaimed(flow, err);
	return ret;
}

/**
 * onload_detach_dead() - part a flow from a context whose mapping has ended
 * @flow: any; it may have got another context meanwhile, and keeps that
 *
 * Context: may sleep, socket locked.
 */
void onload_detach_dead(struct onload_flow *flow)
{
	if (flow->ctx && flow->owner == ONLOAD_KERNEL &&
	    READ_ONCE(flow->ctx->dead))
		onload_part(flow, true);
}
