// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The short way: one buffer, on a leased socket, where nothing is out of the
 * ordinary. What is not that, or becomes it on the way, has changed nothing
 * here, and recv.c or send.c does it at length.
 */
#include <errno.h>

#include "io.h"
#include "lease.h"
#include "short.h"
#include "soft_vi.h"
#include "stats.h"
#include "tcp.h"
#include "wait.h"

/* Locked, leased and with a transaction begun; or NULL, and none of it. */
static inline struct ol_ep *enter(ol_handle h, struct ol_txn *t)
{
	struct ol_ep *e = ol_ep_of(h);

	if (ol_unlikely(!ol_load(&e->lease) || !ol_ep_try(e, h)))
		return NULL;
	if (ol_likely(e->lease && !e->wire) && ol_likely(ol_txn_begin(e, t)))
		return e;
	ol_ep_unlock(e);
	return NULL;
}

/*
 * After a send that left nothing to be done: nor has recv() anything to do but
 * wait, as long as that state is the committed one and no record arrived; but
 * for what an earlier recv() left unread.
 */
static inline void settle(struct ol_ep *e, const struct ol_txn *t)
{
	if (ol_unlikely(ol_tcp_unread(t->st)))
		return;
	ol_store_release(&e->quiet_prod, t->prod);
	ol_store_release(&e->quiet, ONLOAD_W_NEXT(t->word));
}

/*
 * Is that so? Asked without the lock, hence in this order: both loads of what
 * settle() stores are acquires, and the word is looked at after them; so what
 * was stored for a later word than the one that is compared shows in that
 * word. The endpoint's life is looked at last: what was read is then of the
 * socket that was meant. And the kernel checks all of it again.
 */
static inline bool quiet(struct ol_ep *e, ol_handle h, struct ol_wait *w)
{
	uint64_t word = ol_load_acquire(&e->quiet);

	if (!word)
		return false;
	w->seen = ol_load_acquire(&e->quiet_prod);
	w->at = NULL;
	w->luck = &e->luck;
	w->slot = ol_load(&e->slot);
	w->lease = word & ~(uint64_t)ONLOAD_W_SEQ;
	w->index = ol_load(&e->index);
	if (ol_load_acquire(&w->slot->word) != word ||
	    ol_load_acquire(&w->slot->rx_prod) != w->seen)
		return false;
	/* Who may not wait, or not for ever */
	if (ol_load(&e->nonblock) || ol_load(&e->rcv_ns) ||
	    ol_load(&e->mode) & (OL_STALE_FL | OL_STALE_OPTS))
		return false;
	return ol_load_acquire(&e->lk) >> 32 == h >> 32;
}

/*
 * What ol_wait_sleep() says, but 0 once there may be something to do, and
 * -EBADF if another thread closed the descriptor; see ol_call_closed().
 */
static inline int sleep_quiet(int fd, ol_handle h)
{
	struct ol_wait w;
	int ret = 0;

	ol_look_begin();
	while (!ret && quiet(ol_ep_of(h), h, &w) &&
	       !ol_wait_spin(&w, OL_FOREVER)) {
		ret = ol_wait_sleep(&w, fd, ONLOAD_WAIT_IN, OL_FOREVER);
		if (ol_unlikely(ol_fd_named(fd) != h))
			ret = -EBADF;
		/* It may not, after all; who looks at length learns why. */
		if (ol_unlikely(ret == -EAGAIN))
			ol_fd_stale(h, OL_STALE_FL | OL_STALE_OPTS);
	}
	ol_look_end();
	return ret;
}

ssize_t ol_short_recv(int fd, ol_handle h, void *buf, size_t len)
{
	struct ol_rings rings;
	struct ol_txn t;
	struct ol_ep *e;
	size_t n = 0;
	int ret;

	if (ol_unlikely(!len || (uintptr_t)buf < OL_PAGE_ZERO))
		return OL_LONG;
	ol_wait_testcancel();
	ret = sleep_quiet(fd, h);
	if (ol_unlikely(ret)) {
		if (ret != -EINTR && ret != -EBADF)
			return OL_LONG;
		errno = -ret;
		return -1;
	}

	e = enter(h, &t);
	if (ol_unlikely(!e))
		return OL_LONG;
	/* A peer that goes without replies is acknowledged at length. */
	if (ol_likely(t.prod != t.cur->rx_proc && e->pingpong >= 0)) {
		rings = ol_lease_rings(e);
		n = ol_tcp_short_recv(t.cur, t.st, &e->c, &rings, t.prod,
				      ol_clock(e), buf, len);
		if (ol_likely(n) && ol_unlikely(!ol_txn_commit(e, &t)))
			n = 0;
	}
	ol_ep_unlock(e);
	OL_COUNT(rx_user, n);
	return ol_likely(n) ? (ssize_t)n : OL_LONG;
}

ssize_t ol_short_send(int fd, ol_handle h, const void *buf, size_t len)
{
	struct onload_seg seg;
	struct ol_rings rings;
	struct ol_txn t;
	struct ol_ep *e;
	bool sent = false;

	if (ol_unlikely(!len || (uintptr_t)buf < OL_PAGE_ZERO))
		return OL_LONG;
	ol_wait_testcancel();
	e = enter(h, &t);
	if (ol_unlikely(!e))
		return OL_LONG;
	/* Whether this would have carried an acknowledgement is for send.c. */
	if (ol_likely(!e->quick_ms)) {
		rings = ol_lease_rings(e);
		sent = ol_tcp_short_send(t.cur, t.st, &e->c, &rings, t.prod,
					 ol_clock(e), buf, len, &seg) &&
		       ol_txn_commit(e, &t);
	}
	/* A failed kick is the kernel's business: committed, hence sent at the
	 * reclaim.
	 */
	if (ol_likely(sent)) {
		if (ol_likely(ol_kick(e, fd, &seg, 1)))
			settle(e, &t);
		OL_COUNT(tx_user, len);
	}
	ol_ep_unlock(e);
	return ol_likely(sent) ? (ssize_t)len : OL_LONG;
}
