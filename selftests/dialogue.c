// SPDX-License-Identifier: GPL-2.0
/*
 * What a message over a wire costs in system calls, as the kernel counts them
 * where it enters one. Two threads talk by turns.
 *
 *   spinning	none at all
 *   sleeping	one to wake the reader, one by which he had gone to sleep
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "net.h"

#define ENTER	 "/sys/kernel/tracing/events/raw_syscalls/sys_enter"
#define MESSAGES 2000
#define SIZE	 64
#define PATIENCE 5000 /* ms */

struct side {
	int fd;
	bool begins;
	int flags; /* of recv() */
	uint64_t calls;
};

static pthread_barrier_t both;

/* System calls that this thread enters from now on */
static int counter_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.sample_period = 1 << 30,
	};
	FILE *f = fopen(ENTER "/id", "r");
	unsigned long long id;
	int fd;

	if (!f)
		check_skip("no tracepoints of system calls");
	EXPECT(fscanf(f, "%llu", &id) == 1 && !fclose(f));
	attr.config = id;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	EXPECT(fd >= 0);
	return fd;
}

static uint64_t counter_read(int fd)
{
	uint64_t n;

	EXPECT(read(fd, &n, sizeof(n)) == sizeof(n));
	return n;
}

static void take(const struct side *s, uint8_t want)
{
	uint8_t buf[SIZE];
	size_t got = 0;

	while (got < sizeof(buf)) {
		ssize_t n = recv(s->fd, buf + got, sizeof(buf) - got, s->flags);

		if (n < 0 && errno == EAGAIN)
			continue;
		EXPECT(n > 0);
		got += (size_t)n;
	}
	EXPECT(buf[0] == want && buf[SIZE - 1] == want);
}

static void give(const struct side *s, uint8_t what)
{
	uint8_t buf[SIZE];

	memset(buf, what, sizeof(buf));
	EXPECT(send(s->fd, buf, sizeof(buf), 0) == sizeof(buf));
}

static void *talk(void *arg)
{
	struct side *s = arg;
	int counter = counter_open();
	uint64_t before;

	pthread_barrier_wait(&both);
	before = counter_read(counter);
	for (int i = 0; i < MESSAGES; i++) {
		if (s->begins)
			give(s, (uint8_t)i);
		take(s, (uint8_t)i);
		if (!s->begins)
			give(s, (uint8_t)i);
	}
	/* Less this read itself */
	s->calls = counter_read(counter) - before - 1;
	close(counter);
	return NULL;
}

/* System calls of both, in MESSAGES messages each way */
static uint64_t dialogue(int flags)
{
	struct pair p = net_pair();
	uint64_t end = net_ms() + PATIENCE;
	struct side sides[2] = { { p.c, true, flags, 0 },
				 { p.s, false, flags, 0 } };
	pthread_t other;

	while (!net_wired(p.c) || !net_wired(p.s)) {
		net_exchange(p.c, p.s);
		EXPECT(net_ms() < end);
	}
	EXPECT(!pthread_barrier_init(&both, NULL, 2));
	EXPECT(!pthread_create(&other, NULL, talk, &sides[1]));
	talk(&sides[0]);
	pthread_join(other, NULL);
	EXPECT(net_wired(p.c) && net_wired(p.s));
	close(p.c);
	close(p.s);
	check_note("%llu and %llu system calls in %d messages each way",
		   (unsigned long long)sides[0].calls,
		   (unsigned long long)sides[1].calls, MESSAGES);
	return sides[0].calls + sides[1].calls;
}

static void spinning(void)
{
	EXPECT_EQ(dialogue(MSG_DONTWAIT), 0);
}

/* Sometimes the message is there before the reader has gone to sleep. */
static void sleeping(void)
{
	uint64_t calls = dialogue(0);

	EXPECT(calls <= 2 * 2 * MESSAGES);
	EXPECT(calls >= MESSAGES);
}

int main(void)
{
	static const struct check checks[] = {
		{ "spinning", spinning, 0 },
		{ "sleeping", sleeping, 0 },
	};

	return check_all(checks, sizeof(checks) / sizeof(*checks), NULL);
}
