/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_REGION_H
#define ONLOAD_REGION_H

#include <linux/mm.h>
#include <linux/refcount.h>

#include <linux/onload.h>

struct onload_ctx;
struct user_struct;

/**
 * struct onload_region - one end's area of a wire: a head and a ring
 * @ref: slot, wire
 * @user: who pays for the pages, held; constant
 * @head: kernel's address of the first page; constant
 * @max: room in @pages; constant
 * @npages: pages there are, which only grows; context's mutex to write
 * @pages: head, then ring
 */
struct onload_region {
	refcount_t ref;
	struct user_struct *user;
	struct onload_wire_head *head;
	u32 max;
	u32 npages;
	struct page *pages[];
};

struct onload_region *onload_region_alloc(struct onload_ctx *ctx);
int onload_region_grow(struct onload_ctx *ctx, struct onload_region *region,
		       u32 shift);
void onload_region_put(struct onload_region *region);

/* Is there a wire that still uses it? */
static inline bool onload_region_shared(const struct onload_region *region)
{
	return refcount_read(&region->ref) > 1;
}

/* log2 of the ring's bytes */
static inline u32 onload_region_shift(const struct onload_region *region)
{
	/* Pairs with onload_region_grow(). */
	return ilog2(smp_load_acquire(&region->npages) - 1) + PAGE_SHIFT;
}

/**
 * onload_region_page() - the page at an offset of an area
 * @region: referenced
 * @offset: bytes
 *
 * Return: the page, NULL beyond what there is.
 */
static inline struct page *onload_region_page(const struct onload_region *region,
					      u64 offset)
{
	u64 n = offset >> PAGE_SHIFT;

	/* Pairs with onload_region_grow(): the page before its number. */
	return n < smp_load_acquire(&region->npages) ? region->pages[n] : NULL;
}

#endif
