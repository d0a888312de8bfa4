/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One request of a call fails, by /proc/self/fail-nth: an allocation of slabs
 * or pages, a copy from or to the user. The setting of debugfs that makes all
 * of them eligible is fault.sh's.
 */
#ifndef FAULT_H
#define FAULT_H

#include <errno.h>
#include <stdbool.h>

#include "check.h"

#define FAULT_NEVER 1000000u

/* The calling thread's @n-th request from here on fails. */
void fault_arm(unsigned int n);
/* How many requests were left before that; 0: it has failed. */
unsigned int fault_disarm(void);
/* One that was seen elsewhere, as in a helper or in a worker of the kernel */
void fault_count(void);

/* What may be said of a request that was not granted */
bool fault_excuse(int err);

/* @ret = @call, and its @n-th request fails; 0 or more, or an excuse. The
 * value is that of fault_disarm().
 */
#define UNDER_FAULT(n, ret, call)                                             \
	({                                                                    \
		unsigned int left_;                                           \
		int err_;                                                     \
                                                                              \
		fault_arm(n);                                                 \
		(ret) = (call);                                               \
		err_ = errno;                                                 \
		left_ = fault_disarm();                                       \
		errno = err_;                                                 \
		if ((ret) < 0 && !fault_excuse(errno))                        \
			check_fail(__FILE__, __LINE__, "%s: errno %s", #call, \
				   strerrorname_np(errno));                   \
		left_;                                                        \
	})

/* Runs @once with its first, second... request failing until none is left. */
void fault_sweep(unsigned int (*once)(unsigned int n));
/* The same for calls that ask for much before and after it is our turn, which
 * the kernel's log tells by @function in the stacks. From the end back:
 */
void fault_sweep_back(unsigned int (*once)(unsigned int n),
		      const char *function);
/* From the first request that fails when @function has been @reached, which
 * nobody knows if the call succeeds all the same:
 */
enum fault_reached { FAULT_UNKNOWN, FAULT_BEFORE, FAULT_BEYOND };
void fault_sweep_within(unsigned int (*once)(unsigned int n),
			const char *function,
			enum fault_reached (*reached)(unsigned int n));
/* @runs of them, whatever they met */
void fault_report(unsigned int runs);

/* Runs @once in a process of its own, which is in no state from the one
 * before. It stores there what became of it, and returns CHECK_PASS.
 */
struct fault_run {
	unsigned int n;
	unsigned int left;
	enum fault_reached reached;
};
struct fault_run *fault_apart(int (*once)(void *run), unsigned int n);

/* fault_lease.c */
void fault_first_leases(void);
void fault_kicks(void);
void fault_reclaims(void);
void fault_closes(void);
void fault_watches(void);
void fault_retirements(void);

/* fault_netlink.c */
void fault_dumps(void);
void fault_totals(void);

#endif
