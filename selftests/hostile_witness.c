// SPDX-License-Identifier: GPL-2.0
/*
 * A well-behaved process beside the storm, under the library: a stream each
 * way, of which no byte may be lost, and which end when the storm does.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "hostile.h"

#define CHUNK 8000
#define PAUSE 20000 /* us, at most */

struct end {
	struct tally *tally;
	uint64_t seed;
	int fd;
	uint64_t sent;
	uint64_t received;
	struct onload_info info;
};

static void *witness_send(void *arg)
{
	struct end *e = arg;
	struct dice d = { e->seed };
	static _Thread_local char buf[CHUNK];

	while (!atomic_load(&e->tally->over)) {
		size_t len = dice_size(&d, CHUNK);

		pattern_fill(buf, len, e->seed, e->sent);
		net_send(e->fd, buf, len);
		e->sent += len;
		/* A pause is when leases are given. */
		if (!dice_roll(&d, 4))
			usleep((useconds_t)dice_roll(&d, PAUSE));
	}
	/* The end of the stream gives the lease back. */
	EXPECT(net_info(e->fd, &e->info));
	EXPECT(!shutdown(e->fd, SHUT_WR));
	return NULL;
}

static void *witness_receive(void *arg)
{
	struct end *e = arg;
	static _Thread_local char buf[4 * CHUNK];
	ssize_t n;

	while ((n = recv(e->fd, buf, sizeof(buf), 0)) > 0) {
		EXPECT_EQ(pattern_right(buf, (size_t)n, ~e->seed, e->received),
			  n);
		e->received += (uint64_t)n;
	}
	EXPECT_EQ(n, 0);
	return NULL;
}

/* The seeds of the ends are complements: each receives the other's stream. */
int witness_run(struct tally *t, uint64_t seed)
{
	struct pair p;
	struct end ends[2];
	pthread_t threads[4];
	struct addr at;
	int l;

	net_family_onload = true;
	l = net_listen(&at);
	/* Which of them is whose is known before a segment leaves. */
	atomic_store(&t->witness,
		     ntohs(((struct sockaddr_in *)&at.sa)->sin_port));
	p.c = hostile_dial(t, &at);
	p.s = accept(l, NULL, NULL);
	EXPECT(p.c >= 0 && p.s >= 0);

	net_warm(p.c, p.s);
	atomic_store(&t->ready, true);

	ends[0] = (struct end){ .tally = t, .seed = seed, .fd = p.c };
	ends[1] = (struct end){ .tally = t, .seed = ~seed, .fd = p.s };
	for (int i = 0; i < 4; i++)
		EXPECT(!pthread_create(&threads[i], NULL,
				       i & 1 ? witness_receive : witness_send,
				       &ends[i / 2]));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(ends[0].sent, ends[1].received);
	EXPECT_EQ(ends[1].sent, ends[0].received);
	check_note("witness: %llu and %llu bytes, %llu and %llu leases",
		   (unsigned long long)ends[0].sent,
		   (unsigned long long)ends[1].sent,
		   (unsigned long long)ends[0].info.leases,
		   (unsigned long long)ends[1].info.leases);
	EXPECT(ends[0].info.leases && ends[1].info.leases);
	return CHECK_PASS;
}
