// SPDX-License-Identifier: LGPL-2.1-or-later
/* The steps of sending. */
#include "call.h"
#include "real.h"
#include "tcp.h"
#include "wire.h"

#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

/*
 * A blocking send() whose last bytes wait for the window stays so long at
 * most, instead of giving the lease back for them; and not at all if the path
 * is longer.
 */
#define LINGER_NS     5000000ull
#define LINGER_RTT_US 2000u

/*
 * So long a blocking send() waits for somebody to read from a full wire,
 * before it leaves the rest to Linux, with its greater buffers and time-outs;
 * which begin again there, so it is never more than a small part of one.
 */
#define FULL_NS	  20000000ull
#define FULL_PART 8

/* How long the kernel lets an acknowledgement be owed */
#define REPLY_MS 40

/* Bytes that may leave now, besides those that are in the ring already */
static uint64_t room(const struct onload_tcp_state *st,
		     const struct onload_flow_const *c)
{
	const uint64_t used = st->write_seq - st->snd_una;
	uint64_t wnd = (uint64_t)st->cwnd * c->mss;

	if (wnd > st->snd_wnd)
		wnd = st->snd_wnd;
	return wnd > used ? wnd - used : 0;
}

/* Unsent bytes that a window, and not Nagle, holds back */
static bool limited(const struct onload_tcp_state *st,
		    const struct onload_flow_const *c)
{
	return st->snd_nxt != st->write_seq && !room(st, c);
}

/*
 * How much of a non-blocking call to take. Nobody may come back for bytes that
 * stay in the ring, but the caller does for those that it was not rid of.
 */
static size_t take(const struct ol_call *call,
		   const struct onload_tcp_state *st,
		   const struct onload_flow_const *c)
{
	const size_t want = call->len - call->done;
	uint64_t n;

	if (!call->nonblock)
		return want;
	n = room(st, c);
	return want <= n ? want : (size_t)(n - n % c->mss);
}

/* Bytes of the call are still to come. */
static enum ol_step send_more(struct ol_ep *e, struct ol_call *call,
			      const struct onload_tcp_state *st, uint32_t seen)
{
	/* Room in the ring is of no use to a call that may not wait for more. */
	if (ol_tcp_space(st, &e->c, st->snd_una) && take(call, st, &e->c))
		return OL_STEP_AGAIN;
	if (call->nonblock || ol_tcp_stuck(st, &e->c)) {
		ol_lease_hand_back(e, call->fd,
				   call->nonblock ? ONLOAD_R_LIMITED
						  : ONLOAD_R_ZEROWND);
		return OL_STEP_KERNEL;
	}
	call->wait = ol_wait_for(e, seen);
	call->limit = e->snd_ns;
	call->events = ONLOAD_WAIT_TX;
	return OL_STEP_WAIT;
}

/* All bytes are in the ring. Who sends those that did not leave? */
static enum ol_step send_tail(struct ol_ep *e, struct ol_call *call,
			      const struct onload_tcp_state *st, uint32_t seen)
{
	if (ol_likely(st->snd_nxt == st->write_seq))
		return OL_STEP_DONE;
	if (ol_tcp_stuck(st, &e->c)) {
		ol_lease_hand_back(e, call->fd, ONLOAD_R_ZEROWND);
		return OL_STEP_DONE;
	}
	if (call->nonblock) {
		/* The caller may be gone until more arrives, for long. */
		ol_lease_hand_back(e, call->fd, ONLOAD_R_LIMITED);
		return OL_STEP_DONE;
	}
	if (!limited(st, &e->c))
		return OL_STEP_DONE;
	if (call->lingered || st->srtt_us >> 3 > LINGER_RTT_US) {
		ol_lease_hand_back(e, call->fd, ONLOAD_R_LIMITED);
		return OL_STEP_DONE;
	}
	call->wait = ol_wait_for(e, seen);
	call->events = ONLOAD_WAIT_TX;
	return OL_STEP_WAIT;
}

static enum ol_step send_wire(struct ol_ep *e, struct ol_call *call)
{
	ssize_t put;
	uint64_t rx;

	do {
		rx = ol_load(&e->peer->rx);
		put = ol_wire_send(e, call->fd, call->iov, call->iovlen,
				   call->done, call->len - call->done);
		if (put < 0)
			return ol_call_gone(e);
		call->done += (size_t)put;
		if (put)
			call->lingered = false;
		if (call->done == call->len)
			return OL_STEP_DONE;
		/* Full: rx was read before, so what it says now is new. */
	} while (put || !ol_wire_arm_send(e));
	ol_wire_full(e, call->fd);
	call->wait = ol_wait_for_word(e, &e->peer->rx, rx);
	call->limit = e->snd_ns;
	call->events = ol_wire_growing(e) ? ONLOAD_WAIT_EMPTY : ONLOAD_WAIT_TX;
	if (call->nonblock)
		return OL_STEP_WAIT;
	/* Linux has more room than a ring, and who reads may be ourselves. */
	if (call->lingered) {
		ol_lease_hand_back(e, call->fd, ONLOAD_R_LIMITED);
		return OL_STEP_KERNEL;
	}
	call->full = true;
	return OL_STEP_WAIT;
}

static enum ol_step send_step(struct ol_ep *e, struct ol_call *call)
{
	struct onload_seg segs[OL_KICK_MAX];
	enum onload_reason why;
	struct ol_rings rings;
	struct ol_clock now;
	struct ol_txn t;
	size_t put;
	int n;

	if (e->wire)
		return send_wire(e, call);
	if (!ol_txn_begin(e, &t))
		return ol_call_gone(e);
	rings = ol_lease_rings(e);
	now = ol_clock(e);
	ol_txn_open(&t);
	if (t.prod != t.st->rx_proc) {
		why = ol_tcp_rx(t.st, &e->c, &rings, t.prod, now);
		if (ol_unlikely(why != ONLOAD_R_NONE))
			return ol_call_give_up(e, call, &t, why);
	}
	put = ol_tcp_write(t.st, &e->c, &rings, call->iov, call->iovlen,
			   call->done, take(call, t.st, &e->c), t.cur->snd_una);
	n = ol_tcp_output(t.st, &e->c, t.prod, now, 0, segs, OL_KICK_MAX);
	if (!ol_call_commit(e, call, &t, segs, n))
		return OL_STEP_KERNEL;
	call->done += put;
	OL_COUNT(tx_user, put);
	if (e->quick_ms) {
		/* This would have carried it in time. */
		if (now.ms - e->quick_ms < REPLY_MS)
			e->pingpong += e->pingpong < 0;
		e->quick_ms = 0;
	}
	if (ol_unlikely(!e->lease))
		return call->done == call->len ? OL_STEP_DONE : OL_STEP_KERNEL;
	if (n == OL_KICK_MAX)
		return OL_STEP_AGAIN;
	if (call->done < call->len)
		return send_more(e, call, t.st, t.prod);
	return send_tail(e, call, t.st, t.prod);
}

/* What did not fit before the lease ended */
static void send_rest(struct ol_call *call)
{
	const int64_t limit = ol_load(&ol_ep_of(call->h)->snd_ns);
	const int saved = errno;
	size_t skip = call->done;

	for (size_t i = 0; i < call->iovlen; i++) {
		const struct iovec *v = &call->iov[i];
		size_t len;
		int more;
		ssize_t n;

		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		if (!ol_call_ready(call, limit, POLLOUT) ||
		    ol_call_closed(call) ||
		    ol_call_error(call->fd, POLLERR | POLLHUP))
			break;
		len = v->iov_len - skip;
		more = call->len - call->done > len ? MSG_MORE : 0;
		/* After part of the bytes Linux raises no SIGPIPE either. */
		n = OL_REAL(send)(call->fd, (char *)v->iov_base + skip, len,
				  call->flags | MSG_NOSIGNAL | more);
		if (n > 0) {
			call->done += (size_t)n;
			OL_COUNT(tx_kernel, (uint64_t)n);
		}
		if (n != (ssize_t)len)
			break;
		skip = 0;
	}
	errno = saved;
}

/* Not for longer than that without looking what else can be done */
static enum ol_step wait_reader(struct ol_call *call, int *err)
{
	const uint64_t part = (uint64_t)call->limit / FULL_PART;
	enum ol_step step;

	call->full = false;
	call->until =
		ol_wait_clock() + (part && part < FULL_NS ? part : FULL_NS);
	/* Of which the application knows nothing */
	if (!call->done && !call->limit)
		call->events |= ONLOAD_WAIT_RESTART;
	step = ol_call_wait(call, err);
	call->until = 0;
	if (step != OL_STEP_DONE || *err != EAGAIN)
		return step;
	*err = 0;
	call->lingered = true;
	return OL_STEP_AGAIN;
}

static enum ol_step send_once(ol_handle h, struct ol_call *call, int *err)
{
	struct ol_ep *e = ol_call_enter(h, call);
	enum ol_step step;

	if (!e)
		return OL_STEP_KERNEL;
	step = send_step(e, call);
	ol_ep_unlock(e);
	if (step != OL_STEP_WAIT)
		return step;
	if (call->done < call->len) {
		if (call->nonblock) {
			*err = EAGAIN;
			return OL_STEP_DONE;
		}
		if (call->full)
			return wait_reader(call, err);
		return ol_call_wait(call, err);
	}
	/* Everything is accepted, so what ends the wait is no error. */
	if (!call->linger)
		call->linger = ol_wait_clock() + LINGER_NS;
	call->until = call->linger;
	step = ol_call_wait(call, err);
	*err = 0;
	if (step == OL_STEP_DONE) {
		call->lingered = true;
		return OL_STEP_AGAIN;
	}
	return step;
}

bool ol_send(int fd, ol_handle h, const struct iovec *iov, int iovlen,
	     size_t len, int flags, ssize_t *ret)
{
	struct ol_call call;
	enum ol_step step;
	int err = 0;

	if (ol_unlikely(!len || len > OL_CALL_MAX || flags & ~SEND_FLAGS ||
			!ol_call_reachable(iov, iovlen)))
		return false;
	ol_call_begin(&call, fd, h, iov, iovlen, len, flags);

	do {
		step = send_once(h, &call, &err);
	} while (step == OL_STEP_AGAIN);
	if (step == OL_STEP_KERNEL) {
		if (!call.done)
			return ol_call_leave(&call, POLLOUT, ret);
		if (call.done < len)
			send_rest(&call);
	}
	return ol_call_finish(&call, err, ret);
}
