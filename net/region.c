// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of one end of a wire: a page with its position words, and a ring
 * of pages for the bytes that it sends. Its own process can write it, the
 * other end's can read it while the wire lasts; the sender's user pays. It
 * begins small and grows when it was found full.
 */
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "context.h"
#include "region.h"

static_assert(ONLOAD_WIRE_HEAD == PAGE_SIZE, "the head is one page");

/* Add pages up to @n; those added by then stay when it fails. */
static int onload_region_fill(struct onload_ctx *ctx,
			      struct onload_region *region, u32 n)
{
	u32 have = region->npages, i;
	int err;

	err = onload_pages_charge(ctx, n - have);
	if (err)
		return err;
	for (i = have; i < n; i++) {
		region->pages[i] = alloc_page(ONLOAD_GFP_SHARED);
		if (!region->pages[i])
			goto err_pages;
	}
	/* The pages before their number: faults and imports read it. */
	smp_store_release(&region->npages, n);
	return 0;

err_pages:
	while (i-- > have)
		__free_page(region->pages[i]);
	onload_pages_uncharge(ctx->user, n - have);
	return -ENOMEM;
}

/**
 * onload_region_alloc() - an area with a ring of the smallest size
 * @ctx: whose user pays
 *
 * Return: the area with one reference, -ENOBUFS beyond RLIMIT_MEMLOCK, -ENOMEM.
 */
struct onload_region *onload_region_alloc(struct onload_ctx *ctx)
{
	u32 max = 1 + (1u << (ctx->wire_max_shift - PAGE_SHIFT));
	struct onload_region *region;
	int err;

	region = kzalloc(struct_size(region, pages, max), GFP_KERNEL_ACCOUNT);
	if (!region)
		return ERR_PTR(-ENOMEM);
	refcount_set(&region->ref, 1);
	region->max = max;
	err = onload_region_fill(ctx, region,
				 1 + (1u << (ctx->wire_shift - PAGE_SHIFT)));
	if (err) {
		kfree(region);
		return ERR_PTR(err);
	}
	region->user = get_uid(ctx->user);
	region->head = page_address(region->pages[0]);
	return region;
}

/**
 * onload_region_grow() - make the ring longer
 * @ctx: whose user pays
 * @region: of one of its slots
 * @shift: log2 of the ring's bytes
 *
 * Context: context's mutex.
 * Return: 0, -EMSGSIZE beyond its limit, -ENOBUFS beyond RLIMIT_MEMLOCK,
 * -ENOMEM.
 */
int onload_region_grow(struct onload_ctx *ctx, struct onload_region *region,
		       u32 shift)
{
	u32 n = 1 + (1u << (shift - PAGE_SHIFT));

	if (n > region->max)
		return -EMSGSIZE;
	if (n <= region->npages)
		return 0;
	return onload_region_fill(ctx, region, n);
}

/**
 * onload_region_put() - drop a reference
 * @region: freed with the last one
 */
void onload_region_put(struct onload_region *region)
{
	u32 i;

	if (!refcount_dec_and_test(&region->ref))
		return;
	/* Page tables may still hold a reference each. */
	for (i = 0; i < region->npages; i++)
		put_page(region->pages[i]);
	onload_pages_uncharge(region->user, region->npages);
	free_uid(region->user);
	kfree(region);
}
