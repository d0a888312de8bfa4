/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_WIRE_H
#define ONLOAD_WIRE_H

#include <linux/poll.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>

#include <linux/onload.h>

struct onload_flow;
struct onload_region;

/**
 * struct onload_wire_end - what the kernel knows of one end
 * @flow: held; constant
 * @region: what it writes, held; constant
 * @limit: bytes that it may have sent and the other not received; constant
 * @tx: its last position word, once the wire is cut; wire's lock
 */
struct onload_wire_end {
	struct onload_flow *flow;
	struct onload_region *region;
	u32 limit;
	u64 tx;
};

/**
 * struct onload_wire - a connection within the host
 * @ref: one for each end that has not left
 * @lock: guards @cut and the ends' tx; softirq
 * @generation: of the position words, 24 bits, never 0; constant
 * @max_shift: log2 of a ring's size at most; constant
 * @cut: nothing is published any more
 * @end: constant but for tx
 */
struct onload_wire {
	refcount_t ref;
	spinlock_t lock;	/* above */
	u32 generation;
	u32 max_shift;
	bool cut;
	struct onload_wire_end end[2];
};

enum onload_reason onload_wire_pair(struct onload_flow *flow, u32 flags);
void onload_wire_met(struct onload_flow *flow);
int onload_wire_leave(struct onload_flow *flow, enum onload_reason why);
bool onload_wire_again(const struct onload_flow *flow);
int onload_wire_grow(struct onload_flow *flow, u32 generation);

/* wire_wait.c */
bool onload_wire_over(const struct onload_flow *flow);
__poll_t onload_wire_poll(struct onload_flow *flow, bool registers);
bool onload_wire_ended(struct onload_flow *flow);
int onload_wire_wait(struct onload_flow *flow, const struct onload_wait *req,
		     long timeo);
int onload_wire_wake(struct onload_flow *flow, u32 generation);
struct page *onload_wire_page(struct onload_flow *flow, u64 offset);

int onload_wire_init(void);
void onload_wire_uninit(void);

#endif
