// SPDX-License-Identifier: GPL-2.0
/*
 * The pages of rings: charged to the user's RLIMIT_MEMLOCK and to the memory
 * cgroup, mapped twice in a row so that no record is ever split.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "context.h"

/**
 * onload_pages_charge() - account pages to the user
 * @ctx: whose user
 * @n: pages
 *
 * As AF_XDP does: all of a user's processes together may lock what one
 * process may.
 *
 * Return: 0, -ENOBUFS beyond RLIMIT_MEMLOCK.
 */
int onload_pages_charge(struct onload_ctx *ctx, unsigned long n)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	unsigned long old = atomic_long_read(&ctx->user->locked_vm);

	do {
		if (!ctx->unlimited && old + n > limit)
			return -ENOBUFS;
	} while (!atomic_long_try_cmpxchg(&ctx->user->locked_vm, &old,
					  old + n));
	return 0;
}

/**
 * onload_pages_uncharge() - undo onload_pages_charge()
 * @user: the context's
 * @n: pages
 */
void onload_pages_uncharge(struct user_struct *user, unsigned long n)
{
	atomic_long_sub(n, &user->locked_vm);
}

static void *onload_map_twice(struct page **pages, unsigned int n)
{
	struct page **twice = kvmalloc_array(2 * n, sizeof(*twice), GFP_KERNEL);
	void *addr;

	if (!twice)
		return NULL;
	memcpy(twice, pages, n * sizeof(*pages));
	memcpy(twice + n, pages, n * sizeof(*pages));
	addr = vmap(twice, 2 * n, VM_MAP, PAGE_KERNEL);
	kvfree(twice);
	return addr;
}

/**
 * onload_rings_alloc() - memory for a slot's rings
 * @ctx: its context
 *
 * Return: the rings, -ENOBUFS beyond RLIMIT_MEMLOCK, -ENOMEM.
 */
struct onload_rings *onload_rings_alloc(struct onload_ctx *ctx)
{
	unsigned int nrx = ctx->rx_size >> PAGE_SHIFT;
	unsigned int n = nrx + (ctx->tx_size >> PAGE_SHIFT);
	struct onload_rings *rings;
	int err;

	err = onload_pages_charge(ctx, n);
	if (err)
		return ERR_PTR(err);
	rings = kzalloc(sizeof(*rings), GFP_KERNEL_ACCOUNT);
	if (!rings)
		goto err_charge;
	rings->pages = kvcalloc(n, sizeof(*rings->pages), GFP_KERNEL_ACCOUNT);
	if (!rings->pages)
		goto err_rings;
	for (; rings->npages < n; rings->npages++) {
		struct page *page = alloc_page(ONLOAD_GFP_SHARED);

		if (!page)
			goto err_pages;
		rings->pages[rings->npages] = page;
	}
	rings->rx = onload_map_twice(rings->pages, nrx);
	if (!rings->rx)
		goto err_pages;
	rings->tx = onload_map_twice(rings->pages + nrx, n - nrx);
	if (!rings->tx)
		goto err_rx;
	return rings;

err_rx:
	vunmap(rings->rx);
err_pages:
	while (rings->npages)
		__free_page(rings->pages[--rings->npages]);
	kvfree(rings->pages);
err_rings:
	kfree(rings);
err_charge:
	onload_pages_uncharge(ctx->user, n);
	return ERR_PTR(-ENOMEM);
}

/**
 * onload_rings_free() - undo onload_rings_alloc()
 * @ctx: its context
 * @rings: no longer mapped by the process, used by no flow
 */
void onload_rings_free(struct onload_ctx *ctx, struct onload_rings *rings)
{
	unsigned int i;

	onload_pages_uncharge(ctx->user, rings->npages);
	vunmap(rings->tx);
	vunmap(rings->rx);
	for (i = 0; i < rings->npages; i++)
		put_page(rings->pages[i]);
	kvfree(rings->pages);
	kfree(rings);
}

/**
 * onload_rings_page() - the page behind an offset of the mapping
 * @ctx: its context
 * @rings: of the slot
 * @offset: from the beginning of the slot's rings, below the stride
 *
 * Return: the page.
 */
struct page *onload_rings_page(const struct onload_ctx *ctx,
			       const struct onload_rings *rings, u64 offset)
{
	u32 nrx = ctx->rx_size >> PAGE_SHIFT;
	u32 ntx = ctx->tx_size >> PAGE_SHIFT;
	u32 page = offset >> PAGE_SHIFT;

	if (page < 2 * nrx)
		return rings->pages[page & (nrx - 1)];
	return rings->pages[nrx + ((page - 2 * nrx) & (ntx - 1))];
}
