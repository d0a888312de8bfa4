// SPDX-License-Identifier: GPL-2.0
/* Connecting, accepting and waiting. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <unistd.h>

#include "api.h"
#include "net.h"

static int so_error(int fd)
{
	int err;
	socklen_t len = sizeof(err);

	EXPECT(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len));
	return err;
}

static short polled(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	EXPECT(poll(&p, 1, ms) >= 0);
	return p.revents;
}

static void connect_nonblock(void)
{
	struct addr at;
	int l = net_listen(&at), s;
	int c = net_client_socket();

	net_nonblock(c);
	net_nonblock(l);
	EXPECT_ERR(accept(l, NULL, NULL), EAGAIN);
	if (connect(c, (void *)&at.sa, at.len))
		EXPECT_EQ(errno, EINPROGRESS);
	EXPECT_EQ(polled(c, POLLOUT, 5000), POLLOUT);
	EXPECT_EQ(so_error(c), 0);
	/* The first call after EINPROGRESS reports success, the next not. */
	if (connect(c, (void *)&at.sa, at.len))
		EXPECT_EQ(errno, EISCONN);
	EXPECT_ERR(connect(c, (void *)&at.sa, at.len), EISCONN);
	EXPECT_EQ(polled(l, POLLIN, 5000), POLLIN);
	s = accept(l, NULL, NULL);
	EXPECT(s >= 0);
	EXPECT_ERR(recv(c, &at, 1, 0), EAGAIN);
	net_send(s, "x", 1);
	EXPECT_EQ(polled(c, POLLIN, 5000), POLLIN);
}

static void connect_refused(void)
{
	struct addr at;
	int l = net_listen(&at);
	int c = net_client_socket();

	close(l);
	EXPECT_ERR(connect(c, (void *)&at.sa, at.len), ECONNREFUSED);
	close(c);
	c = net_client_socket();
	net_nonblock(c);
	if (connect(c, (void *)&at.sa, at.len))
		EXPECT(errno == EINPROGRESS || errno == ECONNREFUSED);
	if (errno == EINPROGRESS) {
		EXPECT(polled(c, POLLOUT, 5000) & POLLERR);
		EXPECT_EQ(so_error(c), ECONNREFUSED);
	}
}

static void not_connected(void)
{
	int fd = net_client_socket();
	char byte;

	EXPECT_ERR(recv(fd, &byte, 1, 0), ENOTCONN);
	EXPECT_ERR(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	EXPECT_ERR(shutdown(fd, SHUT_WR), ENOTCONN);
	EXPECT_ERR(accept(fd, NULL, NULL), EINVAL);
	EXPECT_EQ(polled(fd, POLLIN | POLLOUT, 0), POLLOUT | POLLHUP);
}

static void address_in_use(void)
{
	struct addr at;
	int l = net_listen(&at);
	int fd = net_socket(SOCK_STREAM);

	EXPECT_ERR(bind(fd, (void *)&at.sa, at.len), EADDRINUSE);
	close(l);
	EXPECT(!bind(fd, (void *)&at.sa, at.len));
}

static void accept4_flags(void)
{
	struct addr at, peer = { .len = sizeof(peer.sa) };
	int l = net_listen(&at);
	int c = net_dial(&at);
	int s = accept4(l, (void *)&peer.sa, &peer.len,
			SOCK_NONBLOCK | SOCK_CLOEXEC);

	EXPECT(s >= 0);
	EXPECT_EQ(peer.len, at.len);
	EXPECT_EQ(peer.sa.ss_family, net_ipv6 ? AF_INET6 : AF_INET);
	EXPECT(fcntl(s, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(fcntl(s, F_GETFD), FD_CLOEXEC);
	EXPECT_ERR(recv(s, &peer, 1, 0), EAGAIN);
	EXPECT_ERR(accept4(l, NULL, NULL, 1), EINVAL);
	close(s);
	net_expect_eof(c);
}

static void poll_states(void)
{
	struct pair p = net_warm_pair();
	char byte;

	EXPECT_EQ(polled(p.s, POLLIN | POLLOUT, 0), POLLOUT);
	net_send(p.c, "x", 1);
	EXPECT_EQ(polled(p.s, POLLIN, 5000), POLLIN);
	EXPECT_EQ(polled(p.s, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
	net_recv(p.s, &byte, 1);
	EXPECT_EQ(polled(p.s, POLLIN, 0), 0);
	EXPECT(!shutdown(p.c, SHUT_WR));
	EXPECT_EQ(polled(p.s, POLLRDHUP, 5000), POLLRDHUP);
	EXPECT_EQ(polled(p.s, POLLIN | POLLRDHUP, 0), POLLIN | POLLRDHUP);
	net_expect_eof(p.s);
	EXPECT(!shutdown(p.s, SHUT_WR));
	EXPECT(polled(p.c, POLLIN, 5000) & POLLHUP);
}

static void select_states(void)
{
	struct pair p = net_warm_pair();
	struct timeval now = { 0 }, later = { .tv_sec = 5 };
	fd_set in, out;

	FD_ZERO(&in);
	FD_SET(p.s, &in);
	out = in;
	EXPECT_EQ(select(p.s + 1, &in, &out, NULL, &now), 1);
	EXPECT(!FD_ISSET(p.s, &in) && FD_ISSET(p.s, &out));
	net_send(p.c, "x", 1);
	FD_SET(p.s, &in);
	EXPECT_EQ(select(p.s + 1, &in, NULL, NULL, &later), 1);
}

static int watch(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };
	int e = epoll_create1(EPOLL_CLOEXEC);

	EXPECT(e >= 0 && !epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev));
	return e;
}

static uint32_t waited(int e, int ms)
{
	struct epoll_event ev;
	int n = epoll_wait(e, &ev, 1, ms);

	EXPECT(n >= 0);
	return n ? ev.events : 0;
}

static void epoll_level(void)
{
	struct pair p = net_warm_pair();
	int e = watch(p.s, EPOLLIN);
	char two[2];

	EXPECT_EQ(waited(e, 0), 0);
	net_send(p.c, "ab", 2);
	EXPECT_EQ(waited(e, 5000), EPOLLIN);
	EXPECT_EQ(waited(e, 0), EPOLLIN);
	net_recv(p.s, two, 1);
	EXPECT_EQ(waited(e, 5000), EPOLLIN);
	net_recv(p.s, two, 1);
	EXPECT_EQ(waited(e, 0), 0);
	close(p.c);
	EXPECT_EQ(waited(e, 5000), EPOLLIN);
}

static void epoll_edge(void)
{
	struct pair p = net_warm_pair();
	int e = watch(p.s, EPOLLIN | EPOLLRDHUP | EPOLLET), edges = 0;
	char two[2];

	EXPECT_EQ(waited(e, 0), 0);
	net_send(p.c, "a", 1);
	EXPECT_EQ(waited(e, 5000), EPOLLIN);
	net_send(p.c, "b", 1);
	EXPECT_EQ(waited(e, 5000), EPOLLIN);
	net_recv(p.s, two, 2);
	close(p.c);
	/* There may be more edges than arrivals. */
	while (waited(e, 5000) != (EPOLLIN | EPOLLRDHUP))
		EXPECT(edges++ < 3);
}

static void epoll_oneshot(void)
{
	struct pair p = net_warm_pair();
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT };
	int e = watch(p.s, EPOLLIN | EPOLLONESHOT);

	net_send(p.c, "a", 1);
	EXPECT_EQ(waited(e, 5000), EPOLLIN);
	net_send(p.c, "b", 1);
	EXPECT_EQ(waited(e, 50), 0);
	EXPECT(!epoll_ctl(e, EPOLL_CTL_MOD, p.s, &ev));
	EXPECT_EQ(waited(e, 5000), EPOLLIN);
}

static void epoll_out(void)
{
	struct pair p = net_warm_pair();
	int e = watch(p.c, EPOLLOUT | EPOLLET);
	static char block[32768];
	size_t sent = 0, got = 0;
	ssize_t n;

	EXPECT_EQ(waited(e, 5000), EPOLLOUT);
	net_nonblock(p.c);
	net_nonblock(p.s);
	while ((n = send(p.c, block, sizeof(block), 0)) > 0)
		sent += n;
	EXPECT_EQ(errno, EAGAIN);
	while (got < sent) {
		EXPECT(net_readable(p.s, 5000));
		while ((n = recv(p.s, block, sizeof(block), 0)) > 0)
			got += n;
		EXPECT_EQ(errno, EAGAIN);
	}
	EXPECT_EQ(got, sent);
	EXPECT_EQ(waited(e, 5000), EPOLLOUT);
	EXPECT(send(p.c, block, 1, 0) == 1);
}

static void rcvlowat(void)
{
	struct pair p = net_warm_pair();
	int low = 10;
	char buf[10];

	EXPECT(!setsockopt(p.s, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	net_send(p.c, "12345", 5);
	EXPECT_EQ(polled(p.s, POLLIN, 100), 0);
	net_send(p.c, "67890", 5);
	EXPECT_EQ(polled(p.s, POLLIN, 5000), POLLIN);
	EXPECT_EQ(recv(p.s, buf, sizeof(buf), 0), 10);
}

static uint64_t limited(int fd, int option, int ms)
{
	struct timeval tv = { .tv_usec = ms * 1000 };

	EXPECT(!setsockopt(fd, SOL_SOCKET, option, &tv, sizeof(tv)));
	return net_ms();
}

static void receive_timeout(void)
{
	struct pair p = net_warm_pair();
	uint64_t begin = limited(p.s, SO_RCVTIMEO, 200), took;
	char byte;

	EXPECT_ERR(recv(p.s, &byte, 1, 0), EAGAIN);
	took = net_ms() - begin;
	/* Above is only for a call that never ends: the machine may be busy. */
	EXPECT(took >= 190 && took < 20000);
	net_send(p.c, "x", 1);
	net_recv(p.s, &byte, 1);
}

static void send_timeout(void)
{
	struct pair p = net_warm_pair();
	uint64_t begin = limited(p.c, SO_SNDTIMEO, 200), took;
	static char block[65536];

	while (send(p.c, block, sizeof(block), 0) > 0)
		EXPECT(net_ms() - begin < 20000);
	EXPECT_EQ(errno, EAGAIN);
	took = net_ms() - begin;
	EXPECT(took >= 190);
}

/*
 * A full wire is waited for before Linux's greater buffers are asked, but not
 * for longer than the call may take. The least of some: the machine may be busy.
 */
static void send_timeout_on_wire(void)
{
	static const char block[4096];
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 10; i++) {
		struct pair p = net_pair();
		uint64_t begin, took;

		limited(p.c, SO_SNDTIMEO, 8);
		net_warm(p.c, p.s);
		if (!net_wired(p.c))
			check_skip("no wire");
		while (send(p.c, block, sizeof(block), MSG_DONTWAIT) > 0)
			;
		EXPECT_EQ(errno, EAGAIN);
		EXPECT(net_wired(p.c));
		begin = net_ms();
		EXPECT_EQ(send(p.c, "x", 1, 0), 1);
		took = net_ms() - begin;
		if (took < least)
			least = took;
		close(p.c);
		close(p.s);
	}
	check_note("%llu ms", (unsigned long long)least);
	EXPECT(least < 15);
}

static void *receives(void *arg)
{
	char byte;

	net_recv(*(int *)arg, &byte, 1);
	return NULL;
}

/* Before, at and in its sleep; the connection survives it. */
static void cancelled(void)
{
	struct pair p = net_warm_pair();
	pthread_t t;
	void *end;

	for (int i = 0; i < 20; i++) {
		EXPECT(!pthread_create(&t, NULL, receives, &p.s));
		usleep(i * 200);
		EXPECT(!pthread_cancel(t));
		EXPECT(!pthread_join(t, &end));
		EXPECT(end == PTHREAD_CANCELED);
	}
	net_exchange(p.c, p.s);
}

/* What follows under the same number is none of its business. */
static void *stays(void *arg)
{
	char byte;
	ssize_t n = recv(*(int *)arg, &byte, 1, 0);

	/* Linux stays with the old connection; the library says EBADF. */
	if (n < 0)
		EXPECT_EQ(errno, net_preloaded() ? EBADF : 0);
	else
		EXPECT(n == 1 && byte == 'o');
	return NULL;
}

static void closed_meanwhile(void)
{
	struct pair old = net_warm_pair(), new = net_warm_pair();
	int other = dup(old.s), one = 1;
	pthread_t t;
	char byte;

	EXPECT(other >= 0);
	EXPECT(!pthread_create(&t, NULL, stays, &old.s));
	usleep(100000);
	EXPECT_EQ(dup2(new.s, old.s), old.s);
	/* Which ends the lease that it sleeps on */
	EXPECT(!setsockopt(other, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	net_send(old.c, "o", 1);
	usleep(100000);
	net_send(new.c, "n", 1);
	pthread_join(t, NULL);
	net_recv(old.s, &byte, 1);
	EXPECT_EQ(byte, 'n');
}

static int cancels_itself(void *arg)
{
	struct pair p = net_warm_pair();
	char byte;

	net_send(p.c, "x", 1);
	EXPECT(net_readable(p.s, 5000));
	EXPECT(!pthread_cancel(pthread_self()));
	net_recv(p.s, &byte, 1);
	return CHECK_FAIL;
}

/* The only thread; its end is the end of the process, and a good one. */
static void cancelled_by_itself(void)
{
	check_wait(check_fork(cancels_itself, NULL));
}

static void loopback(bool up)
{
	struct ifreq req = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	EXPECT(fd >= 0 && !ioctl(fd, SIOCGIFFLAGS, &req));
	req.ifr_flags = up ? req.ifr_flags | IFF_UP : req.ifr_flags & ~IFF_UP;
	EXPECT(!ioctl(fd, SIOCSIFFLAGS, &req));
	close(fd);
}

static void keep_alive(int fd)
{
	int one = 1;

	EXPECT(!setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	EXPECT(!setsockopt(fd, SOL_TCP, TCP_KEEPIDLE, &one, sizeof(one)));
	EXPECT(!setsockopt(fd, SOL_TCP, TCP_KEEPINTVL, &one, sizeof(one)));
	EXPECT(!setsockopt(fd, SOL_TCP, TCP_KEEPCNT, &one, sizeof(one)));
}

static void *wait_asleep(void *arg)
{
	char byte;

	EXPECT_EQ(recv(*(int *)arg, &byte, 1, 0), -1);
	return (void *)(intptr_t)errno;
}

static void *wait_polling(void *arg)
{
	int fd = *(int *)arg;

	EXPECT(polled(fd, POLLIN, 30000) & POLLERR);
	return (void *)(intptr_t)so_error(fd);
}

static void *wait_spinning(void *arg)
{
	uint64_t end = net_ms() + 30000;
	char byte;

	while (recv(*(int *)arg, &byte, 1, MSG_DONTWAIT) < 0 &&
	       errno == EAGAIN && net_ms() < end)
		sched_yield();
	return (void *)(intptr_t)errno;
}

/* Nothing comes through any more: Linux finds out, and everybody learns of it */
static void keepalive_ends(void)
{
	void *(*const waits[])(void *) = { wait_asleep, wait_polling,
					   wait_spinning };
	struct pair p[3];
	pthread_t t[3];
	void *err;

	if (unshare(CLONE_NEWNET))
		check_skip("no network namespace");
	loopback(true);
	for (int i = 0; i < 3; i++) {
		p[i] = net_pair();
		keep_alive(p[i].c);
		net_warm(p[i].c, p[i].s);
		EXPECT(!pthread_create(&t[i], NULL, waits[i], &p[i].c));
	}
	usleep(100000);
	loopback(false);
	for (int i = 0; i < 3; i++) {
		EXPECT(!pthread_join(t[i], &err));
		/* The address is gone with the device, and so is the route. */
		EXPECT_EQ((intptr_t)err, net_ipv6 ? ENETUNREACH : ETIMEDOUT);
	}
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
const struct check api_wait[] = {
	CHECK(connect_nonblock),
	CHECK(connect_refused),
	CHECK(not_connected),
	CHECK(address_in_use),
	CHECK(accept4_flags),
	CHECK(poll_states),
	CHECK(select_states),
	CHECK(epoll_level),
	CHECK(epoll_edge),
	CHECK(epoll_oneshot),
	CHECK(epoll_out),
	CHECK(rcvlowat),
	CHECK(receive_timeout),
	CHECK(send_timeout),
	CHECK(send_timeout_on_wire),
	CHECK(keepalive_ends),
	CHECK(cancelled),
	CHECK(closed_meanwhile),
	CHECK(cancelled_by_itself),
};
const size_t api_wait_count = sizeof(api_wait) / sizeof(*api_wait);
