// SPDX-License-Identifier: GPL-2.0
/* Signals, in the middle of calls. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "api.h"
#include "net.h"

static volatile sig_atomic_t interrupts;

static void on_signal(int sig)
{
	interrupts++;
}

static void catch (int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	EXPECT(!sigaction(sig, &sa, NULL));
}

struct poke {
	pthread_t who;
	int fd; /* where to send a byte afterwards, or -1 */
};

/* Until it has been noticed: the other may not sleep yet when the first comes. */
static void *poker(void *arg)
{
	struct poke *p = arg;

	usleep(100000);
	do {
		pthread_kill(p->who, SIGUSR1);
		usleep(50000);
	} while (!interrupts);
	usleep(100000);
	if (p->fd >= 0)
		net_send(p->fd, "x", 1);
	return NULL;
}

static void interrupted(void)
{
	struct pair p = net_warm_pair();
	struct poke poke = { pthread_self(), -1 };
	pthread_t t;
	char byte;

	catch (SIGUSR1, on_signal, 0);
	EXPECT(!pthread_create(&t, NULL, poker, &poke));
	EXPECT_ERR(recv(p.s, &byte, 1, 0), EINTR);
	pthread_join(t, NULL);
	EXPECT(interrupts);
}

static void restarted(void)
{
	struct pair p = net_warm_pair();
	struct poke poke = { pthread_self(), p.c };
	pthread_t t;
	char byte;

	catch (SIGUSR1, on_signal, SA_RESTART);
	EXPECT(!pthread_create(&t, NULL, poker, &poke));
	EXPECT_EQ(recv(p.s, &byte, 1, 0), 1);
	pthread_join(t, NULL);
	EXPECT(interrupts);
}

static void send_part(int fd)
{
	char buf[60] = "";

	net_send(fd, buf, sizeof(buf));
}

/* 60 bytes of 61 when @pokes signals; the last one follows. */
static void receive_part(struct pair p, void *(*pokes)(void *))
{
	struct poke poke = { pthread_self(), p.c };
	pthread_t t;
	char buf[61];

	catch (SIGUSR1, on_signal, SA_RESTART);
	EXPECT(!pthread_create(&t, NULL, pokes, &poke));
	EXPECT_EQ(recv(p.s, buf, 61, MSG_WAITALL), 60);
	pthread_join(t, NULL);
	net_recv(p.s, buf, 1);
}

/* A call that has done part of what it was to do says how much. */
static void part_received(void)
{
	struct pair p = net_warm_pair();

	send_part(p.c);
	EXPECT(net_readable(p.s, 5000));
	receive_part(p, poker);
}

static void *late_poker(void *arg)
{
	struct poke *p = arg;

	usleep(100000);
	send_part(p->fd);
	return poker(arg);
}

/* The same if it has slept before there was anything */
static void part_received_later(void)
{
	receive_part(net_warm_pair(), late_poker);
}

/* The same if Linux does the rest: a socket option ends the lease. */
static int losing;

static void *ends_lease(void *arg)
{
	int one = 1;

	usleep(100000);
	EXPECT(!setsockopt(losing, SOL_SOCKET, SO_KEEPALIVE, &one,
			   sizeof(one)));
	usleep(100000);
	return poker(arg);
}

static void part_received_rest(void)
{
	struct pair p = net_warm_pair();

	send_part(p.c);
	EXPECT(net_readable(p.s, 5000));
	losing = p.s;
	receive_part(p, ends_lease);
}

static void often(int usec)
{
	struct itimerval it = { { 0, usec }, { 0, usec } };

	EXPECT(!setitimer(ITIMER_REAL, &it, NULL));
}

static void part_sent(void)
{
	static char big[32 << 20];
	struct pair p = net_warm_pair();
	ssize_t n;

	catch (SIGALRM, on_signal, SA_RESTART);
	often(100000);
	n = send(p.c, big, sizeof(big), 0);
	EXPECT(n > 0 && n < (ssize_t)sizeof(big));
}

static void fill(int fd)
{
	static char block[4096];

	while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	EXPECT_EQ(errno, EAGAIN);
}

/* Nobody reads before that many signals. */
#define SIGNALS 20

static void *reader(void *arg)
{
	static char block[4096];
	ssize_t n;

	while (interrupts < SIGNALS)
		usleep(1000);
	do {
		n = recv(*(int *)arg, block, sizeof(block), 0);
		EXPECT(n > 0);
	} while (block[n - 1] != 'x');
	return NULL;
}

/* No room, and signals all the time */
static void full_restarted(void)
{
	struct pair p = net_warm_pair();
	sigset_t alarms;
	pthread_t t;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	catch (SIGALRM, on_signal, SA_RESTART);
	fill(p.c);
	EXPECT(!pthread_sigmask(SIG_BLOCK, &alarms, NULL));
	EXPECT(!pthread_create(&t, NULL, reader, &p.s));
	EXPECT(!pthread_sigmask(SIG_UNBLOCK, &alarms, NULL));
	often(3000);
	EXPECT_EQ(send(p.c, "x", 1, 0), 1);
	pthread_join(t, NULL);
}

static void full_interrupted(void)
{
	static char block[4096];
	struct pair p = net_warm_pair();

	catch (SIGALRM, on_signal, 0);
	fill(p.c);
	often(3000);
	while (send(p.c, block, sizeof(block), 0) > 0)
		;
	EXPECT_EQ(errno, EINTR);
}

/* Linux has more room than a wire: signals do not keep a call from it. */
static void full_moves_on(void)
{
	struct pair p = net_warm_pair();

	if (!net_wired(p.c))
		check_skip("no wire");
	catch (SIGALRM, on_signal, SA_RESTART);
	fill(p.c);
	EXPECT(net_wired(p.c));
	often(3000);
	EXPECT_EQ(send(p.c, "x", 1, 0), 1);
	EXPECT(!net_wired(p.c));
}

/* What a full wire leaves to Linux is sent, if nothing follows it. */
static void full_tail(void)
{
	struct pair p = net_warm_pair();
	struct iovec iov[] = { { "0123456789", 10 }, { "", 0 } };
	char half[5];
	int unsent;

	if (!net_wired(p.c))
		check_skip("no wire");
	fill(p.c);
	EXPECT(net_wired(p.c));
	net_recv(p.s, half, sizeof(half));
	EXPECT_EQ(writev(p.c, iov, 2), 10);
	EXPECT(!net_wired(p.c));
	EXPECT(!ioctl(p.c, SIOCOUTQNSD, &unsent));
	EXPECT_EQ(unsent, 0);
}

static volatile sig_atomic_t forked; /* 1: the child, 2: it has ended well */

static void on_fork(int sig)
{
	pid_t pid = fork();
	int status;

	EXPECT(pid >= 0);
	forked = 1;
	if (!pid)
		return;
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	forked = 2;
}

static void *sends_to_each(void *arg)
{
	struct poke *p = arg;

	usleep(100000);
	pthread_kill(p->who, SIGUSR1);
	while (!forked)
		usleep(1000);
	net_send(p->fd, "c", 1);
	while (forked != 2)
		usleep(1000);
	net_send(p->fd, "p", 1);
	return NULL;
}

/* In the child the interrupted call goes on, without the parent's lease. */
static void forks_asleep(void)
{
	struct pair p = net_warm_pair();
	struct poke poke = { pthread_self(), p.c };
	pthread_t t;
	char byte;

	catch (SIGUSR1, on_fork, SA_RESTART);
	EXPECT(!pthread_create(&t, NULL, sends_to_each, &poke));
	EXPECT_EQ(recv(p.s, &byte, 1, 0), 1);
	if (forked == 1) {
		net_send(p.s, &byte, 1);
		_exit(byte == 'c' ? CHECK_PASS : CHECK_FAIL);
	}
	EXPECT_EQ(byte, 'p');
	pthread_join(t, NULL);
	net_recv(p.c, &byte, 1);
	EXPECT_EQ(byte, 'c');
	net_exchange(p.c, p.s);
}

static void expect_sigio(struct pair *p)
{
	struct timespec limit = { .tv_sec = 5 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	net_send(p->c, "x", 1);
	EXPECT_EQ(sigtimedwait(&set, NULL, &limit), SIGIO);
}

static struct pair sigio_pair(void)
{
	struct pair p = net_warm_pair();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	EXPECT(!sigprocmask(SIG_BLOCK, &set, NULL));
	EXPECT(!fcntl(p.s, F_SETOWN, getpid()));
	return p;
}

static void sigio(void)
{
	struct pair p = sigio_pair();

	EXPECT(!fcntl(p.s, F_SETFL, O_ASYNC));
	expect_sigio(&p);
}

static void sigio_ioctl(void)
{
	struct pair p = sigio_pair();
	int on = 1;

	EXPECT(!ioctl(p.s, FIOASYNC, &on));
	expect_sigio(&p);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
const struct check api_signal[] = {
	CHECK(interrupted),	   CHECK(restarted),
	CHECK(part_received),	   CHECK(part_received_later),
	CHECK(part_received_rest), CHECK(part_sent),
	CHECK(full_restarted),	   CHECK(full_interrupted),
	CHECK(full_moves_on),	   CHECK(full_tail),
	CHECK(forks_asleep),	   CHECK(sigio),
	CHECK(sigio_ioctl),
};
const size_t api_signal_count = sizeof(api_signal) / sizeof(*api_signal);
