// SPDX-License-Identifier: GPL-2.0
/*
 * send() from signal handlers that interrupted send(): of the main thread's
 * own, by a timer, and at another thread's wish. Each message must arrive
 * whole, and those of each source in order.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"
#include "net.h"
#include "pattern.h"

#define BODY_MAX 400
#define MESSAGES 20000
/* Never so much on the way that a message could be cut by a full buffer */
#define CREDIT 8192

enum { MAIN, TIMER, THREAD, SOURCES };

struct message {
	uint32_t source;
	uint32_t number;
	uint32_t len;
	uint8_t body[BODY_MAX];
};
#define HEADER offsetof(struct message, body)

static struct shared {
	_Atomic uint64_t received;
} * shared;

static int out;
static _Atomic uint64_t sent;
static uint32_t numbers[SOURCES];
static atomic_bool done;

static void say(uint32_t source)
{
	struct message m = { .source = source, .number = numbers[source] };
	struct dice d = { (uint64_t)source << 32 | m.number };
	int saved = errno;

	m.len = dice_size(&d, BODY_MAX);
	if (atomic_load(&sent) - atomic_load(&shared->received) > CREDIT)
		return;
	pattern_fill(m.body, m.len, source, m.number);
	atomic_fetch_add(&sent, HEADER + m.len);
	EXPECT_EQ(send(out, &m, HEADER + m.len, 0), HEADER + m.len);
	numbers[source]++;
	errno = saved;
}

static void on_timer(int sig)
{
	say(TIMER);
}

static void on_thread(int sig)
{
	say(THREAD);
}

static void handle(int sig, void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };

	/* They may interrupt each other, too. */
	EXPECT(!sigaction(sig, &sa, NULL));
}

static void *poker(void *arg)
{
	pthread_t who = *(pthread_t *)arg;
	struct dice d = { 3 };

	while (!atomic_load(&done)) {
		usleep(dice_roll(&d, 700));
		pthread_kill(who, SIGUSR1);
	}
	return NULL;
}

static int listener(void *arg)
{
	struct pair *p = arg;
	uint32_t want[SOURCES] = { 0 };
	struct message m;

	close(p->c);
	for (;;) {
		ssize_t n = recv(p->s, &m, HEADER, MSG_WAITALL);

		if (!n)
			break;
		EXPECT_EQ(n, HEADER);
		EXPECT(m.source < SOURCES && m.len && m.len <= BODY_MAX);
		if (m.number != want[m.source])
			check_fail(
				__FILE__, __LINE__,
				"source %u: message %u instead of %u at %llu",
				m.source, m.number, want[m.source],
				(unsigned long long)shared->received);
		want[m.source]++;
		net_recv(p->s, m.body, m.len);
		EXPECT_EQ(pattern_right(m.body, m.len, m.source, m.number),
			  m.len);
		atomic_fetch_add(&shared->received, HEADER + m.len);
	}
	EXPECT_EQ(want[MAIN], MESSAGES);
	check_note("%u messages of the timer, %u at a thread's wish",
		   want[TIMER], want[THREAD]);
	EXPECT(want[TIMER] && want[THREAD]);
	return CHECK_PASS;
}

static void run(void)
{
	struct itimerval often = { { 0, 700 }, { 0, 700 } }, never = { 0 };
	struct pair p = net_pair();
	pthread_t me = pthread_self(), t;
	sigset_t all, none;
	uint64_t end = net_ms() + 120000;
	struct onload_info info;
	pid_t pid;

	net_warm(p.c, p.s);
	pid = check_fork(listener, &p);
	close(p.s);
	out = p.c;
	handle(SIGALRM, on_timer);
	handle(SIGUSR1, on_thread);
	/* The handlers are this thread's alone. */
	sigfillset(&all);
	EXPECT(!pthread_sigmask(SIG_BLOCK, &all, &none));
	EXPECT(!pthread_create(&t, NULL, poker, &me));
	EXPECT(!pthread_sigmask(SIG_SETMASK, &none, NULL));
	EXPECT(!setitimer(ITIMER_REAL, &often, NULL));
	while (numbers[MAIN] < MESSAGES) {
		say(MAIN);
		/* The listener has failed. */
		EXPECT(net_ms() < end);
	}
	EXPECT(!setitimer(ITIMER_REAL, &never, NULL));
	atomic_store(&done, true);
	pthread_join(t, NULL);
	if (net_info(out, &info))
		check_note("%llu leases, last end: %s",
			   (unsigned long long)info.leases,
			   net_reason(info.reason));
	shutdown(out, SHUT_WR);
	check_wait(pid);
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return CHECK_FAIL;
	return check_one("messages from handlers are whole and in order", run,
			 300);
}
