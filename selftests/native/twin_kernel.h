/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the stand-in's files share. */
#ifndef TWIN_KERNEL_H
#define TWIN_KERNEL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>

#include "../../userlib/real.h"
#include "twin.h"

#define TWIN_FLOWS    32
#define TWIN_CONTEXTS 8
#define TWIN_SLOTS    16
#define TWIN_FDS      1024
#define TWIN_RING_MAX (1u << 20)

/* One end of a connection; under the twin's lock unless said */
struct twin_flow {
	struct sockaddr_in local; /* port 0: unused */
	struct sockaddr_in remote;
	uint32_t ctx; /* of the process that has asked */
	uint32_t slot;
	uint32_t generation;
	bool asked;   /* ctx and slot are valid */
	bool willing; /* its threads will notice a lease that begins */
	bool wired;   /* with its mirror image */
	bool closed;
	bool reset;	    /* the shared state was nonsense */
	uint32_t in_kernel; /* threads inside Linux's calls */
	uint32_t shift;	    /* log2 of its ring's size */
	uint32_t limit;
	uint32_t bell;	   /* atomic, a futex: something has changed */
	uint64_t tcp_sent; /* bytes by Linux's calls */
	uint64_t tcp_rcvd;
	uint32_t imported; /* bytes in import */
	uint32_t taken;	   /* of those */
	uint8_t import[TWIN_RING_MAX];
};

/* The memfd: this, then the contexts' areas */
struct twin {
	pthread_mutex_t lock;
	uint32_t shift;	    /* constant */
	uint32_t max_shift; /* ditto */
	uint32_t limit;	    /* ditto */
	uint32_t contexts;
	uint32_t generation;	  /* of leases */
	uint32_t wire_generation; /* of position words */
	struct twin_flow flow[TWIN_FLOWS];
};

/*
 * ThreadSanitizer knows memory by its address, so for it there is one mapping
 * of everything, and two threads of one process; see twin_tsan.c.
 */
#ifdef __SANITIZE_THREAD__
#define TWIN_ONE_VIEW true
#else
#define TWIN_ONE_VIEW false
#endif

extern struct twin *twin;
extern int twin_memory;
extern struct ol_real twin_linux; /* the calls that the stand-in wraps */

void twin_count(void);
void twin_lock(void);
void twin_unlock(void);

/* twin.c: of a descriptor that has asked for a lease, or NULL */
struct twin_flow *twin_flow_of(int fd);
void twin_flow_forget(int fd);
struct twin_flow *twin_flow_mirror(const struct twin_flow *f);
struct onload_slot *twin_slot(const struct twin_flow *f);
struct onload_wire_head *twin_flow_head(const struct twin_flow *f);
uint64_t twin_context_at(uint32_t ctx);
uint64_t twin_stride(void);
uint64_t twin_wire_off(void);
void twin_show_peer(const struct twin_flow *f);

/* twin_wire.c: all with the lock held, but the waits */
int twin_lease(struct twin_flow *f, struct onload_lease *req);
void twin_cut(struct twin_flow *f, enum onload_reason why);
int twin_wake(struct twin_flow *f, uint32_t generation);
int twin_grow(struct twin_flow *f, uint32_t generation);
int twin_wait(struct twin_flow *f, int fd, const struct onload_wait *req);
void twin_ring(struct twin_flow *f);

/* twin_calls.c */
void twin_wrap(void);

#endif
