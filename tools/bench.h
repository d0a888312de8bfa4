/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_TOOLS_BENCH_H
#define ONLOAD_TOOLS_BENCH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/onload.h>

enum bench_test { BENCH_RTT, BENCH_STREAM, BENCH_LEASE };
enum bench_side { BENCH_SERVER, BENCH_CLIENT, BENCH_SIDES };
enum bench_mode {
	BENCH_PLAIN,	/* AF_INET */
	BENCH_UNLEASED, /* AF_ONLOAD without the library */
	BENCH_LEASED,	/* AF_ONLOAD with it */
	BENCH_MODES
};

#define BENCH_SIZE_MAX (1u << 20)

/*
 * What a server and a client have to know and to tell, in memory which both
 * inherit by descriptor: they are separate programs, because preloading
 * happens at exec.
 */
struct bench_job {
	enum bench_test test;
	enum bench_mode mode;
	bool spin;
	bool loopback; /* else the address of the server's first other device */
	uint32_t size;
	uint64_t warmup; /* messages that are not measured */
	uint64_t count;
	struct sockaddr_in address;	      /* the server tells */
	struct onload_info info[BENCH_SIDES]; /* each side tells */
	uint64_t total_ns;		      /* the client tells */
	uint64_t ns[];			      /* ditto, of each round trip */
};

/* How the two ends are joined. NULL is the namespace that we are in. */
struct bench_topology {
	const char *name;
	bool loopback;
	bool made; /* namespaces are ours to remove */
	char *netns[BENCH_SIDES];
};

/* bench-topology.c: veth makes two namespaces and what joins them. */
void bench_topology_make(struct bench_topology *t);
void bench_topology_remove(struct bench_topology *t);

/* bench-run.c: one pair of processes; false if it failed, and it said why. */
struct bench_job *bench_job_new(uint64_t count, int *fd);
void bench_job_free(struct bench_job *job, int fd);
bool bench_run(const struct bench_topology *t, const struct bench_job *job,
	       int fd, unsigned int limit_s);
bool bench_interrupted(void);
void bench_catch_signals(void);

/* bench-peer.c: what such a process does. Returns an exit status. */
#define BENCH_PEER "--peer"
int bench_peer(char **argv);
uint64_t bench_now_ns(void);

/* bench-lease.c: false if it failed; errno and what it printed say why. */
bool bench_lease(int fd, struct bench_job *job);

#endif
