// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sending and receiving: each call is a row of transactions, between which
 * the lock is dropped to wait. Whatever a transaction cannot do ends in
 * STEP_KERNEL: the lease is gone by then, or will be with the system call.
 */
#include <errno.h>

#include "io.h"
#include "lease.h"
#include "real.h"
#include "soft_vi.h"
#include "stats.h"
#include "tcp.h"
#include "wait.h"
#include "wire.h"

#define RECV_FLAGS                                              \
	(MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL | \
	 MSG_CMSG_CLOEXEC)
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

/* Elements of an iovec that a call may have to come back to */
#define IOV_MAX_RESUME 8

/* Linux cuts longer calls short; no need to know how. */
#define LEN_MAX (1u << 30)

/*
 * A blocking send() whose last bytes wait for the window stays so long at
 * most, instead of giving the lease back for them; and not at all if the path
 * is longer.
 */
#define LINGER_NS     5000000ull
#define LINGER_RTT_US 2000u

/*
 * So long a blocking send() waits for somebody to read from a full wire,
 * before it leaves the rest to Linux, with its greater buffers and time-outs.
 */
#define FULL_NS 20000000ull

/* How long the kernel lets an acknowledgement be owed */
#define REPLY_MS 40

enum step {
	STEP_DONE,
	STEP_AGAIN, /* look again at once */
	STEP_WAIT,
	STEP_KERNEL,
};

struct call {
	int fd;
	const struct iovec *iov;
	size_t iovlen;
	size_t len;
	int flags;
	size_t done;
	bool nonblock;
	bool lingered;
	bool over;	 /* Linux has answered */
	bool full;	 /* STEP_WAIT: for the reader of a wire */
	uint64_t linger; /* end of it, or 0 */
	uint64_t until;	 /* of all waits of the call, or 0: none yet */
	/* STEP_WAIT: for what, and how long at most (0: for ever) */
	struct ol_wait wait;
	uint32_t events;
	int64_t limit;
};

/* Member by member: most of it is only set, and used, when a call waits. */
static inline void begin(struct call *call, int fd, const struct iovec *iov,
			 int iovlen, size_t len, int flags)
{
	call->fd = fd;
	call->iov = iov;
	call->iovlen = (size_t)iovlen;
	call->len = len;
	call->flags = flags;
	call->done = 0;
	call->lingered = false;
	call->over = false;
	call->full = false;
	call->linger = 0;
	call->until = 0;
	ol_wait_testcancel();
}

/* The kernel's answer, if any, is for the caller of the next call. */
static bool finish(const struct call *call, int err, ssize_t *ret)
{
	*ret = (ssize_t)call->done;
	if (!call->done) {
		errno = err;
		*ret = -1;
	}
	return true;
}

static inline bool reachable(const struct iovec *iov, int iovlen)
{
	for (int i = 0; i < iovlen; i++)
		if (iov[i].iov_len && (uintptr_t)iov[i].iov_base < OL_PAGE_ZERO)
			return false;
	return true;
}

/* Locked and leased, as far as we know; NULL: the kernel's. */
static inline struct ol_ep *enter(ol_handle h, struct call *call)
{
	struct ol_ep *e = ol_ep_of(h);

	if (ol_unlikely(!ol_load(&e->lease)) && !ol_lease_due(e))
		return NULL;
	if (ol_unlikely(!ol_ep_enter(e, h))) {
		OL_COUNT(busy, 1);
		return NULL;
	}
	if (ol_unlikely(!e->lease) && !ol_lease_take(e, call->fd, 0)) {
		ol_ep_unlock(e);
		return NULL;
	}
	ol_lease_modes(e, call->fd);
	call->nonblock = e->nonblock || call->flags & MSG_DONTWAIT;
	return e;
}

/*
 * Records that tcp.c has processed count even if the next one made it give
 * up, so commit; Linux sees that next one as if it had just arrived.
 */
static enum step give_up(struct ol_ep *e, struct call *call, struct ol_txn *t,
			 enum onload_reason why)
{
	if (why == ONLOAD_R_CORRUPT || ol_txn_commit(e, t))
		ol_lease_hand_back(e, call->fd, why);
	return STEP_KERNEL;
}

/* Commits, then kicks. False: not committed. A failed kick is the kernel's
 * business: what it covers is committed, hence sent at the reclaim.
 */
static bool commit(struct ol_ep *e, struct call *call, struct ol_txn *t,
		   struct onload_seg *segs, int n)
{
	if (!ol_txn_commit(e, t))
		return false;
	if (n)
		ol_kick(e, call->fd, segs, n);
	return true;
}

static enum step gone(const struct ol_ep *e)
{
	return !e->lease && ol_lease_moving(e->slot) ? STEP_AGAIN : STEP_KERNEL;
}

/*
 * Sleeps without the lock. STEP_AGAIN; STEP_KERNEL; or STEP_DONE when time is
 * up or a signal came, with *err.
 */
static enum step wait_more(struct call *call, int *err)
{
	int ret;

	if (!call->until)
		call->until = call->limit
				      ? ol_wait_clock() + (uint64_t)call->limit
				      : OL_FOREVER;
	if (ol_wait_spin(&call->wait))
		return STEP_AGAIN;
	ret = ol_wait_sleep(&call->wait, call->fd, call->events, call->until);
	if (ret == 0)
		return STEP_AGAIN;
	if (ret == -ETIMEDOUT || ret == -EINTR) {
		*err = ret == -EINTR ? EINTR : EAGAIN;
		return STEP_DONE;
	}
	return ol_lease_moving(call->wait.slot) ? STEP_AGAIN : STEP_KERNEL;
}

/*
 * After part of a call was done, an error belongs to the next call: do not
 * let a system call fetch it.
 */
static bool error_pending(int fd, short mask)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && p.revents & (mask | POLLNVAL);
}

/* Nothing arrived: say what is owed while there is time, then wait. */
static enum step recv_idle(struct ol_ep *e, struct call *call, struct ol_txn *t)
{
	const struct onload_tcp_state *cur = t->cur;
	struct onload_seg segs[OL_KICK_MAX];
	struct ol_clock now;
	int n;

	call->wait = ol_wait_for(e, t->prod);
	call->limit = e->rcv_ns;
	call->events = ONLOAD_WAIT_IN;
	if (ol_unlikely(cur->snd_nxt != cur->write_seq)) {
		/* An acknowledgement will let go what Nagle holds back. */
		call->events |= ONLOAD_WAIT_TX;
		if (ol_tcp_stuck(cur, &e->c)) {
			ol_lease_hand_back(e, call->fd, ONLOAD_R_ZEROWND);
			return STEP_KERNEL;
		}
	}
	/*
	 * A sleeper cannot reply, so no reply will carry it. Nor can the sleep
	 * be timed to the acknowledgement: with a time-out of ours a signal
	 * would end it even if SA_RESTART says that it must not.
	 */
	if (cur->ack_ms && (!call->nonblock || e->pingpong < 0)) {
		ol_txn_open(t);
		now = ol_clock(e);
		n = ol_tcp_output(t->st, &e->c, t->prod, now, OL_TCP_ACK, segs,
				  OL_KICK_MAX);
		e->quick_ms = now.ms | 1;
		if (!commit(e, call, t, segs, n) || !e->lease)
			return STEP_KERNEL;
	}
	return STEP_WAIT;
}

static enum step recv_wire(struct ol_ep *e, struct call *call)
{
	/* The iovec begins where the last step of the call ended. */
	const size_t before = call->done;
	ssize_t got;
	uint64_t tx;

	/* What was seen must not change: Linux keeps it. */
	if (call->flags & MSG_PEEK)
		return STEP_KERNEL;
	do {
		got = ol_wire_recv(e, call->fd, call->iov, call->iovlen,
				   call->done - before, call->len - call->done);
		if (got < 0)
			return call->done != before ? STEP_DONE : gone(e);
		call->done += (size_t)got;
		tx = ol_load(&e->peer->tx);
		if (call->done == call->len)
			return STEP_DONE;
	} while (!ol_wire_arm_recv(e) ||
		 ONLOAD_X_POS(tx) != ONLOAD_X_POS(ol_load(&e->own->rx)));
	if (call->done != before)
		return STEP_DONE;
	call->wait = ol_wait_for_word(e, &e->peer->tx, tx);
	call->limit = e->rcv_ns;
	call->events = ONLOAD_WAIT_IN;
	return STEP_WAIT;
}

static enum step recv_step(struct ol_ep *e, struct call *call)
{
	const bool peek = call->flags & MSG_PEEK;
	struct onload_seg segs[OL_KICK_MAX];
	unsigned int how = 0;
	enum onload_reason why;
	struct ol_rings rings;
	struct ol_clock now;
	struct ol_txn t;
	size_t got = 0;
	int n;

	if (e->wire)
		return recv_wire(e, call);
	if (!ol_txn_begin(e, &t))
		return gone(e);
	if (t.prod == t.cur->rx_proc && !ol_tcp_unread(t.cur))
		return recv_idle(e, call, &t);

	rings = ol_lease_rings(e);
	now = ol_clock(e);
	ol_txn_open(&t);
	if (t.prod != t.st->rx_proc) {
		why = ol_tcp_rx(t.st, &e->c, &rings, t.prod, now);
		if (ol_unlikely(why != ONLOAD_R_NONE))
			return give_up(e, call, &t, why);
	}
	if (ol_tcp_unread(t.st)) {
		got = ol_tcp_read(t.st, &e->c, &rings, call->iov, call->iovlen,
				  call->len - call->done, peek);
		if (ol_unlikely(got == SIZE_MAX))
			return give_up(e, call, &t, ONLOAD_R_CORRUPT);
		if (e->pingpong < 0 && !ol_tcp_unread(t.st)) {
			how = OL_TCP_ACK;
			e->quick_ms = now.ms | 1;
		}
	}
	n = ol_tcp_output(t.st, &e->c, t.prod, now, how, segs, OL_KICK_MAX);
	if (!commit(e, call, &t, segs, n))
		return STEP_KERNEL;
	call->done += got;
	OL_COUNT(rx_user, peek ? 0 : got);
	return got ? STEP_DONE : STEP_AGAIN;
}

/* The rest of a WAITALL whose lease ended in the middle */
static void recv_rest(struct call *call)
{
	const int saved = errno;

	for (size_t i = 0; i < call->iovlen; i++) {
		const struct iovec *v = &call->iov[i];
		ssize_t n;

		if (!v->iov_len)
			continue;
		if (error_pending(call->fd, POLLERR))
			break;
		n = OL_REAL(recv)(call->fd, v->iov_base, v->iov_len,
				  call->flags);
		if (n > 0) {
			call->done += (size_t)n;
			OL_COUNT(rx_kernel, (uint64_t)n);
		}
		if (n != (ssize_t)v->iov_len)
			break;
	}
	errno = saved;
}

static void iov_advance(struct iovec *iov, size_t *iovlen, size_t n)
{
	size_t i = 0, k = 0;

	while (i < *iovlen && n >= iov[i].iov_len)
		n -= iov[i++].iov_len;
	for (; i < *iovlen; i++, k++) {
		iov[k].iov_base = (char *)iov[i].iov_base + n;
		iov[k].iov_len = iov[i].iov_len - n;
		n = 0;
	}
	*iovlen = k;
}

static enum step recv_once(ol_handle h, struct call *call, int *err)
{
	struct ol_ep *e = enter(h, call);
	enum step step;

	if (!e)
		return STEP_KERNEL;
	step = recv_step(e, call);
	ol_ep_unlock(e);
	if (step != STEP_WAIT)
		return step;
	if (call->nonblock) {
		*err = EAGAIN;
		return STEP_DONE;
	}
	return wait_more(call, err);
}

/*
 * The other end of a wire is being waited for: to sleep inside Linux's
 * recvmsg() would keep the lease from beginning, so look and sleep apart.
 * False: Linux's own call is as good.
 */
static bool recv_meanwhile(ol_handle h, struct call *call, int *err)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)call->iov,
			      .msg_iovlen = call->iovlen };
	struct ol_ep *e = ol_ep_of(h);
	ssize_t n;
	int ret;

	if (ol_load(&e->reason) != ONLOAD_R_WIRE)
		return false;
	e = ol_ep_lock(h);
	if (!e)
		return false;
	ol_lease_modes(e, call->fd);
	call->nonblock = e->nonblock || call->flags & MSG_DONTWAIT;
	call->limit = e->rcv_ns;
	call->wait = ol_wait_for(e, 0);
	call->wait.lease = 0;
	ol_ep_unlock(e);
	if (call->nonblock || call->flags & MSG_PEEK)
		return false;

	n = OL_REAL(recvmsg)(call->fd, &msg, call->flags | MSG_DONTWAIT);
	if (n >= 0 || errno != EAGAIN) {
		*err = n < 0 ? errno : 0;
		call->done = n > 0 ? (size_t)n : 0;
		OL_COUNT(rx_kernel, call->done);
		call->over = true;
		return true;
	}
	if (!call->until)
		call->until = call->limit
				      ? ol_wait_clock() + (uint64_t)call->limit
				      : OL_FOREVER;
	ret = ol_wait_sleep(&call->wait, call->fd, ONLOAD_WAIT_IN, call->until);
	if (ret == -ETIMEDOUT || ret == -EINTR) {
		*err = ret == -EINTR ? EINTR : EAGAIN;
		call->over = true;
	}
	return ret == 0 || call->over;
}

bool ol_recv(int fd, ol_handle h, const struct iovec *iov, int iovlen,
	     size_t len, int flags, ssize_t *ret)
{
	const bool all = flags & MSG_WAITALL;
	struct iovec left[IOV_MAX_RESUME];
	struct call call;
	size_t before = 0;
	enum step step;
	int err = 0;

	if (ol_unlikely(!len || len > LEN_MAX || flags & ~RECV_FLAGS ||
			!reachable(iov, iovlen)))
		return false;
	if (all) {
		if (flags & MSG_PEEK || iovlen > IOV_MAX_RESUME)
			return false;
		for (int i = 0; i < iovlen; i++)
			left[i] = iov[i];
	}
	begin(&call, fd, all ? left : iov, iovlen, len, flags);

	for (;;) {
		step = recv_once(h, &call, &err);
		if (step == STEP_AGAIN)
			continue;
		if (step == STEP_KERNEL && !call.done && !all &&
		    recv_meanwhile(h, &call, &err)) {
			if (!call.over)
				continue;
			if (call.done || err)
				return finish(&call, err, ret);
			*ret = 0;
			return true;
		}
		if (step == STEP_DONE && (!all || err || call.done == len))
			return finish(&call, err, ret);
		if (all)
			iov_advance(left, &call.iovlen, call.done - before);
		before = call.done;
		if (step == STEP_KERNEL)
			break;
	}
	if (!call.done)
		return false;
	recv_rest(&call);
	return finish(&call, 0, ret);
}

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
static size_t take(const struct call *call, const struct onload_tcp_state *st,
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
static enum step send_more(struct ol_ep *e, struct call *call,
			   const struct onload_tcp_state *st, uint32_t seen)
{
	/* Room in the ring is of no use to a call that may not wait for more. */
	if (ol_tcp_space(st, &e->c, st->snd_una) && take(call, st, &e->c))
		return STEP_AGAIN;
	if (call->nonblock || ol_tcp_stuck(st, &e->c)) {
		ol_lease_hand_back(e, call->fd,
				   call->nonblock ? ONLOAD_R_LIMITED
						  : ONLOAD_R_ZEROWND);
		return STEP_KERNEL;
	}
	call->wait = ol_wait_for(e, seen);
	call->limit = e->snd_ns;
	call->events = ONLOAD_WAIT_TX;
	return STEP_WAIT;
}

/* All bytes are in the ring. Who sends those that did not leave? */
static enum step send_tail(struct ol_ep *e, struct call *call,
			   const struct onload_tcp_state *st, uint32_t seen)
{
	if (ol_likely(st->snd_nxt == st->write_seq))
		return STEP_DONE;
	if (ol_tcp_stuck(st, &e->c)) {
		ol_lease_hand_back(e, call->fd, ONLOAD_R_ZEROWND);
		return STEP_DONE;
	}
	if (call->nonblock) {
		/* The caller may be gone until more arrives, for long. */
		ol_lease_hand_back(e, call->fd, ONLOAD_R_LIMITED);
		return STEP_DONE;
	}
	if (!limited(st, &e->c))
		return STEP_DONE;
	if (call->lingered || st->srtt_us >> 3 > LINGER_RTT_US) {
		ol_lease_hand_back(e, call->fd, ONLOAD_R_LIMITED);
		return STEP_DONE;
	}
	call->wait = ol_wait_for(e, seen);
	call->events = ONLOAD_WAIT_TX;
	return STEP_WAIT;
}

static enum step send_wire(struct ol_ep *e, struct call *call)
{
	ssize_t put;
	uint64_t rx;

	do {
		rx = ol_load(&e->peer->rx);
		put = ol_wire_send(e, call->fd, call->iov, call->iovlen,
				   call->done, call->len - call->done);
		if (put < 0)
			return gone(e);
		call->done += (size_t)put;
		if (put)
			call->lingered = false;
		if (call->done == call->len)
			return STEP_DONE;
		/* Full: rx was read before, so what it says now is new. */
	} while (put || !ol_wire_arm_send(e));
	ol_wire_full(e, call->fd);
	call->wait = ol_wait_for_word(e, &e->peer->rx, rx);
	call->events = ol_wire_growing(e) ? ONLOAD_WAIT_EMPTY : ONLOAD_WAIT_TX;
	if (call->nonblock)
		return STEP_WAIT;
	/* Linux has more room than a ring, and who reads may be ourselves. */
	if (call->lingered) {
		ol_lease_hand_back(e, call->fd, ONLOAD_R_LIMITED);
		return STEP_KERNEL;
	}
	call->full = true;
	return STEP_WAIT;
}

static enum step send_step(struct ol_ep *e, struct call *call)
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
		return gone(e);
	rings = ol_lease_rings(e);
	now = ol_clock(e);
	ol_txn_open(&t);
	if (t.prod != t.st->rx_proc) {
		why = ol_tcp_rx(t.st, &e->c, &rings, t.prod, now);
		if (ol_unlikely(why != ONLOAD_R_NONE))
			return give_up(e, call, &t, why);
	}
	put = ol_tcp_write(t.st, &e->c, &rings, call->iov, call->iovlen,
			   call->done, take(call, t.st, &e->c), t.cur->snd_una);
	n = ol_tcp_output(t.st, &e->c, t.prod, now, 0, segs, OL_KICK_MAX);
	if (!commit(e, call, &t, segs, n))
		return STEP_KERNEL;
	call->done += put;
	OL_COUNT(tx_user, put);
	if (e->quick_ms) {
		/* This would have carried it in time. */
		if (now.ms - e->quick_ms < REPLY_MS)
			e->pingpong += e->pingpong < 0;
		e->quick_ms = 0;
	}
	if (ol_unlikely(!e->lease))
		return call->done == call->len ? STEP_DONE : STEP_KERNEL;
	if (n == OL_KICK_MAX)
		return STEP_AGAIN;
	if (call->done < call->len)
		return send_more(e, call, t.st, t.prod);
	return send_tail(e, call, t.st, t.prod);
}

/* What did not fit before the lease ended */
static void send_rest(struct call *call)
{
	const int saved = errno;
	size_t skip = call->done;

	for (size_t i = 0; i < call->iovlen; i++) {
		const struct iovec *v = &call->iov[i];
		int more = i + 1 < call->iovlen ? MSG_MORE : 0;
		size_t len;
		ssize_t n;

		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		if (error_pending(call->fd, POLLERR | POLLHUP))
			break;
		len = v->iov_len - skip;
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
static enum step wait_reader(struct call *call, int *err)
{
	enum step step;

	call->full = false;
	call->until = ol_wait_clock() + FULL_NS;
	step = wait_more(call, err);
	call->until = 0;
	if (step != STEP_DONE || *err != EAGAIN)
		return step;
	*err = 0;
	call->lingered = true;
	return STEP_AGAIN;
}

static enum step send_once(ol_handle h, struct call *call, int *err)
{
	struct ol_ep *e = enter(h, call);
	enum step step;

	if (!e)
		return STEP_KERNEL;
	step = send_step(e, call);
	ol_ep_unlock(e);
	if (step != STEP_WAIT)
		return step;
	if (call->done < call->len) {
		if (call->nonblock) {
			*err = EAGAIN;
			return STEP_DONE;
		}
		if (call->full)
			return wait_reader(call, err);
		return wait_more(call, err);
	}
	/* Everything is accepted, so what ends the wait is no error. */
	if (!call->linger)
		call->linger = ol_wait_clock() + LINGER_NS;
	call->until = call->linger;
	step = wait_more(call, err);
	*err = 0;
	if (step == STEP_DONE) {
		call->lingered = true;
		return STEP_AGAIN;
	}
	return step;
}

bool ol_send(int fd, ol_handle h, const struct iovec *iov, int iovlen,
	     size_t len, int flags, ssize_t *ret)
{
	struct call call;
	enum step step;
	int err = 0;

	if (ol_unlikely(!len || len > LEN_MAX || flags & ~SEND_FLAGS ||
			!reachable(iov, iovlen)))
		return false;
	begin(&call, fd, iov, iovlen, len, flags);

	do {
		step = send_once(h, &call, &err);
	} while (step == STEP_AGAIN);
	if (step == STEP_KERNEL) {
		if (!call.done)
			return false;
		if (call.done < len)
			send_rest(&call);
	}
	return finish(&call, err, ret);
}
