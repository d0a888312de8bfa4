// SPDX-License-Identifier: GPL-2.0
/*
 * One end of a measurement. Every byte is checked: the byte at position p of
 * a stream is pattern[p % PERIOD], whatever the sizes of the messages, so a
 * lost, doubled or moved byte shows.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "reason.h"

#define PERIOD 65521u /* prime */
#define CHUNK  65536u

struct peer {
	struct bench_job *job;
	enum bench_side side;
	const char *name;
	int fd;
	bool yield;
	uint64_t sent;
	uint64_t received;
	uint8_t *pattern;
	uint8_t *buf;
};

static void fail(const struct peer *p, const char *what, const char *why)
{
	fprintf(stderr, "onload-bench: %s: %s: %s\n", p->name, what, why);
	exit(EXIT_FAILURE);
}

static void fail_errno(const struct peer *p, const char *what)
{
	fail(p, what, strerror(errno));
}

uint64_t bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void make_buffers(struct peer *p)
{
	size_t room = p->job->size > CHUNK ? p->job->size : CHUNK;
	uint32_t x = 1;

	p->pattern = malloc(PERIOD + room);
	p->buf = malloc(room);
	if (!p->pattern || !p->buf)
		fail_errno(p, "memory");
	for (size_t i = 0; i < PERIOD; i++) {
		x = x * 1664525 + 1013904223;
		p->pattern[i] = x >> 24;
	}
	for (size_t i = 0; i < room; i++)
		p->pattern[PERIOD + i] = p->pattern[i % PERIOD];
}

static void send_message(struct peer *p)
{
	const uint8_t *data = p->pattern + p->sent % PERIOD;
	size_t left = p->job->size;

	while (left) {
		ssize_t n = send(p->fd, data, left, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			fail_errno(p, "send");
		data += n;
		left -= n;
	}
	p->sent += p->job->size;
}

static ssize_t receive_once(struct peer *p, size_t most)
{
	for (;;) {
		ssize_t n = recv(p->fd, p->buf, most,
				 p->job->spin ? MSG_DONTWAIT : 0);

		if (n >= 0)
			return n;
		if (errno == EAGAIN && p->job->spin) {
			if (p->yield)
				sched_yield();
		} else if (errno != EINTR) {
			fail_errno(p, "recv");
		}
	}
}

/* At least one byte, at most what is left of @left. Returns what is left. */
static uint64_t receive_some(struct peer *p, uint64_t left, size_t most)
{
	ssize_t n = receive_once(p, left < most ? left : most);

	if (!n)
		fail(p, "recv", "the connection ended too early");
	if (memcmp(p->buf, p->pattern + p->received % PERIOD, n))
		fail(p, "recv", "wrong data");
	p->received += n;
	return left - n;
}

static void receive_message(struct peer *p)
{
	uint64_t left = p->job->size;

	while (left)
		left = receive_some(p, left, p->job->size);
}

static void receive_stream(struct peer *p, uint64_t messages)
{
	uint64_t left = messages * p->job->size;

	while (left)
		left = receive_some(p, left, CHUNK);
	/* The sender's clock stops when it knows that all has arrived. */
	send_message(p);
}

static void send_stream(struct peer *p, uint64_t messages)
{
	for (uint64_t i = 0; i < messages; i++)
		send_message(p);
	receive_message(p);
}

static void echo(struct peer *p, uint64_t messages)
{
	for (uint64_t i = 0; i < messages; i++) {
		receive_message(p);
		send_message(p);
	}
}

static void ping(struct peer *p, uint64_t messages)
{
	for (uint64_t i = 0; i < messages; i++) {
		send_message(p);
		receive_message(p);
	}
}

/* Streams too begin with round trips: a lease needs quiet queues. */
static void serve(struct peer *p)
{
	const struct bench_job *job = p->job;

	echo(p, job->warmup);
	if (job->test == BENCH_RTT)
		echo(p, job->count);
	else if (job->test == BENCH_STREAM)
		receive_stream(p, job->count);
}

static void call(struct peer *p)
{
	struct bench_job *job = p->job;
	uint64_t start, last;

	ping(p, job->warmup);
	if (job->test == BENCH_LEASE) {
		if (!bench_lease(p->fd, job))
			fail_errno(p, "lease");
		return;
	}
	start = last = bench_now_ns();
	if (job->test == BENCH_STREAM) {
		send_stream(p, job->count);
		last = bench_now_ns();
	}
	for (uint64_t i = 0; job->test == BENCH_RTT && i < job->count; i++) {
		uint64_t now;

		ping(p, 1);
		now = bench_now_ns();
		job->ns[i] = now - last;
		last = now;
	}
	job->total_ns = last - start;
}

static int make_socket(struct peer *p)
{
	bool ours = p->job->mode != BENCH_PLAIN;
	int one = 1;
	int fd = socket(ours ? AF_ONLOAD : AF_INET, SOCK_STREAM, 0);

	if (fd < 0 && ours && errno == EAFNOSUPPORT)
		fail(p, "socket(AF_ONLOAD)",
		     "no such family: the module af_onload is not loaded");
	if (fd < 0)
		fail_errno(p, ours ? "socket(AF_ONLOAD)" : "socket");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		fail_errno(p, "TCP_NODELAY");
	return fd;
}

static void find_address(struct peer *p, struct sockaddr_in *sin)
{
	struct ifaddrs *all, *a;

	*sin = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (p->job->loopback)
		return;
	if (getifaddrs(&all))
		fail_errno(p, "addresses");
	for (a = all; a; a = a->ifa_next)
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET &&
		    !(a->ifa_flags & IFF_LOOPBACK))
			break;
	if (!a)
		fail(p, "addresses", "the namespace has no IPv4 address");
	memcpy(sin, a->ifa_addr, sizeof(*sin));
	freeifaddrs(all);
}

static void accept_client(struct peer *p, int ready)
{
	struct sockaddr_in *sin = &p->job->address;
	socklen_t len = sizeof(*sin);
	int fd = make_socket(p);

	find_address(p, sin);
	if (bind(fd, (struct sockaddr *)sin, len) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)sin, &len))
		fail_errno(p, "listen");
	if (write(ready, "", 1) != 1)
		fail_errno(p, "pipe");
	close(ready);
	p->fd = accept(fd, NULL, NULL);
	if (p->fd < 0)
		fail_errno(p, "accept");
	close(fd);
}

static void connect_server(struct peer *p)
{
	p->fd = make_socket(p);
	if (connect(p->fd, (struct sockaddr *)&p->job->address,
		    sizeof(p->job->address)))
		fail_errno(p, "connect");
}

/* The counters are whole once both sides have seen the end: the end of a
 * connection is Linux's, so no lease is left.
 */
static void finish(struct peer *p)
{
	struct onload_info *info = &p->job->info[p->side];
	socklen_t len = sizeof(*info);

	if (p->side == BENCH_CLIENT && shutdown(p->fd, SHUT_WR))
		fail_errno(p, "shutdown");
	if (receive_once(p, 1))
		fail(p, "recv", "data after the end");
	if (p->job->mode == BENCH_LEASED) {
		if (getsockopt(p->fd, SOL_ONLOAD, ONLOAD_INFO, info, &len))
			fail_errno(p, "ONLOAD_INFO");
		if (!info->leases)
			fail(p, "no lease was given, the last reason is",
			     reason_word(info->reason));
	}
	close(p->fd);
}

int bench_peer(char **argv)
{
	struct peer p = {};
	cpu_set_t cpus;
	struct stat st;
	int memory;

	/* BENCH_PEER side memory ready: bench-run.c */
	if (!argv[0] || !argv[1] || !argv[2])
		return EXIT_FAILURE;
	p.side = atoi(argv[0]);
	memory = atoi(argv[1]);
	p.name = p.side == BENCH_SERVER ? "server" : "client";
	if (fstat(memory, &st))
		fail_errno(&p, "memory");
	p.job = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_POPULATE, memory, 0);
	if (p.job == MAP_FAILED)
		fail_errno(&p, "memory");
	close(memory);
	/* Alone on one processor, spinning would keep the peer from it. */
	p.yield = !sched_getaffinity(0, sizeof(cpus), &cpus) &&
		  CPU_COUNT(&cpus) == 1;
	make_buffers(&p);

	if (p.side == BENCH_SERVER) {
		accept_client(&p, atoi(argv[2]));
		serve(&p);
	} else {
		connect_server(&p);
		call(&p);
	}
	finish(&p);
	free(p.pattern);
	free(p.buf);
	return EXIT_SUCCESS;
}
