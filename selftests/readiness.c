// SPDX-License-Identifier: GPL-2.0
/*
 * Readiness as the kernel tells it: the waiter's system call sleeps in the
 * kernel while the socket is leased to it, and what it waits for comes from
 * another process.
 */
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "net.h"

#define SLEEP_US 300000
#define SOON_MS	 1000

static struct pair pair;

/* The other side: sleeps, then does it. */
static int (*deed)(int fd);

static int later(void *arg)
{
	close(pair.c);
	usleep(SLEEP_US);
	return deed(pair.s);
}

static int sends(int fd)
{
	net_send(fd, "x", 1);
	pause();
	return CHECK_PASS;
}

static int closes(int fd)
{
	close(fd);
	return CHECK_PASS;
}

static int resets(int fd)
{
	struct linger lin = { .l_onoff = 1 };

	EXPECT(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &lin, sizeof(lin)));
	close(fd);
	return CHECK_PASS;
}

static int shuts(int fd)
{
	shutdown(fd, SHUT_WR);
	pause();
	return CHECK_PASS;
}

static int drains(int fd)
{
	static char block[65536];

	while (recv(fd, block, sizeof(block), 0) > 0)
		;
	return CHECK_PASS;
}

static uint64_t begin;

/* Ours is pair.c, leased; the other end is only the other process's. */
static int prepare(int (*what)(int))
{
	deed = what;
	pair = net_warm_pair();
	check_fork(later, NULL);
	close(pair.s);
	begin = net_ms();
	return pair.c;
}

static void expect_in_time(void)
{
	uint64_t took = net_ms() - begin;

	if (took < SLEEP_US / 2000 || took > SLEEP_US / 1000 + SOON_MS)
		check_fail(__FILE__, __LINE__, "woken after %llu ms",
			   (unsigned long long)took);
}

static int epoll_of(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };
	int e = epoll_create1(0);

	EXPECT(e >= 0 && !epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev));
	return e;
}

static int wait_events(int e, int ms)
{
	struct epoll_event ev;

	return epoll_wait(e, &ev, 1, ms);
}

static uint32_t wait_epoll(int e)
{
	struct epoll_event ev;

	EXPECT_EQ(epoll_wait(e, &ev, 1, 10000), 1);
	return ev.events;
}

static void expect_byte(int fd)
{
	char byte = 0;

	EXPECT_EQ(recv(fd, &byte, 1, MSG_DONTWAIT), 1);
	EXPECT_EQ(byte, 'x');
}

static void poll_in(void)
{
	struct pollfd p = { .fd = prepare(sends), .events = POLLIN };

	EXPECT_EQ(poll(&p, 1, 10000), 1);
	expect_in_time();
	EXPECT_EQ(p.revents, POLLIN);
	expect_byte(p.fd);
}

static void poll_in_raw(void)
{
	struct pollfd p = { .fd = prepare(sends), .events = POLLIN };

	EXPECT_EQ(syscall(SYS_poll, &p, 1, 10000), 1);
	expect_in_time();
	EXPECT_EQ(p.revents, POLLIN);
	expect_byte(p.fd);
}

static void select_in(void)
{
	struct timeval limit = { .tv_sec = 10 };
	int fd = prepare(sends);
	fd_set in;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	EXPECT_EQ(select(fd + 1, &in, NULL, NULL, &limit), 1);
	expect_in_time();
	expect_byte(fd);
}

static void epoll_level(void)
{
	int fd = prepare(sends), e = epoll_of(fd, EPOLLIN);

	EXPECT_EQ(wait_epoll(e), EPOLLIN);
	expect_in_time();
	EXPECT_EQ(wait_epoll(e), EPOLLIN);
	expect_byte(fd);
}

static void epoll_edge(void)
{
	int fd = prepare(sends), e = epoll_of(fd, EPOLLIN | EPOLLET);

	EXPECT_EQ(wait_epoll(e), EPOLLIN);
	expect_in_time();
	expect_byte(fd);
	/* More edges than arrivals are allowed, but not without end. */
	for (int i = 0; wait_events(e, 100); i++)
		EXPECT(i < 2);
}

static void epoll_oneshot(void)
{
	int fd = prepare(sends), e = epoll_of(fd, EPOLLIN | EPOLLONESHOT);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT };

	EXPECT_EQ(wait_epoll(e), EPOLLIN);
	expect_in_time();
	EXPECT_EQ(epoll_wait(e, &ev, 1, 100), 0);
	ev.events = EPOLLIN | EPOLLONESHOT;
	EXPECT(!epoll_ctl(e, EPOLL_CTL_MOD, fd, &ev));
	EXPECT_EQ(wait_epoll(e), EPOLLIN);
	expect_byte(fd);
}

/* Added to the set before it was leased, as servers do. */
static void epoll_before_lease(void)
{
	int e;

	deed = sends;
	pair = net_pair();
	e = epoll_of(pair.c, EPOLLIN);
	net_warm(pair.c, pair.s);
	check_fork(later, NULL);
	close(pair.s);
	begin = net_ms();
	EXPECT_EQ(wait_epoll(e), EPOLLIN);
	expect_in_time();
	expect_byte(pair.c);
}

static void epoll_nested(void)
{
	int fd = prepare(sends), inner = epoll_of(fd, EPOLLIN);
	int outer = epoll_of(inner, EPOLLIN);

	EXPECT_EQ(wait_epoll(outer), EPOLLIN);
	expect_in_time();
	EXPECT_EQ(wait_epoll(inner), EPOLLIN);
	expect_byte(fd);
}

static void receive_sleeps(void)
{
	int fd = prepare(sends);
	char byte;

	EXPECT_EQ(recv(fd, &byte, 1, 0), 1);
	expect_in_time();
}

static void peer_closes(void)
{
	int e = epoll_of(prepare(closes), EPOLLIN | EPOLLRDHUP);

	EXPECT_EQ(wait_epoll(e), EPOLLIN | EPOLLRDHUP);
	expect_in_time();
	net_expect_eof(pair.c);
	EXPECT(!shutdown(pair.c, SHUT_WR));
	EXPECT(wait_epoll(e) & EPOLLHUP);
}

static void peer_shuts(void)
{
	int fd = prepare(shuts), e = epoll_of(fd, EPOLLRDHUP);

	EXPECT_EQ(wait_epoll(e), EPOLLRDHUP);
	expect_in_time();
	net_expect_eof(fd);
	EXPECT_EQ(send(fd, "x", 1, MSG_NOSIGNAL), 1);
}

static void peer_resets(void)
{
	int fd = prepare(resets), e = epoll_of(fd, EPOLLRDHUP);
	char byte;

	EXPECT(wait_epoll(e) & EPOLLERR);
	expect_in_time();
	EXPECT_ERR(recv(fd, &byte, 1, 0), ECONNRESET);
}

static void room_to_send(void)
{
	int fd = prepare(drains), e;
	static char block[65536];

	net_nonblock(fd);
	while (send(fd, block, sizeof(block), 0) > 0)
		;
	EXPECT_EQ(errno, EAGAIN);
	e = epoll_of(fd, EPOLLOUT);
	EXPECT_EQ(wait_epoll(e), EPOLLOUT);
	EXPECT(net_ms() - begin < 5000);
	EXPECT(send(fd, block, 1, 0) == 1);
}

static int polls(void *arg)
{
	struct pollfd p = { .fd = pair.c, .events = POLLIN };

	close(pair.s);
	EXPECT_EQ(poll(&p, 1, 10000), 1);
	EXPECT_EQ(p.revents, POLLIN);
	return CHECK_PASS;
}

/* A process that does not hold the lease waits on the socket. */
static void foreign_poll(void)
{
	pid_t pid;

	pair = net_warm_pair();
	pid = check_fork(polls, NULL);
	usleep(SLEEP_US);
	/* Leased again meanwhile by who is not waiting. */
	net_exchange(pair.s, pair.c);
	net_send(pair.s, "x", 1);
	check_wait(pid);
	expect_byte(pair.c);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
static const struct check checks[] = {
	CHECK(poll_in),	       CHECK(poll_in_raw),  CHECK(select_in),
	CHECK(epoll_level),    CHECK(epoll_edge),   CHECK(epoll_oneshot),
	CHECK(epoll_nested),   CHECK(peer_closes),  CHECK(epoll_before_lease),
	CHECK(receive_sleeps), CHECK(peer_shuts),   CHECK(peer_resets),
	CHECK(room_to_send),   CHECK(foreign_poll),
};

int main(int argc, char **argv)
{
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 1 ? argv[1] : NULL);
}
