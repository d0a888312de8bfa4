// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What net/wire.c and net/wire_wait.c do for a wire, without their locks:
 * pairing, the end of it, waking and waiting. Written against the ABI, as
 * the module is.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>

#include "twin_kernel.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void twin_ring(struct twin_flow *f)
{
	__atomic_fetch_add(&f->bell, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &f->bell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* -ETIMEDOUT, -EINTR, or 0: look again. @until UINT64_MAX: for ever. */
static int bell_wait(struct twin_flow *f, uint32_t seen, uint64_t until)
{
	struct timespec ts, *timeout = NULL;
	uint64_t now;

	if (until != UINT64_MAX) {
		now = now_ns();
		if (now >= until)
			return -ETIMEDOUT;
		ts.tv_sec = (time_t)((until - now) / 1000000000ull);
		ts.tv_nsec = (long)((until - now) % 1000000000ull);
		timeout = &ts;
	}
	if (!syscall(SYS_futex, &f->bell, FUTEX_WAIT, seen, timeout, NULL, 0))
		return 0;
	return errno == EINTR || errno == ETIMEDOUT ? -errno : 0;
}

/* Has it, by Linux, nothing on its way to the application? */
static bool drained(const struct twin_flow *f, const struct twin_flow *g)
{
	return f->imported == f->taken && f->tcp_rcvd == g->tcp_sent;
}

static bool ready(const struct twin_flow *f)
{
	return f->asked && !f->wired && !f->in_kernel && !f->closed &&
	       !f->reset;
}

static void set64(__u64 *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* Who has not noticed yet that an older wire is gone may be looking. */
static void prepare(struct twin_flow *f, const struct twin_flow *g)
{
	struct onload_wire_head *head = twin_flow_head(f);
	struct onload_slot *slot = twin_slot(f);

	f->shift = twin->shift;
	f->generation = ++twin->generation;
	set64(&head->tx, ONLOAD_X_MAKE(twin->wire_generation, f->shift, 0));
	set64(&head->tx_total, 0);
	set64(&head->rx, ONLOAD_X_MAKE(twin->wire_generation, 0, 0));
	__atomic_store_n(&head->wake, ONLOAD_WAKE_RX | ONLOAD_WAKE_TX,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&head->polled, 0, __ATOMIC_RELAXED);
	slot->c = (struct onload_flow_const){
		.flags = ONLOAD_C_WIRE,
		.family = AF_INET,
		.wire_limit = f->limit,
		.wire_gen = twin->wire_generation,
		.wire_shift = f->shift,
		.wire_peer_limit = g->limit,
		.wire_max_shift = twin->max_shift,
	};
	__atomic_store_n(&slot->reason, ONLOAD_R_NONE, __ATOMIC_RELAXED);
}

static void publish(struct twin_flow *f)
{
	f->wired = true;
	__atomic_store_n(&twin_slot(f)->word, ONLOAD_W_MAKE(f->generation, 0),
			 __ATOMIC_RELEASE);
	twin_ring(f);
}

int twin_lease(struct twin_flow *f, struct onload_lease *req)
{
	struct twin_flow *g = twin_flow_mirror(f);

	f->willing = req->flags & ONLOAD_L_AFTER;
	req->reason = ONLOAD_R_WIRE;
	req->retry_ms = 0;
	if (!f->wired) {
		if (g && !drained(f, g))
			req->reason = ONLOAD_R_UNREAD;
		if (!g || !ready(f) || !ready(g) || !g->willing ||
		    !drained(f, g) || !drained(g, f))
			return -EAGAIN;
		twin->wire_generation =
			twin->wire_generation % ONLOAD_X_GEN_MAX + 1;
		prepare(f, g);
		prepare(g, f);
		publish(f);
		publish(g);
	}
	twin_show_peer(f);
	req->generation = f->generation;
	req->reason = ONLOAD_R_NONE;
	return 0;
}

static uint64_t take_user(__u64 *word)
{
	return __atomic_fetch_and(word, ~(__u64)ONLOAD_X_USER,
				  __ATOMIC_SEQ_CST);
}

static bool valid(uint64_t word)
{
	return word & ONLOAD_X_USER &&
	       ONLOAD_X_GEN(word) == twin->wire_generation;
}

/* What @g has published as @tx and @f has not received, before all by TCP */
static bool import(struct twin_flow *f, const struct twin_flow *g, uint64_t tx)
{
	uint64_t rx = take_user(&twin_flow_head(f)->rx);
	const uint8_t *ring = (uint8_t *)twin_flow_head(g) + ONLOAD_WIRE_HEAD;
	uint32_t unread = ONLOAD_X_POS(tx) - ONLOAD_X_POS(rx);
	uint32_t shift = ONLOAD_X_SHIFT(tx);

	if (!valid(tx) || !valid(rx) || shift < 12 || shift > g->shift ||
	    unread > 1u << shift)
		return false;
	f->taken = 0;
	f->imported = unread;
	for (uint32_t i = 0; i < unread; i++)
		f->import[i] =
			ring[(ONLOAD_X_POS(rx) + i) & ((1u << shift) - 1)];
	return true;
}

static void take_word(const struct twin_flow *f, enum onload_reason why)
{
	struct onload_slot *slot = twin_slot(f);

	__atomic_store_n(&slot->reason, why, __ATOMIC_RELAXED);
	__atomic_exchange_n(&slot->word, (__u64)(f->generation + 1) << 32,
			    __ATOMIC_SEQ_CST);
}

/* The module queues the other end to do the same: here it is done at once. */
void twin_cut(struct twin_flow *f, enum onload_reason why)
{
	struct twin_flow *g = twin_flow_mirror(f);
	uint64_t ftx, gtx;

	take_word(f, why);
	take_word(g, ONLOAD_R_PEER);
	ftx = take_user(&twin_flow_head(f)->tx);
	gtx = take_user(&twin_flow_head(g)->tx);
	if (!import(f, g, gtx) || !import(g, f, ftx))
		f->reset = g->reset = true;
	f->wired = false;
	g->wired = false;
	f->willing = why == ONLOAD_R_PEER;
	g->willing = true;
	twin_ring(f);
	twin_ring(g);
}

int twin_wake(struct twin_flow *f, uint32_t generation)
{
	struct twin_flow *g = twin_flow_mirror(f);

	if (!f->wired || f->generation != generation)
		return -ESTALE;
	__atomic_exchange_n(&twin_flow_head(g)->wake, 0, __ATOMIC_SEQ_CST);
	twin_ring(g);
	return 0;
}

int twin_grow(struct twin_flow *f, uint32_t generation)
{
	if (!f->wired || f->generation != generation)
		return -ESTALE;
	if (f->shift >= twin->max_shift || 1u << f->shift >= f->limit)
		return -EMSGSIZE;
	f->shift += 2;
	if (f->shift > twin->max_shift)
		f->shift = twin->max_shift;
	return (int)f->shift;
}

static void raise_wake(struct onload_wire_head *head, uint32_t bits)
{
	__atomic_fetch_or(&head->wake, bits, __ATOMIC_SEQ_CST);
}

static uint64_t look(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static bool room(const struct twin_flow *f, bool empty)
{
	uint64_t tx = look(&twin_flow_head(f)->tx);
	uint64_t rx = look(&twin_flow_head(twin_flow_mirror(f))->rx);
	uint32_t used = ONLOAD_X_POS(tx) - ONLOAD_X_POS(rx);
	uint32_t size = f->limit;

	if (ONLOAD_X_SHIFT(tx) < 31 && 1u << ONLOAD_X_SHIFT(tx) < size)
		size = 1u << ONLOAD_X_SHIFT(tx);
	if (empty)
		return !used;
	return used > size || size - used >= size / 3;
}

/* The events as bits of ONLOAD_WAIT_* and ONLOAD_WAKE_* are the same. */
static_assert(ONLOAD_WAIT_IN == ONLOAD_WAKE_RX &&
		      ONLOAD_WAIT_TX == ONLOAD_WAKE_TX &&
		      ONLOAD_WAIT_EMPTY == ONLOAD_WAKE_EMPTY,
	      "wait events are wake bits");

/* Locked, on a wire: is it there already? */
static bool arm(struct twin_flow *f, const struct onload_wait *req)
{
	const struct twin_flow *g = twin_flow_mirror(f);

	raise_wake(twin_flow_head(f),
		   req->events & ~(uint32_t)ONLOAD_WAIT_RESTART);
	if (req->events & ONLOAD_WAIT_IN &&
	    ONLOAD_X_POS(look(&twin_flow_head(g)->tx)) != req->rx_prod)
		return true;
	return (req->events & ONLOAD_WAIT_TX && room(f, false)) ||
	       (req->events & ONLOAD_WAIT_EMPTY && room(f, true));
}

/* Locked: what Linux would say */
static short linux_ready(const struct twin_flow *f, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	const struct twin_flow *g = twin_flow_mirror(f);

	poll(&p, 1, 0);
	if (f->imported != f->taken)
		p.revents |= POLLIN;
	if (f->reset)
		p.revents |= POLLIN | POLLOUT | POLLERR;
	/* It is about to arrive. */
	if (g && (g->closed || g->tcp_sent != f->tcp_rcvd))
		p.revents |= POLLIN;
	return p.revents;
}

/* Locked. True: over, with *err. */
static bool wait_over(struct twin_flow *f, int fd,
		      const struct onload_wait *req, int *err)
{
	*err = 0;
	if (!req->generation) {
		f->willing = true;
		return f->wired || linux_ready(f, fd) & POLLIN;
	}
	if (f->wired && f->generation == req->generation)
		return arm(f, req);
	*err = -ESTALE;
	return true;
}

int twin_wait(struct twin_flow *f, int fd, const struct onload_wait *req)
{
	uint64_t until = req->timeout_ns == ONLOAD_WAIT_FOREVER
				 ? UINT64_MAX
				 : now_ns() + req->timeout_ns;
	int err = 0;
	bool over;

	do {
		uint32_t seen = __atomic_load_n(&f->bell, __ATOMIC_SEQ_CST);

		twin_lock();
		over = wait_over(f, fd, req, &err);
		twin_unlock();
		if (!over)
			err = bell_wait(f, seen, until);
	} while (!over && !err);
	return err;
}

static short wire_ready(struct twin_flow *f)
{
	const struct twin_flow *g = twin_flow_mirror(f);
	struct onload_wire_head *head = twin_flow_head(f);
	short mask = 0;

	__atomic_store_n(&head->polled, 1, __ATOMIC_RELAXED);
	raise_wake(head, ONLOAD_WAKE_RX);
	if (ONLOAD_X_POS(look(&twin_flow_head(g)->tx)) !=
	    ONLOAD_X_POS(look(&head->rx)))
		mask |= POLLIN;
	if (!room(f, false))
		raise_wake(head, ONLOAD_WAKE_TX);
	if (room(f, false))
		mask |= POLLOUT;
	return mask;
}

int twin_poll(int fd, short events, int timeout_ms)
{
	uint64_t until = timeout_ms < 0
				 ? UINT64_MAX
				 : now_ns() + (uint32_t)timeout_ms * 1000000ull;
	struct twin_flow *f = twin_flow_of(fd);
	short mask;
	int err = 0;

	if (!f) {
		struct pollfd p = { .fd = fd, .events = events };

		return poll(&p, 1, timeout_ms) > 0 ? p.revents : 0;
	}
	do {
		uint32_t seen = __atomic_load_n(&f->bell, __ATOMIC_SEQ_CST);

		twin_lock();
		mask = f->wired ? wire_ready(f) : linux_ready(f, fd);
		twin_unlock();
		mask &= (short)(events | POLLERR);
		if (!mask)
			err = bell_wait(f, seen, until);
	} while (!mask && !err);
	return mask;
}
