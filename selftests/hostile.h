/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A storm of hostile processes. Whatever is decided by chance follows from one
 * seed; how the threads interleave does not.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi.h"
#include "net.h"
#include "pattern.h"

/* What they do, and what is counted */
#define HOSTILE_OPS(X)                                  \
	/* to memory that they share with the kernel */ \
	X(noise)                                        \
	X(field)                                        \
	X(word)                                         \
	X(commit)                                       \
	X(record)                                       \
	X(flip)                                         \
	X(head)                                         \
	X(argument)                                     \
	X(consume)                                      \
	X(produce)                                      \
	/* calls */                                     \
	X(context)                                      \
	X(lease)                                        \
	X(handback)                                     \
	X(detach)                                       \
	X(kick)                                         \
	X(wait)                                         \
	X(wire)                                         \
	X(send)                                         \
	X(recv)                                         \
	X(poll)                                         \
	X(option)                                       \
	X(dial)                                         \
	/* to themselves */                             \
	X(map)                                          \
	X(fork)                                         \
	X(end)

enum hostile_op {
#define X(name) OP_##name,
	HOSTILE_OPS(X)
#undef X
		OP_MAX
};

/* Shared by all processes: survives whoever is killed */
struct tally {
	atomic_ulong ops[OP_MAX];
	atomic_ulong leases;
	atomic_ulong captured;
	atomic_ulong dropped;  /* by the capture, unseen */
	atomic_ulong alien;    /* segments of nobody's connection */
	atomic_ushort witness; /* its listening port */
	atomic_bool ready;     /* its connection is leased */
	atomic_bool over;
	_Atomic uint8_t ours[65536]; /* client ports that have been in use */
};

struct storm {
	uint64_t seed;
	unsigned int seconds;
	bool wire;
	struct addr at;
	int listener;
	int memory; /* descriptor of @tally */
	struct tally *tally;
};

static inline void count(struct tally *t, enum hostile_op op)
{
	atomic_fetch_add_explicit(&t->ops[op], 1, memory_order_relaxed);
}

#define LIFE_CONNS   6
#define LIFE_CALLERS 2
#define LIFE_SLOTS   8

/* Where the kernel reads arguments while others write them */
union argument {
	struct onload_context context;
	struct onload_lease lease;
	struct onload_handback handback;
	struct onload_seg segs[ONLOAD_KICK_MAX + 1];
	uint32_t number;
	uint32_t words[1024];
};

/* One hostile process */
struct life {
	const struct storm *storm;
	struct tally *tally;
	uint64_t seed;
	bool accepts;	   /* dials otherwise */
	atomic_ulong done; /* operations */
	struct abi a;
	uint32_t nslots;
	uint8_t *peers; /* the second mapping, or NULL */
	_Atomic int fd[LIFE_CONNS];
	union argument *arguments; /* one of each caller's */
};

/* hostile_life.c: never returns */
_Noreturn void life_run(const struct storm *s, unsigned int number,
			bool accepts);
bool life_map(struct life *l, struct dice *d);
int life_connect(struct life *l);
int hostile_dial(struct tally *t, const struct addr *to);

/* hostile_memory.c, hostile_call.c: one operation. They may fault. */
void memory_attack(struct life *l, struct dice *d);
void memory_consume(struct life *l, uint32_t slot);
struct onload_seg memory_produce(struct life *l, struct dice *d, uint32_t slot);
uint32_t memory_number(struct life *l, struct dice *d);
struct onload_slot *memory_slot(struct life *l, struct dice *d);
void call_leases(struct life *l);
void call_attack(struct life *l, struct dice *d, union argument *arg);

/* hostile_peer.c */
int peer_run(void *storm);    /* the other ends of all connections */
int capture_run(void *storm); /* judges what passes there */
int witness_run(struct tally *t, uint64_t seed);

#endif
