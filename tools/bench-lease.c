// SPDX-License-Identifier: GPL-2.0
/*
 * What a lease costs that moves nothing: an established, idle connection is
 * leased and given back, by the module's interface itself, without the
 * library.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "reason.h"

static bool make_context(int fd)
{
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 1 };
	socklen_t len = sizeof(ctx);
	bool good;

	if (getsockopt(fd, SOL_ONLOAD, ONLOAD_CONTEXT, &ctx, &len))
		return false;
	/* It lives as long as the mapping: as long as we do. */
	good = mmap(NULL, ctx.map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    ctx.fd, 0) != MAP_FAILED;
	close(ctx.fd);
	return good;
}

/* EAGAIN is for the moments at which segments are still under way. */
static bool lease(int fd, struct onload_lease *l)
{
	for (unsigned int tries = 0; tries < 1000; tries++) {
		socklen_t len = sizeof(*l);

		*l = (struct onload_lease){ .abi = ONLOAD_ABI };
		if (!getsockopt(fd, SOL_ONLOAD, ONLOAD_LEASE, l, &len))
			return true;
		if (errno != EAGAIN)
			break;
		usleep(1000 * (l->retry_ms ? l->retry_ms : 1));
	}
	fprintf(stderr, "onload-bench: no lease was given: %s\n",
		reason_word(l->reason));
	return false;
}

bool bench_lease(int fd, struct bench_job *job)
{
	struct onload_handback back = { .reason = ONLOAD_R_LIBRARY };
	struct onload_lease l;
	uint64_t start;

	if (!make_context(fd))
		return false;
	/* The first ones set up what the others find: flow, rings. */
	for (uint64_t i = 0; i < job->warmup + job->count; i++) {
		start = bench_now_ns();
		if (!lease(fd, &l))
			return false;
		back.generation = l.generation;
		if (setsockopt(fd, SOL_ONLOAD, ONLOAD_HANDBACK, &back,
			       sizeof(back)))
			return false;
		if (i < job->warmup)
			continue;
		job->ns[i - job->warmup] = bench_now_ns() - start;
		job->total_ns += job->ns[i - job->warmup];
	}
	return true;
}
