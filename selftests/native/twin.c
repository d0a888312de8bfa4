// SPDX-License-Identifier: LGPL-2.1-or-later
/* The twin's memory, its flows, and what stands in for control.c. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "../../userlib/control.h"
#include "twin_kernel.h"

#define PAGE 4096ull

struct twin *twin;
int twin_memory = -1;
struct ol_real twin_linux;
uint64_t twin_asked;

/* Of this process: what it knows by itself, as file tables and mm would */
static struct {
	pid_t pid;
	uint32_t ctx;
	uint8_t *peers;
	uint32_t shown[TWIN_SLOTS]; /* number of the flow + 1 */
} own;

static int16_t flow_of[TWIN_FDS]; /* number + 1 */
static uint32_t ring_max_shift;

static uint64_t page_up(uint64_t n)
{
	return (n + PAGE - 1) & ~(PAGE - 1);
}

/* Behind each area a page that nobody may touch */
uint64_t twin_stride(void)
{
	return ONLOAD_WIRE_HEAD + (1ull << ring_max_shift) + PAGE;
}

uint64_t twin_wire_off(void)
{
	return page_up(TWIN_SLOTS * sizeof(struct onload_slot));
}

static uint64_t context_size(void)
{
	return twin_wire_off() + TWIN_SLOTS * twin_stride();
}

uint64_t twin_context_at(uint32_t ctx)
{
	return page_up(sizeof(struct twin)) + ctx * context_size();
}

void twin_lock(void)
{
	pthread_mutex_lock(&twin->lock);
}

void twin_unlock(void)
{
	pthread_mutex_unlock(&twin->lock);
}

static uint64_t area_at(const struct twin_flow *f)
{
	return twin_context_at(f->ctx) + twin_wire_off() +
	       f->slot * twin_stride();
}

struct onload_slot *twin_slot(const struct twin_flow *f)
{
	return (struct onload_slot *)((uint8_t *)twin +
				      twin_context_at(f->ctx)) +
	       f->slot;
}

struct onload_wire_head *twin_flow_head(const struct twin_flow *f)
{
	return (struct onload_wire_head *)((uint8_t *)twin + area_at(f));
}

static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

bool twin_make(uint32_t shift, uint32_t max_shift, uint32_t limit)
{
	uint64_t size;

	if (max_shift > 20 || shift > max_shift || shift < 12) {
		errno = EINVAL;
		return false;
	}
	ring_max_shift = max_shift;
	size = twin_context_at(TWIN_CONTEXTS);
	twin_memory = memfd_create("onload-twin", MFD_CLOEXEC);
	if (twin_memory < 0 || ftruncate(twin_memory, (off_t)size))
		return false;
	twin = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, twin_memory,
		    0);
	if (twin == MAP_FAILED)
		return false;
	lock_init(&twin->lock);
	twin->shift = shift;
	twin->max_shift = max_shift;
	twin->limit = limit ? limit : 1u << max_shift;
	twin_wrap();
	/* Plain sockets are ours. */
	return !setenv("ONLOAD_FAMILY", "2", 1);
}

bool twin_connect(int fds[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int one = 1;

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	fds[1] = -1;
	if (listener < 0 || fds[0] < 0 ||
	    bind(listener, (struct sockaddr *)&sin, len) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&sin, &len) ||
	    connect(fds[0], (struct sockaddr *)&sin, len))
		return false;
	fds[1] = accept(listener, NULL, NULL);
	close(listener);
	for (int i = 0; i < 2; i++)
		if (fds[i] < 0 || setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY,
					     &one, sizeof(one)))
			return false;
	return true;
}

static bool same(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
	return a->sin_port == b->sin_port &&
	       a->sin_addr.s_addr == b->sin_addr.s_addr;
}

struct twin_flow *twin_flow_of(int fd)
{
	int i = fd >= 0 && fd < TWIN_FDS
			? __atomic_load_n(&flow_of[fd], __ATOMIC_RELAXED)
			: 0;

	return i ? &twin->flow[i - 1] : NULL;
}

void twin_flow_forget(int fd)
{
	__atomic_store_n(&flow_of[fd], 0, __ATOMIC_RELAXED);
}

struct twin_flow *twin_flow_mirror(const struct twin_flow *f)
{
	for (int i = 0; i < TWIN_FLOWS; i++) {
		struct twin_flow *g = &twin->flow[i];

		if (g->local.sin_port && same(&g->local, &f->remote) &&
		    same(&g->remote, &f->local))
			return g;
	}
	return NULL;
}

/* Locked */
static struct twin_flow *flow_new(int fd)
{
	struct sockaddr_in local, remote;
	socklen_t len = sizeof(local);

	if (getsockname(fd, (struct sockaddr *)&local, &len) ||
	    getpeername(fd, (struct sockaddr *)&remote, &len))
		return NULL;
	for (int i = 0; i < TWIN_FLOWS; i++) {
		struct twin_flow *f = &twin->flow[i];

		if (f->local.sin_port)
			continue;
		memset(f, 0, offsetof(struct twin_flow, import));
		f->local = local;
		f->remote = remote;
		f->limit = twin->limit;
		__atomic_store_n(&flow_of[fd], (int16_t)(i + 1),
				 __ATOMIC_RELAXED);
		return f;
	}
	return NULL;
}

/* Locked: the other end's area, where the library looks for it */
void twin_show_peer(const struct twin_flow *f)
{
	const struct twin_flow *g = twin_flow_mirror(f);
	uint32_t number = (uint32_t)(g - twin->flow) + 1;

	if (own.shown[f->slot] == number)
		return;
	own.shown[f->slot] = number;
	mmap(own.peers + f->slot * twin_stride(), twin_stride() - PAGE,
	     PROT_READ, MAP_SHARED | MAP_FIXED, twin_memory, (off_t)area_at(g));
}

static int context(struct onload_context *info)
{
	if (info->abi != ONLOAD_ABI)
		return -EPROTO;
	if (twin->contexts == TWIN_CONTEXTS)
		return -EUSERS;
	memset(&own, 0, sizeof(own));
	own.pid = getpid();
	own.ctx = twin->contexts++;
	info->nslots = TWIN_SLOTS;
	info->rx_size = info->tx_size = (uint32_t)PAGE;
	info->slots_off = 0;
	/* There is no soft VI: nobody looks at its rings. */
	info->rings_off = info->wire_off = twin_wire_off();
	info->wire_stride = twin_stride();
	info->map_size = context_size();
	info->fd = -1;
	return 0;
}

static void guard(uint8_t *area)
{
	mprotect(area + twin_stride() - PAGE, PAGE, PROT_NONE);
}

bool ol_control_map(const struct onload_context *info, void **base,
		    void **peers)
{
	const uint64_t at = twin_context_at(own.ctx);
	uint8_t *map;

	map = TWIN_ONE_VIEW ? (uint8_t *)twin + at
			    : mmap(NULL, info->map_size, PROT_READ | PROT_WRITE,
				   MAP_SHARED, twin_memory, (off_t)at);
	own.peers = mmap(NULL, info->nslots * info->wire_stride, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED || own.peers == MAP_FAILED)
		return false;
	for (uint32_t i = 0; i < info->nslots; i++)
		guard(map + info->wire_off + i * info->wire_stride);
	*base = map;
	*peers = own.peers;
	return true;
}

static int lease(int fd, struct onload_lease *req)
{
	struct twin_flow *f = twin_flow_of(fd);

	if (!f)
		f = flow_new(fd);
	if (!f)
		return -ENOTCONN;
	if (own.pid != getpid())
		return -ENXIO;
	f->ctx = own.ctx;
	f->slot = req->slot;
	f->asked = true;
	return twin_lease(f, req);
}

int ol_control_get(int fd, int opt, void *val, size_t size)
{
	int saved = errno;
	int ret = -ENOPROTOOPT;

	(void)size;
	twin_count();
	twin_lock();
	if (opt == ONLOAD_CONTEXT)
		ret = context(val);
	else if (opt == ONLOAD_LEASE)
		ret = lease(fd, val);
	twin_unlock();
	errno = saved;
	return ret;
}

static int locked_set(struct twin_flow *f, int opt, const void *val)
{
	const struct onload_handback *back = val;
	uint32_t generation;

	memcpy(&generation, val, sizeof(generation));
	switch (opt) {
	case ONLOAD_HANDBACK:
		if (!f->wired || f->generation != back->generation)
			return -ESTALE;
		twin_cut(f, (enum onload_reason)back->reason);
		return 0;
	case ONLOAD_DETACH:
		if (f->wired)
			twin_cut(f, ONLOAD_R_CLOSE);
		f->asked = false;
		return 0;
	case ONLOAD_WAKE:
		return twin_wake(f, generation);
	case ONLOAD_GROW:
		return twin_grow(f, generation);
	default:
		return -ENOPROTOOPT;
	}
}

int ol_control_set(int fd, int opt, const void *val, size_t len)
{
	struct twin_flow *f = twin_flow_of(fd);
	int saved = errno;
	int ret;

	(void)len;
	twin_count();
	if (!f)
		return -EBADF;
	if (opt == ONLOAD_WAIT) {
		ret = twin_wait(f, fd, val);
	} else {
		twin_lock();
		ret = locked_set(f, opt, val);
		twin_unlock();
	}
	errno = saved;
	return ret;
}

void twin_count(void)
{
	__atomic_fetch_add(&twin_asked, 1, __ATOMIC_RELAXED);
}

uint64_t twin_calls(void)
{
	return __atomic_load_n(&twin_asked, __ATOMIC_RELAXED);
}

bool twin_wired(int fd)
{
	struct twin_flow *f = twin_flow_of(fd);
	bool wired;

	if (!f)
		return false;
	twin_lock();
	wired = f->wired;
	twin_unlock();
	return wired;
}

bool twin_reclaim(int fd, enum onload_reason why)
{
	struct twin_flow *f = twin_flow_of(fd);
	bool wired;

	if (!f)
		return false;
	twin_lock();
	wired = f->wired;
	if (wired)
		twin_cut(f, why);
	twin_unlock();
	return wired;
}

struct onload_wire_head *twin_head(int fd)
{
	struct twin_flow *f = twin_flow_of(fd);

	return f ? twin_flow_head(f) : NULL;
}
