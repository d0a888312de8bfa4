/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The native benchmark: what a wire costs on this processor, beside TCP over
 * loopback and the bare way of a cache line between two processors.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_ROUNDS_MAX  100
#define BENCH_BATCHES_MAX 1000

enum bench_kind { BENCH_RTT, BENCH_STREAM };
enum bench_way { BENCH_WIRE, BENCH_TCP, BENCH_WAYS };

struct bench_plan {
	const char *name;
	enum bench_kind kind;
	bool blocking;	/* over the wire: recv() waits, and the library spins */
	uint32_t size;	/* of a message, bytes */
	uint32_t count; /* messages in a batch, which is timed as a whole */
	double target;	/* how many times faster than TCP, or 0 */
};

extern const struct bench_plan bench_plans[];
#define BENCH_PLANS 5

/* Nanoseconds a message, of the batches of a round */
struct bench_time {
	double best;
	double median;
};

struct bench_round {
	struct bench_time line; /* a cache line, there and back */
	struct bench_time bare; /* 64 bytes and a position, without a library */
	struct bench_time time[BENCH_PLANS][BENCH_WAYS];
};

/*
 * bench_peer.c: two processes, each on a processor of its own, take turns
 * over wire and TCP. False: it failed, or data was wrong, and that was said.
 */
bool bench_measure(struct bench_round *rounds, unsigned int n,
		   unsigned int batches);

/*
 * bench_steps.c: instructions of a send() and a recv() of @size bytes that are
 * there already, as the processor executes them one by one. False: as above.
 */
bool bench_steps(uint32_t size, uint64_t *send, uint64_t *recv);

#endif
