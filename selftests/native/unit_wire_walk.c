// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "unit_wire.h"

#define PERIOD	65521u /* prime */
#define PIECES	4
#define PAIRING 1000

/* A wire begins when both directions are quiet: so they are in between. */
#define STAGE (128u << 10) /* bytes */
#define HELLO 4		   /* of them to and fro one by one */

static uint8_t pattern[2][PERIOD + CHUNK];

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void make_pattern(void)
{
	uint32_t x = 1;

	for (int dir = 0; dir < 2; dir++)
		for (uint32_t i = 0; i < PERIOD + CHUNK; i++)
			pattern[dir][i] = i < PERIOD ? (uint8_t)next(&x)
						     : pattern[dir][i - PERIOD];
}

const uint8_t *stream_at(int dir, uint64_t pos)
{
	return pattern[dir] + pos % PERIOD;
}

/* Mostly small, sometimes longer than the ring */
static size_t some_size(struct walker *w, uint64_t most)
{
	static const uint32_t bounds[] = { 64, 64, 1500, 4096, CHUNK };
	uint32_t bound = bounds[next(&w->seed) % 5];
	size_t n = 1 + next(&w->seed) % bound;

	return n < most ? n : (size_t)most;
}

static int split(struct walker *w, uint8_t *buf, size_t len,
		 struct iovec iov[PIECES])
{
	int n = 0;

	while (n < PIECES - 1 && len > 1) {
		iov[n].iov_base = buf;
		iov[n].iov_len = next(&w->seed) % len;
		buf += iov[n].iov_len;
		len -= iov[n++].iov_len;
	}
	iov[n].iov_base = buf;
	iov[n++].iov_len = len;
	return n;
}

static ssize_t send_some(struct walker *w, uint8_t *data, size_t len)
{
	struct iovec iov[PIECES];
	struct msghdr msg = { .msg_iov = iov };

	if (next(&w->seed) % 4)
		return send(w->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	msg.msg_iovlen = (size_t)split(w, data, len, iov);
	return sendmsg(w->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t recv_some(struct walker *w, size_t len, int flags)
{
	struct iovec iov[PIECES];
	struct msghdr msg = { .msg_iov = iov };

	if (next(&w->seed) % 4)
		return recv(w->fd, w->buf, len, flags);
	msg.msg_iovlen = (size_t)split(w, w->buf, len, iov);
	return recvmsg(w->fd, &msg, flags);
}

/* How much of its stream an end may send that has received so much */
static uint64_t allowed(const struct walker *w, int dir, uint64_t received)
{
	uint64_t into = received % STAGE;
	uint64_t end = received - into;

	end += into < HELLO ? into + !dir : STAGE;
	return end < w->total ? end : w->total;
}

static uint64_t may_send(const struct walker *w)
{
	return allowed(w, w->dir, w->received) - w->sent;
}

/* What will come even if this end sends nothing more */
static uint64_t will_come(const struct walker *w)
{
	return allowed(w, !w->dir, w->sent) - w->received;
}

/* False: nothing moved, or it failed */
static bool walk_send(struct walker *w)
{
	ssize_t n;

	if (!may_send(w))
		return false;
	n = send_some(w, (uint8_t *)stream_at(w->dir, w->sent),
		      some_size(w, may_send(w)));
	if (n < 0 && errno != EAGAIN)
		w->failed = strerror(errno);
	if (n > 0)
		w->sent += (uint64_t)n;
	return n > 0;
}

static bool right(const struct walker *w, ssize_t n)
{
	return !memcmp(w->buf, stream_at(!w->dir, w->received), (size_t)n);
}

static bool walk_recv(struct walker *w)
{
	/* One end only: two would wait for each other. */
	const bool all = !w->dir && !(next(&w->seed) % 32);
	const int flags = all ? MSG_WAITALL : MSG_DONTWAIT;
	size_t len = some_size(w, will_come(w));
	ssize_t n, peeked = 0;

	if (!len)
		return false;
	if (!(next(&w->seed) % 256)) {
		peeked = recv(w->fd, w->buf, len, MSG_PEEK | MSG_DONTWAIT);
		if (peeked > 0 && !right(w, peeked))
			w->failed = "wrong data by MSG_PEEK";
	}
	n = recv_some(w, len, flags);
	if (n < 0 && errno != EAGAIN)
		w->failed = strerror(errno);
	else if (!n)
		w->failed = "the connection ended too early";
	else if (all && n != (ssize_t)len)
		w->failed = "MSG_WAITALL did not wait";
	else if (peeked > 0 && n < peeked)
		w->failed = "less was received than peeked at";
	else if (n > 0 && !right(w, n))
		w->failed = "wrong data";
	if (n > 0)
		w->received += (uint64_t)n;
	return n > 0;
}

/* Short of both: sleep until the other end has done something. */
static void walk_wait(struct walker *w)
{
	short events = 0;

	if (will_come(w))
		events |= POLLIN;
	if (may_send(w))
		events |= POLLOUT;
	if (events == POLLIN && next(&w->seed) % 2) {
		ssize_t n = recv(w->fd, w->buf, 1, 0);

		if (n != 1 || !right(w, n))
			w->failed = "wrong data in a blocking recv()";
		w->received++;
		return;
	}
	twin_poll(w->fd, events, -1);
}

void walk(struct walker *w)
{
	while (!w->failed && (w->sent < w->total || w->received < w->total)) {
		bool moved;

		if (next(&w->seed) % 1024 < w->reclaims)
			twin_reclaim(w->fd, ONLOAD_R_KEEPALIVE);
		moved = walk_send(w);
		moved |= walk_recv(w);
		if (!moved && !w->failed)
			walk_wait(w);
	}
}

static void exchange(int from, int to)
{
	uint8_t byte = 0x5a;
	ssize_t n;

	assert_int_equal(send(from, &byte, 1, MSG_NOSIGNAL), 1);
	byte = 0;
	do {
		n = recv(to, &byte, 1, MSG_DONTWAIT);
	} while (n < 0 && errno == EAGAIN);
	assert_int_equal(n, 1);
	assert_int_equal(byte, 0x5a);
}

void pair_up(const int fds[2])
{
	for (int i = 0; !twin_wired(fds[0]); i++) {
		assert_int_not_equal(i, PAIRING);
		exchange(fds[0], fds[1]);
		exchange(fds[1], fds[0]);
	}
	/* Each end learns of it by its own next call. */
	exchange(fds[0], fds[1]);
	exchange(fds[1], fds[0]);
	assert_true(twin_wired(fds[0]));
	assert_true(twin_wired(fds[1]));
}

void open_wire(int fds[2])
{
	assert_true(twin_connect(fds));
	pair_up(fds);
}

void close_both(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

int make_twin(void **state)
{
	(void)state;
	/* Whatever hangs ends by itself. */
	alarm(120);
	make_pattern();
	return twin_make(RING_SHIFT, RING_MAX_SHIFT, 0) ? 0 : -1;
}
