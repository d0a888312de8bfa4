// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Both processes go through the same plan. In each round each measurement is
 * made over the wire and over TCP, in alternating order, so that a change of
 * the machine's mood hits both alike. Batches are short, so that the best one
 * was not disturbed by whatever else runs.
 *
 * The byte at position p of a stream is pattern[p % PERIOD]. The first batch
 * of each measurement compares all of them and is not timed; the others
 * compare the ends of what each recv() returned.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../userlib/line.h"
#include "../../userlib/onload.h"
#include "bench.h"
#include "twin.h"

#define PERIOD	  65521u /* prime */
#define CHUNK	  65536u
#define TIGHT	  8 /* bytes compared at either end */
#define LINE	  64
#define LINE_TRIP 200
#define BARE_RING 16384
#define SPIN_USEC 100000
#define LIMIT_S	  300
#define PAIRING	  100000

enum side { CLIENT, SERVER, SIDES };

/* What one side writes and the other reads. Processors fetch pairs of lines. */
struct bare {
	_Alignas(2 * LINE) uint64_t tx;
	_Alignas(2 * LINE) uint64_t rx; /* of the other's */
	_Alignas(2 * LINE) uint8_t ring[BARE_RING];
};

struct shared {
	_Alignas(LINE) uint32_t arrived; /* at barriers, by both */
	_Alignas(LINE) uint32_t line;
	struct bare bare[SIDES];
};

struct peer {
	enum side side;
	struct shared *shared;
	uint32_t barriers;
	int fd[BENCH_WAYS];
	uint64_t sent[BENCH_WAYS];
	uint64_t received[BENCH_WAYS];
	uint8_t *pattern;
	uint8_t *buf;
};

/* Of the measurement that is going on */
struct job {
	const struct bench_plan *plan;
	enum bench_way way;
	bool thorough;
	int flags;
};

static _Noreturn void fail(const struct peer *p, const char *what)
{
	fprintf(stderr, "bench: %s: %s\n",
		p->side == CLIENT ? "client" : "server", what);
	exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

/* Without the library: what TCP costs is Linux's own call. */
static ssize_t raw_send(int fd, const void *buf, size_t len)
{
	return syscall(SYS_sendto, fd, buf, len, SEND_FLAGS, NULL, 0);
}

static ssize_t raw_recv(int fd, void *buf, size_t len)
{
	return syscall(SYS_recvfrom, fd, buf, len, MSG_DONTWAIT, NULL, NULL);
}

static void send_message(struct peer *p, const struct job *job)
{
	uint64_t *sent = &p->sent[job->way];
	const uint8_t *data = p->pattern + *sent % PERIOD;
	const int fd = p->fd[job->way];
	size_t left = job->plan->size;

	do {
		ssize_t n = job->way == BENCH_TCP
				    ? raw_send(fd, data, left)
				    : send(fd, data, left, SEND_FLAGS);

		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0)
			fail(p, strerror(errno));
		data += n;
		left -= (size_t)n;
	} while (left);
	*sent += job->plan->size;
}

static bool right(const uint8_t *got, const uint8_t *want, size_t n, bool all)
{
	if (all || n < 2 * TIGHT)
		return !memcmp(got, want, n);
	return !memcmp(got, want, TIGHT) &&
	       !memcmp(got + n - TIGHT, want + n - TIGHT, TIGHT);
}

static size_t receive_some(struct peer *p, const struct job *job, size_t most)
{
	uint64_t *received = &p->received[job->way];
	const int fd = p->fd[job->way];
	ssize_t n;

	do {
		n = job->way == BENCH_TCP ? raw_recv(fd, p->buf, most)
					  : recv(fd, p->buf, most, job->flags);
	} while (n < 0 && errno == EAGAIN);
	if (n < 0)
		fail(p, strerror(errno));
	if (!n)
		fail(p, "the connection ended too early");
	if (!right(p->buf, p->pattern + *received % PERIOD, (size_t)n,
		   job->thorough))
		fail(p, "wrong data");
	*received += (uint64_t)n;
	return (size_t)n;
}

static void receive(struct peer *p, const struct job *job, uint64_t left)
{
	while (left)
		left -= receive_some(p, job, left < CHUNK ? left : CHUNK);
}

static void batch(struct peer *p, const struct job *job)
{
	const uint32_t size = job->plan->size;
	const uint32_t n = job->plan->count;

	if (job->plan->kind == BENCH_STREAM) {
		/* The clock stops when the sender knows that all arrived. */
		for (uint32_t i = 0; p->side == CLIENT && i < n; i++)
			send_message(p, job);
		if (p->side == SERVER)
			receive(p, job, (uint64_t)n * size);
		if (p->side == SERVER)
			send_message(p, job);
		else
			receive(p, job, size);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (p->side == CLIENT)
			send_message(p, job);
		receive(p, job, size);
		if (p->side == SERVER)
			send_message(p, job);
	}
}

static void barrier(struct peer *p)
{
	uint32_t want = ++p->barriers * SIDES;

	__atomic_fetch_add(&p->shared->arrived, 1, __ATOMIC_SEQ_CST);
	for (uint32_t i = 1;
	     __atomic_load_n(&p->shared->arrived, __ATOMIC_ACQUIRE) < want; i++)
		if (!(i % 1024))
			sched_yield();
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static struct bench_time sum_up(double *ns, unsigned int n)
{
	qsort(ns, n, sizeof(*ns), compare);
	return (struct bench_time){ ns[0], ns[n / 2] };
}

static struct bench_time measure(struct peer *p, const struct job *job,
				 unsigned int batches)
{
	double ns[BENCH_BATCHES_MAX];
	struct job first = *job;

	first.thorough = true;
	barrier(p);
	batch(p, &first);
	for (unsigned int i = 0; i < batches; i++) {
		uint64_t start;

		barrier(p);
		start = now_ns();
		batch(p, job);
		ns[i] = (double)(now_ns() - start) / job->plan->count;
	}
	if (job->way == BENCH_WIRE && !twin_wired(p->fd[BENCH_WIRE]))
		fail(p, "the wire was lost");
	return sum_up(ns, batches);
}

static void trip(uint32_t *line, uint32_t wait, uint32_t then)
{
	while (__atomic_load_n(line, __ATOMIC_ACQUIRE) != wait)
		__builtin_ia32_pause();
	__atomic_store_n(line, then, __ATOMIC_RELEASE);
}

static struct bench_time measure_line(struct peer *p, unsigned int batches)
{
	uint32_t *line = &p->shared->line;
	double ns[BENCH_BATCHES_MAX];

	for (unsigned int i = 0; i < batches; i++) {
		uint64_t start;

		barrier(p);
		start = now_ns();
		for (uint32_t k = 0; k < 2 * LINE_TRIP; k += 2)
			trip(line, k + p->side, k + p->side + 1);
		ns[i] = (double)(now_ns() - start) / LINE_TRIP;
		barrier(p);
		if (p->side == CLIENT)
			__atomic_store_n(line, 0, __ATOMIC_RELEASE);
	}
	return sum_up(ns, batches);
}

static void move(uint64_t *position, uint64_t old)
{
	__atomic_compare_exchange_n(position, &old, old + LINE, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/*
 * What no library can do without: the bytes in one line, published by an
 * exchange in another, and given back by an exchange; with the hints to the
 * caches that the library gives.
 */
static void bare_send(struct bare *own, uint64_t pos, const uint8_t *data)
{
	uint8_t *to = &own->ring[pos % BARE_RING];

	ol_line_mine(&own->tx);
	memcpy(to, data, LINE);
	move(&own->tx, pos);
	ol_line_yours(&own->tx);
	ol_line_yours(to);
	ol_line_mine(&own->ring[(pos + LINE) % BARE_RING]);
}

static void bare_recv(struct bare *own, const struct bare *other, uint64_t pos,
		      uint8_t *buf)
{
	while (__atomic_load_n(&other->tx, __ATOMIC_ACQUIRE) == pos)
		;
	memcpy(buf, &other->ring[pos % BARE_RING], LINE);
	move(&own->rx, pos);
}

static struct bench_time measure_bare(struct peer *p, unsigned int batches)
{
	struct bare *own = &p->shared->bare[p->side];
	const struct bare *other = &p->shared->bare[!p->side];
	double ns[BENCH_BATCHES_MAX];
	uint64_t pos = own->tx;

	for (unsigned int i = 0; i < batches; i++) {
		uint64_t start;

		barrier(p);
		start = now_ns();
		for (int k = 0; k < LINE_TRIP; k++, pos += LINE) {
			if (p->side == CLIENT)
				bare_send(own, pos, p->pattern);
			bare_recv(own, other, pos, p->buf);
			if (p->side == SERVER)
				bare_send(own, pos, p->pattern);
		}
		ns[i] = (double)(now_ns() - start) / LINE_TRIP;
		if (memcmp(p->buf, p->pattern, LINE))
			fail(p, "wrong data");
	}
	return sum_up(ns, batches);
}

/* A wire needs both ends quiet for a moment, and both to have asked. Its
 * first bytes are a whole cache line, as all that follow are lines.
 */
static void pair(struct peer *p)
{
	const struct bench_plan small = { .size = LINE, .count = 1 };
	const struct job job = { .plan = &small,
				 .way = BENCH_WIRE,
				 .thorough = true,
				 .flags = MSG_DONTWAIT };
	int i = 0;

	do {
		if (++i == PAIRING)
			fail(p, "no wire");
		barrier(p);
		batch(p, &job);
		barrier(p);
	} while (!twin_wired(p->fd[BENCH_WIRE]));
}

static void pin(struct peer *p)
{
	int side = 0;
	cpu_set_t cpus, one;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &cpus) || side++ != (int)p->side)
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			fail(p, strerror(errno));
		return;
	}
	fail(p, "needs two processors");
}

static void run(struct peer *p, struct bench_round *rounds, unsigned int n,
		unsigned int batches)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(LIMIT_S);
	pin(p);
	onload_set_spin(SPIN_USEC);
	pair(p);
	for (unsigned int i = 0; i < n; i++) {
		rounds[i].line = measure_line(p, batches);
		rounds[i].bare = measure_bare(p, batches);
		for (unsigned int k = 0; k < BENCH_PLANS * BENCH_WAYS; k++) {
			const struct bench_plan *plan =
				&bench_plans[k / BENCH_WAYS];
			struct job job = { .plan = plan,
					   .way = (k + i) % BENCH_WAYS };

			job.flags = plan->blocking ? 0 : MSG_DONTWAIT;
			rounds[i].time[k / BENCH_WAYS][job.way] =
				measure(p, &job, batches);
		}
	}
}

static void make_buffers(struct peer *p)
{
	uint32_t x = 1;

	p->pattern = malloc(PERIOD + CHUNK);
	p->buf = malloc(CHUNK);
	if (!p->pattern || !p->buf)
		fail(p, strerror(errno));
	for (uint32_t i = 0; i < PERIOD + CHUNK; i++) {
		x = x * 1664525 + 1013904223;
		p->pattern[i] = i < PERIOD ? (uint8_t)(x >> 24)
					   : p->pattern[i - PERIOD];
	}
}

static pid_t start(struct peer *p, enum side side, int fds[BENCH_WAYS][SIDES],
		   struct bench_round *rounds, unsigned int n,
		   unsigned int batches)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	p->side = side;
	for (int way = 0; way < BENCH_WAYS; way++) {
		p->fd[way] = fds[way][side == SERVER];
		close(fds[way][side == CLIENT]);
	}
	run(p, rounds, n, batches);
	exit(EXIT_SUCCESS);
}

bool bench_measure(struct bench_round *rounds, unsigned int n,
		   unsigned int batches)
{
	const size_t size = n * sizeof(*rounds);
	int fds[BENCH_WAYS][SIDES];
	struct bench_round *told;
	struct peer p = { 0 };
	pid_t pids[SIDES];
	bool good = true;
	int status;

	make_buffers(&p);
	p.shared = mmap(NULL, sizeof(*p.shared), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	told = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p.shared == MAP_FAILED || told == MAP_FAILED)
		fail(&p, strerror(errno));
	for (int way = 0; way < BENCH_WAYS; way++)
		if (!twin_connect(fds[way]))
			fail(&p, strerror(errno));
	/* The client's figures are the ones that count. */
	pids[CLIENT] = start(&p, CLIENT, fds, told, n, batches);
	pids[SERVER] = start(&p, SERVER, fds, rounds, n, batches);
	for (int i = 0; i < SIDES && pids[CLIENT] > 0 && pids[SERVER] > 0;
	     i++) {
		pid_t pid = wait(&status);

		if (status && good)
			kill(pid == pids[CLIENT] ? pids[SERVER] : pids[CLIENT],
			     SIGKILL);
		good = good && !status;
	}
	memcpy(rounds, told, size);
	munmap(told, size);
	munmap(p.shared, sizeof(*p.shared));
	free(p.pattern);
	free(p.buf);
	return good && pids[CLIENT] > 0 && pids[SERVER] > 0;
}
