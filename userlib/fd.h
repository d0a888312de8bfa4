/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which descriptors are sockets of ours.
 *
 * A handle names an endpoint, one for each socket however many descriptors
 * it has, and carries the endpoint's generation: a thread that looked a
 * descriptor up, was descheduled, and comes back after close() finds that
 * its handle names nothing any more.
 *
 * An endpoint is used only under its lock. Nobody waits for that for long, and
 * whoever does not get it makes the system call: the kernel then takes the
 * lease, and what the lock's holder was about to commit does not happen. So a
 * holder that never comes back (left by siglongjmp) makes one socket plain
 * and harms nobody.
 */
#ifndef OL_FD_H
#define OL_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/onload.h>

#include "barrier.h"

#define OL_FD_MAX 65536 /* greater descriptors are never ours */
#define OL_EP_MAX 16384 /* sockets of ours at one time, others stay plain */

typedef uint64_t ol_handle;

#define OL_NO_SLOT UINT32_MAX

/* Bits of mode: what Linux is to be asked again before it is relied upon */
#define OL_STALE_FL   0x1u /* O_NONBLOCK */
#define OL_STALE_OPTS 0x2u /* time-outs */

/* Whether spinning pays on an endpoint; atomic, without the lock */
struct ol_luck {
	uint8_t misses; /* in a row */
	uint8_t skip;	/* waits to come that do not spin */
};

#define OL_LK_LOCKED 1ull
#define OL_LK_ONE_FD 2ull
#define OL_LK_FDS    0xfffffffeull

/*
 * lk: generation (63..32), descriptors (31..1), locked (0). Without
 * descriptors it cannot be locked: the last to leave frees it.
 * mode: generation (63..32), OL_STALE_*. Set without the lock, hence with
 * a generation of its own. All below is under the lock unless said.
 */
struct ol_ep {
	uint64_t lk;	   /* atomic */
	uint64_t mode;	   /* atomic */
	const void *owner; /* atomic; thread that holds the lock, or NULL */
	uint32_t turn;	   /* atomic; holders so far */
	uint32_t hopeless; /* atomic; the turn that was waited for in vain */
	uint64_t lease;	   /* atomic; lease word with sequence 0, or 0 */
	uint64_t quiet;	   /* atomic; the word that left nothing to do, or 0 */
	uint32_t quiet_prod; /* atomic; rx_prod then */
	struct onload_slot *slot;
	uint8_t *rx;
	uint8_t *tx;
	uint32_t index;	   /* of the slot, or OL_NO_SLOT; kept for life */
	uint32_t skip;	   /* atomic; calls to pass before asking again */
	uint32_t retry;	   /* atomic; not before, coarse ms, or 0 */
	uint32_t refused;  /* in a row */
	uint32_t reason;   /* atomic; of the last refusal or loss */
	int64_t rcv_ns;	   /* SO_RCVTIMEO, or 0 */
	int64_t snd_ns;	   /* SO_SNDTIMEO, or 0 */
	uint32_t quick_ms; /* when an acknowledgement left alone, or 0 */
	bool nonblock;
	int8_t pingpong; /* at least 0: replies carry acknowledgements */
	bool paired;	 /* atomic; the kernel may begin a lease by itself */
	bool wfixed;	 /* the ring will not grow any more */
	struct ol_luck luck;
	struct onload_flow_const c;
	/* On a wire: */
	uint64_t wire; /* atomic; position words without size and position */
	struct onload_wire_head *own; /* atomic, stays when the wire goes */
	const struct onload_wire_head *peer; /* ditto */
	uint64_t wtx;	 /* as wire, with the size of our ring */
	uint32_t wmask;	 /* that size - 1 */
	uint32_t wcap;	 /* bytes that may be in it: all, or less */
	uint32_t wacked; /* of our tx, as the other end said last */
	uint32_t wgrown; /* log2 of its size once it is empty */
	bool wturn;	 /* we have received since we sent */
} __attribute__((aligned(64)));

extern ol_handle ol_fds[OL_FD_MAX];
extern struct ol_ep ol_eps[OL_EP_MAX];
extern uint32_t *ol_page;

/*
 * Its address tells threads apart; its value is how deep this one is where it
 * looks at the mapping, or did and will again: with an endpoint locked, or
 * between ol_look_begin() and ol_look_end().
 */
extern __thread unsigned int ol_inside
	__attribute__((tls_model("initial-exec")));

/*
 * Without the lock, which may take long: fork() in a signal handler needs to
 * know, see ol_fd_forked(). Who never comes back (siglongjmp, cancellation)
 * costs later children a mapping that they do not need.
 */
static inline void ol_look_begin(void)
{
	ol_inside++;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void ol_look_end(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	ol_inside--;
}

/* Set while this is a child of vfork(), which must leave the tables alone */
extern __thread unsigned int ol_vforked
	__attribute__((tls_model("initial-exec")));

bool ol_fd_revive(void);

/*
 * May the tables be used? The page reads 0 in a forked child, whichever way
 * it was forked.
 */
static inline bool ol_alive(void)
{
	return !ol_unlikely(ol_vforked) &&
	       (ol_likely(ol_load_acquire(ol_page) == 1) || ol_fd_revive());
}

/* The same without doing anything for it */
static inline bool ol_alive_now(void)
{
	return !ol_unlikely(ol_vforked) && ol_load_acquire(ol_page) == 1;
}

/* Not to be used if the tables cannot be */
static inline ol_handle ol_fd_named(int fd)
{
	return (unsigned int)fd < OL_FD_MAX ? ol_load_acquire(&ol_fds[fd]) : 0;
}

static inline ol_handle ol_fd_find(int fd)
{
	ol_handle h = ol_fd_named(fd);

	if (ol_likely(!h))
		return 0;
	return ol_alive() ? h : 0;
}

void ol_fd_track(int fd);
void ol_fd_share(int fd, ol_handle h);
void ol_fd_drop(int fd);
void ol_fd_drop_range(unsigned int first, unsigned int last);
void ol_fd_stale(ol_handle h, uint32_t bits);
void ol_fd_forked(void);
int ol_fd_any(ol_handle h);

/* The number is being closed, or was just returned as a new one */
static inline void ol_fd_forget(int fd)
{
	if ((unsigned int)fd < OL_FD_MAX && ol_unlikely(ol_load(&ol_fds[fd])))
		ol_fd_drop(fd);
}

static inline struct ol_ep *ol_ep_of(ol_handle h)
{
	struct ol_ep *e = &ol_eps[(uint32_t)h - 1];

	/* A pointer, not an index to be multiplied again for each member */
	__asm__("" : "+r"(e));
	return e;
}

/* The handle that names it; under its lock */
static inline ol_handle ol_ep_handle(const struct ol_ep *e)
{
	return (ol_load(&e->lk) & ~0xffffffffull) | (uint32_t)(e - ol_eps + 1);
}

bool ol_ep_lock_wait(struct ol_ep *e, ol_handle h);
void ol_ep_unlock_slow(struct ol_ep *e);

/* False: the socket is gone, or somebody stays inside for too long. */
static inline bool ol_ep_enter(struct ol_ep *e, ol_handle h)
{
	/* The usual word; the exchange itself finds out whether it is. */
	uint64_t lk = (h & ~0xffffffffull) | OL_LK_ONE_FD;

	ol_inside++;
	if (ol_unlikely(!ol_cas(&e->lk, &lk, lk | OL_LK_LOCKED)) &&
	    !ol_ep_lock_wait(e, h)) {
		ol_inside--;
		return false;
	}
	ol_store(&e->owner, &ol_inside);
	return true;
}

/* Without waiting */
static inline bool ol_ep_try(struct ol_ep *e, ol_handle h)
{
	uint64_t lk = (h & ~0xffffffffull) | OL_LK_ONE_FD;

	ol_inside++;
	if (ol_unlikely(!ol_cas(&e->lk, &lk, lk | OL_LK_LOCKED))) {
		ol_inside--;
		return false;
	}
	ol_store(&e->owner, &ol_inside);
	return true;
}

static inline struct ol_ep *ol_ep_lock(ol_handle h)
{
	struct ol_ep *e = ol_ep_of(h);

	return ol_ep_enter(e, h) ? e : NULL;
}

static inline void ol_ep_unlock(struct ol_ep *e)
{
	uint64_t lk = ol_load(&e->lk);

	ol_inside--;
	/* Not ours after a fork() in a signal handler that came in between */
	if (ol_unlikely(ol_load(&e->owner) != &ol_inside))
		return;
	ol_store(&e->owner, NULL);
	ol_store(&e->turn, e->turn + 1);
	if (ol_unlikely(!(lk & OL_LK_FDS) ||
			!ol_cas(&e->lk, &lk, lk & ~OL_LK_LOCKED)))
		ol_ep_unlock_slow(e);
}

#endif
