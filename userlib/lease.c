// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "control.h"
#include "lease.h"
#include "pool.h"
#include "real.h"
#include "stats.h"
#include "wire.h"

#define SLOTS_DEFAULT 1024

/* A refusal that will pass by itself is asked about again at once, but not
 * for ever: after this many in a row, calls are passed over.
 */
#define EAGER	 4
#define SKIP_MAX 32

/* What the socket is will hardly change. */
#define REFUSED_MS 1000

enum { CTX_NONE, CTX_BUSY, CTX_READY, CTX_FAILED };

static struct {
	uint32_t state; /* atomic; the rest is constant while it is CTX_READY */
	uint8_t *base;
	uint8_t *peers; /* what the other ends of wires write, or NULL */
	struct onload_context info;
} ctx;

static uint32_t slots_next[ONLOAD_SLOTS_MAX];
static struct ol_pool slots_pool = { .next = slots_next };

static uint32_t slots_wanted(void)
{
	const char *v = secure_getenv("ONLOAD_SLOTS");
	unsigned long n = v ? strtoul(v, NULL, 10) : 0;

	return n >= 1 && n <= ONLOAD_SLOTS_MAX ? (uint32_t)n : SLOTS_DEFAULT;
}

static bool ctx_make(int fd)
{
	struct onload_context info = { .abi = ONLOAD_ABI,
				       .nslots = slots_wanted() };
	void *base, *peers;

	if (ol_control_get(fd, ONLOAD_CONTEXT, &info, sizeof(info)) ||
	    !ol_control_map(&info, &base, &peers))
		return false;
	ctx.base = base;
	ctx.peers = peers;
	ctx.info = info;
	slots_pool.max = info.nslots;
	return true;
}

/*
 * Made once in a process, by whoever comes first; others stay plain for that
 * moment. After a failure never again: each try would cost every socket.
 */
static bool ctx_ready(int fd)
{
	uint32_t state = ol_load_acquire(&ctx.state);
	int saved = errno;

	if (ol_likely(state == CTX_READY))
		return true;
	if (state != CTX_NONE || !ol_cas(&ctx.state, &state, CTX_BUSY))
		return false;
	if (ctx_make(fd)) {
		ol_store_release(&ctx.state, CTX_READY);
		return true;
	}
	ol_store_release(&ctx.state, CTX_FAILED);
	ol_note("no context: sockets stay with the kernel");
	errno = saved;
	return false;
}

void ol_lease_reset(void)
{
	slots_pool.head = 0;
	slots_pool.fresh = 0;
	slots_pool.max = 0;
	ol_store_release(&ctx.state, CTX_NONE);
}

static void blank(void *at, size_t len)
{
	mmap(at, len, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
	     -1, 0);
}

void ol_lease_blank(void)
{
	if (ol_load_acquire(&ctx.state) != CTX_READY)
		return;
	blank(ctx.base, ctx.info.map_size);
	if (ctx.peers)
		blank(ctx.peers, ctx.info.nslots * ctx.info.wire_stride);
}

static uint32_t coarse_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)(ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

bool ol_lease_begun(struct ol_ep *e)
{
	bool begun;

	ol_look_begin();
	begun = ol_load(&e->paired) && ol_load(&e->slot->word) & ONLOAD_W_USER;
	ol_look_end();
	return begun;
}

bool ol_lease_due(struct ol_ep *e)
{
	uint32_t skip = ol_load(&e->skip);
	uint32_t retry = ol_load(&e->retry);

	/* The other end of a wire may have seen to it. */
	if (ol_lease_begun(e))
		return true;
	if (skip) {
		ol_store(&e->skip, skip - 1);
		return false;
	}
	return !retry || (int32_t)(coarse_ms() - retry) >= 0;
}

static bool refuse(struct ol_ep *e, int fd, uint32_t reason, uint32_t ms)
{
	uint32_t n = ++e->refused;

	ol_store(&e->reason, reason);
	/* For that the kernel itself sets a limit. */
	if (reason == ONLOAD_R_WIRE)
		n = e->refused = 0;
	ol_store(&e->skip, n < EAGER ? 0 : n < SKIP_MAX ? n : SKIP_MAX);
	ol_store(&e->retry, ms ? (coarse_ms() + ms) | 1 : 0);
	if (reason < ONLOAD_R_MAX)
		OL_COUNT(refused[reason], 1);
	ol_note_refused(fd, reason);
	return false;
}

static int64_t timeout_ns(int fd, int opt)
{
	struct timeval tv = { 0 };
	socklen_t len = sizeof(tv);

	if (getsockopt(fd, SOL_SOCKET, opt, &tv, &len))
		return 0;
	return tv.tv_sec * 1000000000ll + tv.tv_usec * 1000ll;
}

/* Marked fresh before it is read: a change that comes in between is not lost. */
static void read_modes(struct ol_ep *e, int fd)
{
	uint64_t mode = __atomic_fetch_and(
		&e->mode, ~(uint64_t)(OL_STALE_FL | OL_STALE_OPTS),
		__ATOMIC_ACQ_REL);
	int saved = errno;

	if (mode & OL_STALE_FL)
		e->nonblock = OL_REAL(fcntl)(fd, F_GETFL) & O_NONBLOCK;
	if (mode & OL_STALE_OPTS) {
		e->rcv_ns = timeout_ns(fd, SO_RCVTIMEO);
		e->snd_ns = timeout_ns(fd, SO_SNDTIMEO);
	}
	/* Closed meanwhile: that was nobody's, or another file's. */
	if (ol_unlikely(ol_fd_named(fd) != ol_ep_handle(e)))
		ol_or(&e->mode, OL_STALE_FL | OL_STALE_OPTS);
	errno = saved;
}

/*
 * False: it has ended already, and what the slot tells may be of the next one,
 * or of one that came to nothing.
 */
static bool leased(struct ol_ep *e, uint32_t generation)
{
	const uint64_t lease = ONLOAD_W_MAKE(generation, 0);
	const bool foreign = ol_load(&e->reason) == ONLOAD_R_FOREIGN;
	const struct onload_context *info = &ctx.info;
	struct onload_slot *s = e->slot;

	OL_COUNT(leases, 1);
	e->c = s->c;
	/*
	 * The kernel ends a lease before it writes that anew: whoever reads
	 * any of the new finds the word changed when he looks at it last.
	 */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if ((ol_load(&s->word) & ~(uint64_t)ONLOAD_W_SEQ) != lease) {
		ol_store(&e->lease, lease);
		ol_lease_lost(e);
		return false;
	}
	e->c.rx_size = info->rx_size;
	e->c.tx_size = info->tx_size;
	e->rx = ctx.base + info->rings_off +
		(uint64_t)e->index * 2 * (info->rx_size + info->tx_size);
	e->tx = e->rx + 2ull * info->rx_size;
	if (s->c.flags & ONLOAD_C_WIRE) {
		uint64_t at = e->index * info->wire_stride;

		ol_wire_begin(e, (void *)(ctx.base + info->wire_off + at),
			      (const void *)(ctx.peers + at));
		OL_COUNT(wires, 1);
	}
	e->refused = 0;
	ol_store(&e->skip, 0);
	ol_store(&e->retry, 0);
	ol_store(&e->reason, ONLOAD_R_NONE);
	/*
	 * Up for the whole lease: with nobody asleep a wake-up costs the
	 * kernel less than agreeing on who may take the flag down would cost
	 * us, as another thread may sleep while this one spins.
	 */
	ol_store(&s->need_wake, 1);
	/* Another process may have changed the file's flags since the last one,
	 * and if it used the socket the time-outs, too.
	 */
	ol_or(&e->mode, foreign ? OL_STALE_FL | OL_STALE_OPTS : OL_STALE_FL);
	ol_store(&e->lease, lease);
	return true;
}

bool ol_lease_take(struct ol_ep *e, int fd, uint32_t flags)
{
	struct onload_lease req = { .abi = ONLOAD_ABI };
	int err;

	if (!ctx_ready(fd)) {
		ol_store(&e->reason, ONLOAD_R_NOMEM);
		ol_store(&e->retry, (coarse_ms() + REFUSED_MS) | 1);
		return false;
	}
	if (e->index == OL_NO_SLOT) {
		uint32_t i = ol_pool_get(&slots_pool);

		if (i == OL_POOL_NONE)
			return refuse(e, fd, ONLOAD_R_NOMEM, REFUSED_MS);
		e->index = i;
		e->slot =
			(struct onload_slot *)(ctx.base + ctx.info.slots_off) +
			i;
	}
	if (ctx.peers)
		req.flags = flags | ONLOAD_L_WIRE;
	req.slot = e->index;
	err = ol_control_get(fd, ONLOAD_LEASE, &req, sizeof(req));
	/* From now on the slot is there to be looked at. */
	if (req.flags && (!err || err == -EAGAIN))
		ol_store(&e->paired, true);
	switch (err) {
	case 0:
		if (!leased(e, req.generation))
			return false;
		if (!(e->c.flags & ONLOAD_C_CORK))
			return true;
		/* Only Linux has the timer that pulls the cork. */
		ol_lease_hand_back(e, fd, ONLOAD_R_LIBRARY);
		return refuse(e, fd, ONLOAD_R_OPTIONS, REFUSED_MS);
	case -EAGAIN:
		return refuse(e, fd, req.reason, req.retry_ms);
	case -ENOTCONN:
		return refuse(e, fd, ONLOAD_R_NOTCONN, 0);
	case -EOPNOTSUPP:
		return refuse(e, fd, req.reason,
			      req.retry_ms > REFUSED_MS ? req.retry_ms
							: REFUSED_MS);
	case -ENOBUFS:
		return refuse(e, fd, ONLOAD_R_MEMLOCK, REFUSED_MS);
	case -EBUSY:
		/* Lost track of that slot: it leaks until exit. */
		e->index = OL_NO_SLOT;
		return refuse(e, fd, ONLOAD_R_BUSY, 1);
	case -ENOPROTOOPT:
		/* It has returned to Linux, for good (TCP_ULP). */
		return refuse(e, fd, ONLOAD_R_NOT_STOCK, REFUSED_MS);
	case -ENOTSOCK:
	case -EBADF:
		/* The number changed hands behind our back. */
		ol_fd_drop(fd);
		return refuse(e, fd, ONLOAD_R_NOTCONN, 0);
	default:
		return refuse(e, fd, ONLOAD_R_NOMEM, REFUSED_MS);
	}
}

void ol_lease_drained(ol_handle h, int fd)
{
	struct ol_ep *e = ol_ep_of(h);

	if (ol_load(&e->reason) != ONLOAD_R_UNREAD || ol_load(&e->lease) ||
	    !ol_lease_due(e))
		return;
	e = ol_ep_lock(h);
	if (!e)
		return;
	if (!e->lease)
		ol_lease_take(e, fd, ONLOAD_L_AFTER);
	ol_ep_unlock(e);
}

void ol_lease_modes(struct ol_ep *e, int fd)
{
	if (ol_unlikely(ol_load(&e->mode) & (OL_STALE_FL | OL_STALE_OPTS)))
		read_modes(e, fd);
}

/* How long a peer goes without a reply: learnt from having been wrong. */
#define PINGPONG_LOST -4

void ol_lease_lost(struct ol_ep *e)
{
	uint32_t reason = ol_load(&e->slot->reason);

	if (!ol_load(&e->lease))
		return;
	ol_store(&e->lease, 0);
	ol_store(&e->wire, 0);
	ol_store(&e->reason, reason);
	if (reason == ONLOAD_R_DELACK)
		e->pingpong = PINGPONG_LOST;
	OL_COUNT(lost, 1);
	if (reason < ONLOAD_R_MAX)
		OL_COUNT(lost_by[reason], 1);
}

int ol_lease_tell(struct ol_ep *e, int fd, int opt, const void *val, size_t len)
{
	const ol_handle h = ol_ep_handle(e);
	int ret = ol_control_set(fd, opt, val, len);

	if (ol_likely(ret >= 0 || ol_fd_named(fd) == h))
		return ret;
	fd = ol_fd_any(h);
	return fd < 0 ? ret : ol_control_set(fd, opt, val, len);
}

void ol_lease_hand_back(struct ol_ep *e, int fd, enum onload_reason why)
{
	struct onload_handback req = {
		.generation = ONLOAD_W_GEN(e->lease),
		.reason = why,
	};

	if (ol_lease_tell(e, fd, ONLOAD_HANDBACK, &req, sizeof(req))) {
		/* Or another process alone has the socket open now. */
		if (!ol_lease_now(e))
			ol_lease_lost(e);
		return;
	}
	ol_store(&e->lease, 0);
	ol_store(&e->wire, 0);
	ol_store(&e->reason, why);
	OL_COUNT(handed_back[why], 1);
}

void ol_lease_abandon(struct ol_ep *e, int fd)
{
	struct onload_handback req = {
		.generation = ONLOAD_W_GEN(ol_load(&e->lease)),
		.reason = ONLOAD_R_LIBRARY,
	};

	if (req.generation)
		ol_control_set(fd, ONLOAD_HANDBACK, &req, sizeof(req));
}

void ol_lease_end(ol_handle h, int fd)
{
	struct ol_ep *e = ol_ep_of(h);

	if (!ol_load(&e->lease))
		return;
	e = ol_ep_lock(h);
	if (!e)
		return;
	if (e->lease)
		ol_lease_hand_back(e, fd, ONLOAD_R_LIBRARY);
	ol_ep_unlock(e);
}

/* The last descriptor is about to be closed and nobody is inside. */
void ol_lease_detach(struct ol_ep *e, int fd)
{
	uint32_t slot = e->index;

	if (slot != OL_NO_SLOT)
		ol_control_set(fd, ONLOAD_DETACH, &slot, sizeof(slot));
}

void ol_lease_release(struct ol_ep *e)
{
	ol_store(&e->lease, 0);
	ol_store(&e->wire, 0);
	ol_store(&e->paired, false);
	if (e->index != OL_NO_SLOT)
		ol_pool_put(&slots_pool, e->index);
	e->index = OL_NO_SLOT;
}

bool ol_lease_now(struct ol_ep *e)
{
	uint64_t lease;
	bool now;

	ol_look_begin();
	lease = ol_load(&e->lease);
	now = lease &&
	      (ol_load(&e->slot->word) & ~(uint64_t)ONLOAD_W_SEQ) == lease;
	ol_look_end();
	return now;
}

uint32_t ol_lease_reason(struct ol_ep *e)
{
	uint32_t reason = ol_load(&e->reason);

	/* The loss of a lease is noticed at the next call only. */
	ol_look_begin();
	if (ol_load(&e->lease) && !ol_lease_now(e))
		reason = ol_load(&e->slot->reason);
	ol_look_end();
	return reason;
}
