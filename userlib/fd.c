// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>

#include "fd.h"
#include "lease.h"
#include "pool.h"
#include "stats.h"

#define GEN(x) ((x) >> 32)

/*
 * A holder is inside for some microseconds, most of them in a kick. It is
 * waited for as long as a reclaim would cost, then a little longer without
 * keeping the CPU from it; and not at all once somebody gave up on it.
 */
#define SPINS	    1000
#define PATIENCE_NS 500000

ol_handle ol_fds[OL_FD_MAX];
uint32_t *ol_page;
__thread unsigned int ol_inside;
__thread unsigned int ol_vforked;

struct ol_ep ol_eps[OL_EP_MAX];
static uint32_t eps_next[OL_EP_MAX];
static struct ol_pool eps_pool = { .max = OL_EP_MAX, .next = eps_next };

/* One page for the life of the process; the kernel zeroes it in children. */
static bool page_make(void)
{
	uint32_t *none = NULL;
	uint32_t *p;

	if (ol_likely(ol_load_acquire(&ol_page) != NULL))
		return ol_alive();
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	if (madvise(p, 4096, MADV_WIPEONFORK)) {
		munmap(p, 4096);
		return false;
	}
	*p = 1;
	if (!ol_cas(&ol_page, &none, p))
		munmap(p, 4096);
	return true;
}

/*
 * First entry in a forked child. The parent's threads are gone with whatever
 * they held, and so is the mapping; the sockets stay ours and can be leased
 * anew. A signal handler that comes in between finds everything plain.
 */
bool ol_fd_revive(void)
{
	uint32_t state = 0;
	uint32_t n = ol_load(&eps_pool.fresh);

	if (!ol_cas(ol_page, &state, 2))
		return state == 1;
	for (uint32_t i = 0; i < n; i++) {
		struct ol_ep *e = &ol_eps[i];
		uint64_t lk = ol_load(&e->lk);

		ol_store(&e->owner, NULL);
		ol_store(&e->hopeless, e->turn - 1);
		ol_store(&e->lease, 0);
		ol_store(&e->quiet, 0);
		ol_store(&e->wire, 0);
		ol_store(&e->paired, false);
		e->index = OL_NO_SLOT;
		ol_store(&e->skip, 0);
		ol_store(&e->retry, 0);
		if (lk & OL_LK_FDS)
			ol_store(&e->lk, lk & ~OL_LK_LOCKED);
	}
	ol_lease_reset();
	ol_stats_reset();
	ol_store_release(ol_page, 1);
	return true;
}

/*
 * fork() in a signal handler that interrupted this very thread inside, maybe
 * asleep: in the child the interrupted code goes on, and the mapping is not
 * there. It finds zeros in its place, so that its commit fails like any other.
 */
void ol_fd_forked(void)
{
	if (ol_unlikely(ol_inside))
		ol_lease_blank();
}

static void ep_free(struct ol_ep *e)
{
	uint64_t lk = ol_load(&e->lk);

	ol_lease_release(e);
	ol_store(&e->owner, NULL);
	ol_store_release(&e->lk, (GEN(lk) + 1) << 32);
	ol_pool_put(&eps_pool, (uint32_t)(e - ol_eps));
}

static bool lock_try(struct ol_ep *e, ol_handle h, bool *over)
{
	uint64_t lk = ol_load(&e->lk);

	*over = GEN(lk) != GEN(h) || !(lk & OL_LK_FDS);
	return !*over && !(lk & OL_LK_LOCKED) &&
	       ol_cas(&e->lk, &lk, lk | OL_LK_LOCKED);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

bool ol_ep_lock_wait(struct ol_ep *e, ol_handle h)
{
	uint32_t turn = ol_load(&e->turn);
	uint64_t end;
	bool over;

	if (lock_try(e, h, &over))
		return true;
	/* A signal handler waits in vain for the thread that it interrupted. */
	if (over || ol_load(&e->owner) == &ol_inside ||
	    ol_load(&e->hopeless) == turn)
		return false;
	for (int i = 0; i < SPINS; i++) {
		ol_relax();
		if (lock_try(e, h, &over))
			return true;
		if (over)
			return false;
	}
	end = now_ns() + PATIENCE_NS;
	do {
		sched_yield();
		if (lock_try(e, h, &over))
			return true;
	} while (!over && now_ns() < end);
	if (ol_load(&e->turn) == turn)
		ol_store(&e->hopeless, turn);
	return false;
}

void ol_ep_unlock_slow(struct ol_ep *e)
{
	uint64_t lk = ol_load(&e->lk);

	do {
		if (!(lk & OL_LK_FDS)) {
			ep_free(e);
			return;
		}
	} while (!ol_cas(&e->lk, &lk, lk & ~OL_LK_LOCKED));
}

/* Start of a socket's life: nobody else knows the endpoint yet. */
void ol_fd_track(int fd)
{
	struct ol_ep *e;
	uint64_t gen;
	uint32_t i;

	ol_fd_forget(fd);
	if ((unsigned int)fd >= OL_FD_MAX || ol_vforked || !page_make())
		return;
	i = ol_pool_get(&eps_pool);
	if (i == OL_POOL_NONE)
		return;
	e = &ol_eps[i];
	gen = GEN(ol_load(&e->lk));
	ol_store(&e->mode, gen << 32 | OL_STALE_FL | OL_STALE_OPTS);
	e->index = OL_NO_SLOT;
	ol_store(&e->lease, 0);
	ol_store(&e->wire, 0);
	ol_store(&e->paired, false);
	ol_store(&e->skip, 0);
	ol_store(&e->retry, 0);
	ol_store(&e->reason, ONLOAD_R_NONE);
	e->luck = (struct ol_luck){ 0 };
	ol_store(&e->hopeless, e->turn - 1);
	e->refused = 0;
	ol_store(&e->quiet, 0);
	e->quick_ms = 0;
	e->pingpong = 0;
	ol_store_release(&e->lk, gen << 32 | OL_LK_ONE_FD);
	ol_store_release(&ol_fds[fd], gen << 32 | (i + 1));
}

/* fd is a duplicate of a descriptor that had handle h */
void ol_fd_share(int fd, ol_handle h)
{
	struct ol_ep *e = ol_ep_of(h);
	uint64_t lk = ol_load(&e->lk);

	ol_fd_forget(fd);
	if ((unsigned int)fd >= OL_FD_MAX)
		return;
	do {
		if (GEN(lk) != GEN(h) || !(lk & OL_LK_FDS))
			return;
	} while (!ol_cas(&e->lk, &lk, lk + OL_LK_ONE_FD));
	ol_store_release(&ol_fds[fd], h);
}

/* A descriptor with that handle, or -1. Long, and for what is seldom. */
int ol_fd_any(ol_handle h)
{
	for (int fd = 0; fd < OL_FD_MAX; fd++)
		if (ol_load_acquire(&ol_fds[fd]) == h)
			return fd;
	return -1;
}

/*
 * Before the real close, so that the number cannot be another file's yet.
 * With a thread inside, that thread frees the endpoint on its way out. If
 * another process has the socket open, too, it lives on, but nobody here could
 * speak of its lease any more.
 */
void ol_fd_drop(int fd)
{
	int saved = errno;
	struct ol_ep *e;
	ol_handle h;
	uint64_t lk;

	if (ol_unlikely(ol_vforked))
		return;
	h = ol_xchg(&ol_fds[fd], 0);
	if (!h || !ol_alive())
		return;
	e = ol_ep_of(h);
	lk = ol_load(&e->lk);
	for (;;) {
		if (GEN(lk) != GEN(h) || !(lk & OL_LK_FDS))
			break;
		if ((lk & OL_LK_FDS) != OL_LK_ONE_FD || (lk & OL_LK_LOCKED)) {
			if ((lk & OL_LK_FDS) == OL_LK_ONE_FD)
				ol_lease_abandon(e, fd);
			if (ol_cas(&e->lk, &lk, lk - OL_LK_ONE_FD))
				break;
		} else if (ol_cas(&e->lk, &lk,
				  (lk - OL_LK_ONE_FD) | OL_LK_LOCKED)) {
			ol_lease_detach(e, fd);
			ep_free(e);
			break;
		}
	}
	errno = saved;
}

void ol_fd_drop_range(unsigned int first, unsigned int last)
{
	if (last >= OL_FD_MAX)
		last = OL_FD_MAX - 1;
	for (unsigned int fd = first; fd <= last; fd++)
		ol_fd_forget((int)fd);
}

void ol_fd_stale(ol_handle h, uint32_t bits)
{
	struct ol_ep *e = ol_ep_of(h);
	uint64_t mode = ol_load(&e->mode);

	do {
		if (GEN(mode) != GEN(h))
			return;
	} while (!ol_cas(&e->mode, &mode, mode | bits));
}
