// SPDX-License-Identifier: GPL-2.0
/* Signals, in the middle of calls. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
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

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
const struct check api_signal[] = {
	CHECK(interrupted),
	CHECK(restarted),
	CHECK(sigio),
};
const size_t api_signal_count = sizeof(api_signal) / sizeof(*api_signal);
