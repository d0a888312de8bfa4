// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "net.h"

/* A lease comes within milliseconds; back-off may take a second. */
#define WARM_MS 5000

bool net_ipv6;
bool net_family_onload;

/* Enters a namespace; returns a descriptor of the one left, or -1. */
static int enter(const char *variable)
{
	const char *name = getenv(variable);
	char path[256];
	int here, there;

	if (!name)
		return -1;
	here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	there = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(here >= 0 && there >= 0);
	EXPECT(!setns(there, CLONE_NEWNET));
	close(there);
	return here;
}

static void leave(int here)
{
	if (here < 0)
		return;
	EXPECT(!setns(here, CLONE_NEWNET));
	close(here);
}

int net_socket(int type)
{
	int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
	int protocol = 0, family = net_ipv6 ? AF_INET6 : AF_INET;
	int fd;

	if (net_family_onload) {
		family = AF_ONLOAD;
		if (net_ipv6)
			protocol = kind == SOCK_DGRAM ? ONLOADPROTO_UDP6
						      : ONLOADPROTO_TCP6;
	}
	fd = socket(family, type, protocol);
	EXPECT(fd >= 0);
	return fd;
}

void net_address(struct addr *a)
{
	const char *text = getenv("T_ADDR");

	memset(a, 0, sizeof(*a));
	if (net_ipv6) {
		struct sockaddr_in6 *in6 = (void *)&a->sa;

		in6->sin6_family = AF_INET6;
		EXPECT(inet_pton(AF_INET6, text ? text : "::1",
				 &in6->sin6_addr) == 1);
		a->len = sizeof(*in6);
	} else {
		struct sockaddr_in *in = (void *)&a->sa;

		in->sin_family = AF_INET;
		EXPECT(inet_pton(AF_INET, text ? text : "127.0.0.1",
				 &in->sin_addr) == 1);
		a->len = sizeof(*in);
	}
}

int net_listen(struct addr *at)
{
	int here = enter("T_SERVER_NS");
	int fd = net_socket(SOCK_STREAM | SOCK_CLOEXEC);

	leave(here);
	net_address(at);
	EXPECT(!bind(fd, (void *)&at->sa, at->len));
	EXPECT(!listen(fd, 64));
	EXPECT(!getsockname(fd, (void *)&at->sa, &at->len));
	return fd;
}

int net_client_socket(void)
{
	int here = enter("T_CLIENT_NS");
	int fd = net_socket(SOCK_STREAM);

	leave(here);
	return fd;
}

int net_dial(const struct addr *to)
{
	int fd = net_client_socket();

	EXPECT(!connect(fd, (const void *)&to->sa, to->len));
	return fd;
}

struct pair net_pair(void)
{
	struct pair p;
	struct addr at;
	int l = net_listen(&at);

	p.c = net_dial(&at);
	p.s = accept(l, NULL, NULL);
	EXPECT(p.s >= 0);
	close(l);
	return p;
}

static bool leased(int fd, struct onload_info *info)
{
	return net_info(fd, info) && info->leased;
}

void net_exchange(int a, int b)
{
	char byte = 'w';

	net_send(a, &byte, 1);
	net_recv(b, &byte, 1);
	net_send(b, &byte, 1);
	net_recv(a, &byte, 1);
}

void net_warm(int a, int b)
{
	uint64_t end = net_ms() + WARM_MS;
	struct onload_info ia, ib;

	do {
		net_exchange(a, b);
		if (!net_preloaded() || (leased(a, &ia) && leased(b, &ib)))
			return;
		usleep(500);
	} while (net_ms() < end);
	EXPECT(net_info(a, &ia) && net_info(b, &ib));
	check_fail(__FILE__, __LINE__,
		   "not leased: %s (%llu leases), %s (%llu leases)",
		   net_reason(ia.reason), (unsigned long long)ia.leases,
		   net_reason(ib.reason), (unsigned long long)ib.leases);
}

struct pair net_warm_pair(void)
{
	struct pair p = net_pair();

	net_warm(p.c, p.s);
	return p;
}

bool net_preloaded(void)
{
	const char *list = getenv("LD_PRELOAD");

	return list && strstr(list, "libonload");
}

bool net_info(int fd, struct onload_info *info)
{
	socklen_t len = sizeof(*info);

	return !getsockopt(fd, SOL_ONLOAD, ONLOAD_INFO, info, &len);
}

bool net_wired(int fd)
{
	struct onload_info info;

	return net_info(fd, &info) && info.leased == ONLOAD_PATH_WIRE;
}

const char *net_reason(uint32_t reason)
{
	static const char *const words[] = {
#define X(name, word, text) word,
		ONLOAD_REASONS(X)
#undef X
	};

	return reason < ONLOAD_R_MAX ? words[reason] : "unknown";
}

void net_send(int fd, const void *buf, size_t len)
{
	while (len) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		EXPECT(n > 0);
		buf = (const char *)buf + n;
		len -= n;
	}
}

void net_recv(int fd, void *buf, size_t len)
{
	while (len) {
		ssize_t n = recv(fd, buf, len, 0);

		EXPECT(n > 0);
		buf = (char *)buf + n;
		len -= n;
	}
}

void net_expect_eof(int fd)
{
	char byte;

	EXPECT_EQ(recv(fd, &byte, 1, 0), 0);
}

void net_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	EXPECT(flags >= 0 && !fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

bool net_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & (POLLIN | POLLERR | POLLHUP);
}

void net_pass_fd(int channel, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	EXPECT_EQ(sendmsg(channel, &msg, 0), 1);
}

int net_take_fd(int channel)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int fd;

	EXPECT_EQ(recvmsg(channel, &msg, 0), 1);
	EXPECT(CMSG_FIRSTHDR(&msg) &&
	       CMSG_FIRSTHDR(&msg)->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

uint64_t net_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}
