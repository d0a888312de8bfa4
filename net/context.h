/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_CONTEXT_H
#define ONLOAD_CONTEXT_H

#include <linux/compiler.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include <linux/onload.h>

struct net;
struct onload_flow;
struct onload_region;

/* Pages that the process maps. Without them a lease is refused: no reason to
 * kill a process of the memory cgroup, as allocations of this size do.
 */
#define ONLOAD_GFP_SHARED (GFP_KERNEL_ACCOUNT | __GFP_ZERO | \
			   __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/**
 * struct onload_rings - the memory of one slot's rings
 * @pages: receive ring's pages, then transmit ring's
 * @npages: of both
 * @rx: receive ring, mapped twice in a row
 * @tx: transmit ring, mapped twice in a row
 *
 * Constant once it hangs in a slot.
 */
struct onload_rings {
	struct page **pages;
	unsigned int npages;
	u8 *rx;
	u8 *tx;
};

/**
 * struct onload_ctx_slot - the kernel's side of a slot
 * @flow: who owns it; context's mutex. No reference: the flow holds the
 *	context and clears this when it detaches
 * @rings: allocated by the first lease on the soft VI; context's mutex
 * @region: this end's area of a wire, allocated by the first request for a
 *	lease that may become one; context's mutex
 */
struct onload_ctx_slot {
	struct onload_flow *flow;
	struct onload_rings *rings;
	struct onload_region *region;
};

/**
 * struct onload_ctx - a process's mapping
 * @node: in the table of contexts, its lock
 * @ref: one each for file, mapping and attached flow
 * @mm: whose it is, held by mmgrab; constant
 * @user: who pays for the pages, held; constant
 * @unlimited: CAP_IPC_LOCK at creation; constant
 * @nslots: constant
 * @rx_size: constant
 * @tx_size: constant
 * @slots_off: constant
 * @rings_off: constant
 * @wire_off: constant
 * @wire_stride: constant
 * @wire_shift: log2 of a wire's ring to begin with; constant
 * @wire_max_shift: log2 of a wire's ring at most; constant
 * @map_size: constant
 * @mutex: guards @slots, @slot_pages, @blank, @dead, @mapped, @areas and @peers; held
 *	while a lease is given
 * @mapped: mmap() has succeeded once
 * @areas: of the address space; a second one exists while mremap() is refused
 * @peers: ditto of the second mapping, of other ends' areas
 * @dead: the mapping is gone: no more leases
 * @mapping: of the context's own inode, to take rings out of the mapping;
 *	valid while @dead is false
 * @blank: what is found where a slot had the head of an area that is gone: a
 *	thread that looks there as its socket is closed must not come to harm.
 *	This process's alone, as it can write it; @mutex
 * @slots: array of nslots
 * @slot_pages: pages of the shared slots, allocated on first use
 * @generation: last lease's; @lock
 * @lock: guards @watched and @due; softirq
 * @watched: flows with something outstanding, hold a reference each
 * @due: jiffies when @watch is to run, valid while it is pending
 * @watch: looks at the watched flows
 * @kicked: jiffies when the process last sent something, on any flow; plain
 */
struct onload_ctx {
	struct hlist_node node;
	refcount_t ref;
	struct mm_struct *mm;
	struct user_struct *user;
	bool unlimited;
	u32 nslots;
	u32 rx_size;
	u32 tx_size;
	u32 slots_off;
	u64 rings_off;
	u64 wire_off;
	u64 wire_stride;
	u8 wire_shift;
	u8 wire_max_shift;
	u64 map_size;

	struct mutex mutex;	/* above */
	bool mapped;
	unsigned int areas;
	unsigned int peers;
	bool dead;
	struct address_space *mapping;
	struct page *blank;
	struct onload_ctx_slot *slots;
	struct page **slot_pages;

	spinlock_t lock;	/* above */
	u32 generation;
	struct list_head watched;
	unsigned long due;
	struct delayed_work watch;
	unsigned long kicked;
};

int onload_ctx_create(struct net *net, struct onload_context *req);
struct onload_ctx *onload_ctx_of_current(void);
void onload_ctx_put(struct onload_ctx *ctx);
int onload_ctx_hold(struct onload_ctx *ctx);
void onload_ctx_unhold(struct onload_ctx *ctx);
u32 onload_ctx_generation(struct onload_ctx *ctx);

/* slot.c */
int onload_ctx_slot_page(struct onload_ctx *ctx, u32 slot);
int onload_ctx_attach(struct onload_ctx *ctx, u32 slot,
		      struct onload_flow *flow);
void onload_ctx_detach(struct onload_ctx *ctx, u32 slot,
		       struct onload_flow *flow, bool give_back);
int onload_ctx_rings(struct onload_ctx *ctx, struct onload_flow *flow);
int onload_ctx_region(struct onload_ctx *ctx, struct onload_flow *flow);
void onload_ctx_hide(struct onload_ctx *ctx, u32 slot);

/* rings.c */
int onload_pages_charge(struct onload_ctx *ctx, unsigned long n);
void onload_pages_uncharge(struct user_struct *user, unsigned long n);
struct onload_rings *onload_rings_alloc(struct onload_ctx *ctx);
void onload_rings_free(struct onload_ctx *ctx, struct onload_rings *rings);
struct page *onload_rings_page(const struct onload_ctx *ctx,
			       const struct onload_rings *rings, u64 offset);

/* Copy from memory that a process may be writing */
static inline void onload_copy_shared(void *to, const void *from, size_t len)
{
	/* The race is intended. What counts is that each byte is read once:
	 * the compiler must not come back for a field after it was checked.
	 */
	data_race(memcpy(to, from, len));
	barrier();
}

/* Bytes that one slot's rings take in the mapping */
static inline u64 onload_ctx_stride(const struct onload_ctx *ctx)
{
	return 2ull * (ctx->rx_size + ctx->tx_size);
}

#endif
