// SPDX-License-Identifier: LGPL-2.1-or-later
/* The steps of receiving. */
#include "call.h"
#include "real.h"
#include "tcp.h"
#include "wire.h"

#define RECV_FLAGS                                              \
	(MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL | \
	 MSG_CMSG_CLOEXEC)

/* Elements of an iovec that a call may have to come back to */
#define IOV_MAX_RESUME 8

/* Nothing arrived: say what is owed while there is time, then wait. */
static enum ol_step recv_idle(struct ol_ep *e, struct ol_call *call,
			      struct ol_txn *t)
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
			return OL_STEP_KERNEL;
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
		if (!ol_call_commit(e, call, t, segs, n) || !e->lease)
			return OL_STEP_KERNEL;
	}
	return OL_STEP_WAIT;
}

static enum ol_step recv_wire(struct ol_ep *e, struct ol_call *call)
{
	/* The iovec begins where the last step of the call ended. */
	const size_t before = call->done;
	ssize_t got;
	uint64_t tx;

	/* What was seen must not change: Linux keeps it. */
	if (call->flags & MSG_PEEK)
		return OL_STEP_KERNEL;
	do {
		got = ol_wire_recv(e, call->fd, call->iov, call->iovlen,
				   call->done - before, call->len - call->done);
		if (got < 0)
			return call->done != before ? OL_STEP_DONE
						    : ol_call_gone(e);
		call->done += (size_t)got;
		tx = ol_load(&e->peer->tx);
		if (call->done == call->len)
			return OL_STEP_DONE;
	} while (!ol_wire_arm_recv(e) ||
		 ONLOAD_X_POS(tx) != ONLOAD_X_POS(ol_load(&e->own->rx)));
	if (call->done != before)
		return OL_STEP_DONE;
	call->wait = ol_wait_for_word(e, &e->peer->tx, tx);
	call->limit = e->rcv_ns;
	call->events = ONLOAD_WAIT_IN;
	return OL_STEP_WAIT;
}

static enum ol_step recv_step(struct ol_ep *e, struct ol_call *call)
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
		return ol_call_gone(e);
	if (t.prod == t.cur->rx_proc && !ol_tcp_unread(t.cur))
		return recv_idle(e, call, &t);

	rings = ol_lease_rings(e);
	now = ol_clock(e);
	ol_txn_open(&t);
	if (t.prod != t.st->rx_proc) {
		why = ol_tcp_rx(t.st, &e->c, &rings, t.prod, now);
		if (ol_unlikely(why != ONLOAD_R_NONE))
			return ol_call_give_up(e, call, &t, why);
	}
	if (ol_tcp_unread(t.st)) {
		got = ol_tcp_read(t.st, &e->c, &rings, call->iov, call->iovlen,
				  call->len - call->done, peek);
		if (ol_unlikely(got == SIZE_MAX))
			return ol_call_give_up(e, call, &t, ONLOAD_R_CORRUPT);
		if (e->pingpong < 0 && !ol_tcp_unread(t.st)) {
			how = OL_TCP_ACK;
			e->quick_ms = now.ms | 1;
		}
	}
	n = ol_tcp_output(t.st, &e->c, t.prod, now, how, segs, OL_KICK_MAX);
	if (!ol_call_commit(e, call, &t, segs, n))
		return OL_STEP_KERNEL;
	call->done += got;
	OL_COUNT(rx_user, peek ? 0 : got);
	return got ? OL_STEP_DONE : OL_STEP_AGAIN;
}

/* The rest of a WAITALL whose lease ended in the middle */
static void recv_rest(struct ol_call *call)
{
	const int64_t limit = ol_load(&ol_ep_of(call->h)->rcv_ns);
	const int saved = errno;

	for (size_t i = 0; i < call->iovlen; i++) {
		const struct iovec *v = &call->iov[i];
		ssize_t n;

		if (!v->iov_len)
			continue;
		if (!ol_call_ready(call, limit, POLLIN) ||
		    ol_call_closed(call) || ol_call_error(call->fd, POLLERR))
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

static enum ol_step recv_once(ol_handle h, struct ol_call *call, int *err)
{
	struct ol_ep *e = ol_call_enter(h, call);
	enum ol_step step;

	if (!e)
		return OL_STEP_KERNEL;
	step = recv_step(e, call);
	ol_ep_unlock(e);
	if (step != OL_STEP_WAIT)
		return step;
	if (call->nonblock) {
		*err = EAGAIN;
		return OL_STEP_DONE;
	}
	return ol_call_wait(call, err);
}

/*
 * The other end of a wire is being waited for: to sleep inside Linux's
 * recvmsg() would keep the lease from beginning, so look and sleep apart.
 * False: Linux's own call is as good.
 */
static bool recv_meanwhile(ol_handle h, struct ol_call *call, int *err)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)call->iov,
			      .msg_iovlen = call->iovlen };
	struct ol_ep *e = ol_ep_of(h);
	enum ol_step step;
	ssize_t n;

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
	call->events = ONLOAD_WAIT_IN;
	step = ol_call_sleep(call, err);
	call->over = step == OL_STEP_DONE;
	return step != OL_STEP_KERNEL;
}

bool ol_recv(int fd, ol_handle h, const struct iovec *iov, int iovlen,
	     size_t len, int flags, ssize_t *ret)
{
	const bool all = flags & MSG_WAITALL;
	struct iovec left[IOV_MAX_RESUME];
	struct ol_call call;
	size_t before = 0;
	enum ol_step step;
	int err = 0;

	if (ol_unlikely(!len || len > OL_CALL_MAX || flags & ~RECV_FLAGS ||
			!ol_call_reachable(iov, iovlen)))
		return false;
	if (all) {
		if (flags & MSG_PEEK || iovlen > IOV_MAX_RESUME)
			return false;
		for (int i = 0; i < iovlen; i++)
			left[i] = iov[i];
	}
	ol_call_begin(&call, fd, h, all ? left : iov, iovlen, len, flags);

	for (;;) {
		step = recv_once(h, &call, &err);
		if (step == OL_STEP_AGAIN)
			continue;
		if (step == OL_STEP_KERNEL && !call.done && !all &&
		    recv_meanwhile(h, &call, &err)) {
			if (!call.over)
				continue;
			if (call.done || err)
				return ol_call_finish(&call, err, ret);
			*ret = 0;
			return true;
		}
		if (step == OL_STEP_DONE && (!all || err || call.done == len))
			return ol_call_finish(&call, err, ret);
		if (all)
			iov_advance(left, &call.iovlen, call.done - before);
		before = call.done;
		if (step == OL_STEP_KERNEL)
			break;
	}
	if (!call.done)
		return ol_call_leave(&call, POLLIN, ret);
	recv_rest(&call);
	return ol_call_finish(&call, 0, ret);
}
