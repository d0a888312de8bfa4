/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A call on its way: a row of transactions, between which the lock is dropped
 * to wait. Whatever a transaction cannot do ends in OL_STEP_KERNEL: the lease
 * is gone by then, or will be with the system call. recv.c and send.c say what
 * the steps are.
 */
#ifndef OL_CALL_H
#define OL_CALL_H

#include <errno.h>
#include <sys/socket.h>

#include "io.h"
#include "lease.h"
#include "soft_vi.h"
#include "stats.h"
#include "wait.h"

/* Linux cuts longer calls short; no need to know how. */
#define OL_CALL_MAX (1u << 30)

enum ol_step {
	OL_STEP_DONE,
	OL_STEP_AGAIN, /* look again at once */
	OL_STEP_WAIT,
	OL_STEP_KERNEL,
};

struct ol_call {
	int fd;
	ol_handle h;
	const struct iovec *iov;
	size_t iovlen;
	size_t len;
	int flags;
	size_t done;
	bool nonblock;
	bool lingered;
	bool slept;
	bool over;	 /* Linux has answered */
	bool full;	 /* OL_STEP_WAIT: for the reader of a wire */
	uint64_t linger; /* end of it, or 0 */
	uint64_t until;	 /* of all waits of the call, or 0: none yet */
	/* OL_STEP_WAIT: for what, and how long at most (0: for ever) */
	struct ol_wait wait;
	uint32_t events;
	int64_t limit;
};

/* Member by member: most of it is only set, and used, when a call waits. */
static inline void ol_call_begin(struct ol_call *call, int fd, ol_handle h,
				 const struct iovec *iov, int iovlen,
				 size_t len, int flags)
{
	call->fd = fd;
	call->h = h;
	call->iov = iov;
	call->iovlen = (size_t)iovlen;
	call->len = len;
	call->flags = flags;
	call->done = 0;
	call->lingered = false;
	call->slept = false;
	call->over = false;
	call->full = false;
	call->linger = 0;
	call->until = 0;
	ol_wait_testcancel();
}

/* The kernel's answer, if any, is for the caller of the next call. */
static inline bool ol_call_finish(const struct ol_call *call, int err,
				  ssize_t *ret)
{
	*ret = (ssize_t)call->done;
	if (!call->done) {
		errno = err;
		*ret = -1;
	}
	return true;
}

/*
 * Another thread closed the descriptor meanwhile. Linux's call would stay with
 * the file; ours finds only the number, which may be another file's by now,
 * and says so. What is closed between this look and a system call remains.
 */
static inline bool ol_call_closed(const struct ol_call *call)
{
	return ol_unlikely(ol_fd_named(call->fd) != call->h);
}

static inline bool ol_call_reachable(const struct iovec *iov, int iovlen)
{
	for (int i = 0; i < iovlen; i++)
		if (iov[i].iov_len && (uintptr_t)iov[i].iov_base < OL_PAGE_ZERO)
			return false;
	return true;
}

/* Locked and leased, as far as we know; NULL: the kernel's. */
static inline struct ol_ep *ol_call_enter(ol_handle h, struct ol_call *call)
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
static inline enum ol_step ol_call_give_up(struct ol_ep *e,
					   struct ol_call *call,
					   struct ol_txn *t,
					   enum onload_reason why)
{
	if (why == ONLOAD_R_CORRUPT || ol_txn_commit(e, t))
		ol_lease_hand_back(e, call->fd, why);
	return OL_STEP_KERNEL;
}

/* Commits, then kicks. False: not committed. A failed kick is the kernel's
 * business: what it covers is committed, hence sent at the reclaim.
 */
static inline bool ol_call_commit(struct ol_ep *e, struct ol_call *call,
				  struct ol_txn *t, struct onload_seg *segs,
				  int n)
{
	if (!ol_txn_commit(e, t))
		return false;
	if (n)
		ol_kick(e, call->fd, segs, n);
	return true;
}

static inline enum ol_step ol_call_gone(const struct ol_ep *e)
{
	return !e->lease && ol_lease_moving(e->slot) ? OL_STEP_AGAIN
						     : OL_STEP_KERNEL;
}

/*
 * Sleeps without the lock. OL_STEP_AGAIN; OL_STEP_KERNEL; or OL_STEP_DONE when
 * time is up or a signal came, with *err.
 */
enum ol_step ol_call_sleep(struct ol_call *call, int *err);

/* The same, after spinning; and KERNEL only if that has the path for good. */
enum ol_step ol_call_wait(struct ol_call *call, int *err);

/*
 * After part of a call was done, before Linux's own call does more: that would
 * be restarted after a signal as long as it has done nothing itself. So sleep
 * in poll(), which never is; false: a signal came. With a @limit (SO_RCVTIMEO,
 * SO_SNDTIMEO) nothing is restarted, but what is left of the time goes on.
 */
bool ol_call_ready(const struct ol_call *call, int64_t limit, short event);

/*
 * Nothing is done, and it is the kernel's; as ol_send(). For @event it waits
 * first if the call has spent some of its time.
 */
bool ol_call_leave(const struct ol_call *call, short event, ssize_t *ret);

/*
 * After part of a call was done, an error belongs to the next call: do not
 * let a system call fetch it.
 */
bool ol_call_error(int fd, short mask);

#endif
