// SPDX-License-Identifier: GPL-2.0
/*
 * What other threads, handlers and processes do to a socket meanwhile:
 * races [4|6 [NAME]].
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <unistd.h>

#include "check.h"
#include "net.h"

#ifndef SOL_TCP
#define SOL_TCP 6
#endif

static int closed_here;

static void on_close(int sig)
{
	close(closed_here);
}

/* At any instruction of a look that finds nothing */
static void closed_by_handler(void)
{
	struct sigaction sa = { .sa_handler = on_close };
	struct itimerval once = { .it_value.tv_usec = 1000 };
	char byte;

	EXPECT(!sigaction(SIGALRM, &sa, NULL));
	for (int i = 0; i < 20; i++) {
		struct pair p = net_warm_pair();

		closed_here = p.s;
		EXPECT(!setitimer(ITIMER_REAL, &once, NULL));
		while (recv(p.s, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
			;
		EXPECT_EQ(errno, EBADF);
		net_expect_eof(p.c);
		close(p.c);
	}
}

struct sender {
	int fd;
	int error;
};

static void *sends_one(void *arg)
{
	struct sender *s = arg;

	s->error = send(s->fd, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : errno;
	return NULL;
}

/* The number is closed while a thread waits for room; the socket lives on. */
static void closed_while_full(void)
{
	static char block[4096];
	struct pair p = net_warm_pair();
	struct sender s = { p.c, 0 };
	size_t sent = 0, got = 0;
	uint8_t seen = 0;
	int other;
	pthread_t t;
	ssize_t n;

	net_exchange(p.c, p.s);
	other = dup(p.c);
	EXPECT(other >= 0);
	for (;; sent += n) {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = (char)((sent + i) % 251);
		n = send(p.c, block, sizeof(block), MSG_DONTWAIT);
		if (n < 0)
			break;
	}
	EXPECT_EQ(errno, EAGAIN);
	EXPECT(!pthread_create(&t, NULL, sends_one, &s));
	usleep(5000);
	close(p.c);
	usleep(60000);
	send(other, "y", 1, MSG_DONTWAIT);
	while (got < sent) {
		n = recv(p.s, block, sizeof(block), 0);
		EXPECT(n > 0);
		for (ssize_t i = 0; i < n && got < sent; i++, got++)
			EXPECT_EQ((uint8_t)block[i], (uint8_t)(got % 251));
	}
	pthread_join(t, NULL);
	EXPECT(!s.error || s.error == EBADF);
	shutdown(other, SHUT_WR);
	while ((n = recv(p.s, &seen, 1, 0)) > 0)
		EXPECT(seen == 'x' || seen == 'y');
	EXPECT_EQ(n, 0);
}

struct poller {
	int fd;
	bool stamped; /* atomic */
};

static void *receives_stamped(void *arg)
{
	struct poller *p = arg;
	char byte, control[256];
	struct iovec iov = { &byte, 1 };
	bool stamped = false;
	ssize_t n;

	do {
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		struct cmsghdr *c;

		n = recvmsg(p->fd, &msg, MSG_DONTWAIT);
		if (n < 0) {
			EXPECT_EQ(errno, EAGAIN);
			continue;
		}
		c = n ? CMSG_FIRSTHDR(&msg) : NULL;
		stamped = c && c->cmsg_level == SOL_SOCKET &&
			  c->cmsg_type == SO_TIMESTAMP;
		__atomic_store_n(&p->stamped, stamped, __ATOMIC_RELEASE);
	} while (n && !stamped);
	return NULL;
}

/* In force soon after setsockopt(), whoever leases at that moment */
static void option_in_between(void)
{
	int on = 1;

	for (int i = 0; i < 10; i++) {
		struct pair p = net_warm_pair();
		struct poller poll = { .fd = p.s };
		pthread_t t;

		EXPECT(!pthread_create(&t, NULL, receives_stamped, &poll));
		usleep(1000);
		EXPECT(!setsockopt(p.s, SOL_SOCKET, SO_TIMESTAMP, &on,
				   sizeof(on)));
		/* Linux itself begins to look at the clock a little later. */
		for (int k = 0; k < 100; k++) {
			net_send(p.c, "x", 1);
			usleep(5000);
			if (__atomic_load_n(&poll.stamped, __ATOMIC_ACQUIRE))
				break;
		}
		shutdown(p.c, SHUT_WR);
		pthread_join(t, NULL);
		EXPECT(poll.stamped);
		close(p.c);
		close(p.s);
	}
}

/* Another process, and one that no library helps: by bare system calls */
static void in_another(int fd, void (*what)(int fd))
{
	int status;
	pid_t pid = fork();

	EXPECT(pid >= 0);
	if (!pid) {
		what(fd);
		_exit(CHECK_PASS);
	}
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

static void sets_nonblock(int fd)
{
	int on = 1;

	EXPECT(!syscall(SYS_ioctl, fd, FIONBIO, &on));
}

static void nonblock_by_another(void)
{
	struct pair p = net_warm_pair();
	char byte;

	in_another(p.s, sets_nonblock);
	EXPECT_ERR(recv(p.s, &byte, 1, 0), EAGAIN);
	net_exchange(p.c, p.s);
	EXPECT_ERR(recv(p.s, &byte, 1, 0), EAGAIN);
}

static void sets_timeout(int fd)
{
	struct timeval tv = { .tv_usec = 200000 };

	EXPECT(!syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &tv,
			sizeof(tv)));
}

static void timeout_by_another(void)
{
	struct pair p = net_warm_pair();
	char byte;

	in_another(p.s, sets_timeout);
	EXPECT_ERR(recv(p.s, &byte, 1, 0), EAGAIN);
	net_warm(p.c, p.s);
	EXPECT_ERR(recv(p.s, &byte, 1, 0), EAGAIN);
}

static void sets_keepalive(int fd)
{
	int on = 1;

	EXPECT(!syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, &on,
			sizeof(on)));
}

/* The peer is there all the time. */
static void keepalive_by_another(void)
{
	struct pair p = net_pair();
	int one = 1;
	char byte;

	EXPECT(!setsockopt(p.c, SOL_TCP, TCP_KEEPIDLE, &one, sizeof(one)));
	EXPECT(!setsockopt(p.c, SOL_TCP, TCP_KEEPINTVL, &one, sizeof(one)));
	EXPECT(!setsockopt(p.c, SOL_TCP, TCP_KEEPCNT, &one, sizeof(one)));
	net_warm(p.c, p.s);
	in_another(p.c, sets_keepalive);
	for (int i = 0; i < 50; i++) {
		net_send(p.s, "x", 1);
		net_recv(p.c, &byte, 1);
		usleep(50000);
	}
	net_exchange(p.c, p.s);
}

static void *asks(void *arg)
{
	int bytes;

	usleep(300000);
	EXPECT(!ioctl(*(int *)arg, SIOCINQ, &bytes));
	return NULL;
}

/* A time-out does not begin anew because another thread ends the lease. */
static void timeout_goes_on(void)
{
	struct timeval tv = { .tv_usec = 400000 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 2; i++) {
		struct pair p = net_pair();
		uint64_t began;
		pthread_t t;
		char byte;

		EXPECT(!setsockopt(p.s, SOL_SOCKET, SO_RCVTIMEO, &tv,
				   sizeof(tv)));
		net_warm(p.c, p.s);
		EXPECT(!pthread_create(&t, NULL, asks, &p.s));
		began = net_ms();
		EXPECT_ERR(recv(p.s, &byte, 1, 0), EAGAIN);
		began = net_ms() - began;
		EXPECT(began >= 390);
		if (began < least)
			least = began;
		pthread_join(t, NULL);
		close(p.c);
		close(p.s);
	}
	check_note("%llu ms", (unsigned long long)least);
	EXPECT(least < 600);
}

static void *receives_one(void *arg)
{
	struct sender *s = arg;
	char byte;

	s->error = recv(s->fd, &byte, 1, 0) == 1 ? 0 : errno;
	return NULL;
}

/* The socket returns to Linux for good under a thread that waits. */
static void retired_while_waiting(void)
{
	struct pair p = net_pair();
	struct sender s = { p.s, 0 };
	pthread_t t;
	char byte;

	/* This end asks for a wire, the other one does not. */
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(syscall(SYS_sendto, p.c, "x", 1, 0, NULL, 0), 1);
		net_recv(p.s, &byte, 1);
		usleep(10000);
	}
	EXPECT(!pthread_create(&t, NULL, receives_one, &s));
	usleep(50000);
	if (setsockopt(p.s, SOL_TCP, TCP_ULP, "tls", 4)) {
		EXPECT_EQ(errno, ENOENT);
		check_skip("no kernel TLS");
	}
	usleep(600000);
	net_send(p.c, "x", 1);
	pthread_join(t, NULL);
	EXPECT_EQ(s.error, 0);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
static const struct check checks[] = {
	CHECK(closed_by_handler),  CHECK(closed_while_full),
	CHECK(option_in_between),  CHECK(nonblock_by_another),
	CHECK(timeout_by_another), CHECK(keepalive_by_another),
	CHECK(timeout_goes_on),	   CHECK(retired_while_waiting),
};

int main(int argc, char **argv)
{
	net_ipv6 = argc > 1 && !strcmp(argv[1], "6");
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 2 ? argv[2] : NULL);
}
