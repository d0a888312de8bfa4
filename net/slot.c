// SPDX-License-Identifier: GPL-2.0
/*
 * The slots of a context: who has one, and the memory that hangs in it. A slot
 * is the library's choice, and so is when its memory may be given back: nobody
 * else knows whether a thread is still inside.
 */
#include <linux/mm.h>

#include "context.h"
#include "flow.h"
#include "region.h"

static int onload_ctx_page_alloc(struct onload_ctx *ctx, struct page **page)
{
	int err;

	if (*page)
		return 0;
	err = onload_pages_charge(ctx, 1);
	if (err)
		return err;
	*page = alloc_page(ONLOAD_GFP_SHARED);
	if (*page)
		return 0;
	onload_pages_uncharge(ctx->user, 1);
	return -ENOMEM;
}

/**
 * onload_ctx_slot_page() - see to it that a slot has memory
 * @ctx: of the slot
 * @slot: in range
 *
 * Context: context's mutex.
 * Return: 0, -ENOBUFS beyond RLIMIT_MEMLOCK, -ENOMEM.
 */
int onload_ctx_slot_page(struct onload_ctx *ctx, u32 slot)
{
	u32 n = slot / (PAGE_SIZE / sizeof(struct onload_slot));

	return onload_ctx_page_alloc(ctx, &ctx->slot_pages[n]);
}

/* Take a slot's part of an area out of the process's page table. Either of the
 * mappings keeps the file, and so may outlive the other. Context's mutex held.
 */
static void onload_ctx_zap(struct onload_ctx *ctx, u64 offset, u64 len)
{
	if (ctx->areas || ctx->peers)
		unmap_mapping_range(ctx->mapping, offset, len, 1);
}

/* A former flow's other end may still read its last bytes there. */
static void onload_ctx_drop_region(struct onload_ctx *ctx, u32 slot)
{
	struct onload_region *region = ctx->slots[slot].region;

	ctx->slots[slot].region = NULL;
	onload_ctx_zap(ctx, ctx->wire_off + slot * ctx->wire_stride,
		       ctx->wire_stride);
	onload_region_put(region);
}

/**
 * onload_ctx_attach() - give a slot to a flow
 * @ctx: mapped by the current process
 * @slot: the library's choice: no thread of it is inside
 * @flow: without a context
 *
 * Context: flow's socket locked.
 * Return: 0, -EINVAL out of range, -EBUSY another flow has it, -ENXIO not
 * mapped, -ENOBUFS beyond RLIMIT_MEMLOCK, -ENOMEM.
 */
int onload_ctx_attach(struct onload_ctx *ctx, u32 slot,
		      struct onload_flow *flow)
{
	struct onload_ctx_slot *s;
	u32 offset;
	int err;

	if (slot >= ctx->nslots)
		return -EINVAL;
	s = &ctx->slots[slot];
	mutex_lock(&ctx->mutex);
	err = -ENXIO;
	if (!ctx->mapped || ctx->dead)
		goto out;
	err = -EBUSY;
	if (s->flow)
		goto out;
	err = onload_ctx_slot_page(ctx, slot);
	if (err)
		goto out;
	/* That of a flow which went to another process: its bytes are in it. */
	if (s->region)
		onload_ctx_drop_region(ctx, slot);
	offset = slot * sizeof(struct onload_slot);
	flow->slot = page_address(ctx->slot_pages[offset >> PAGE_SHIFT]) +
		     offset_in_page(offset);
	flow->rings = s->rings;
	flow->region = s->region;
	WRITE_ONCE(flow->slot_nr, slot);
	/* That of another context; of this one onload_ctx_die() speaks, which
	 * finds the flow from the next line on.
	 */
	WRITE_ONCE(flow->why, ONLOAD_R_NONE);
	s->flow = flow;
	refcount_inc(&ctx->ref);
	flow->ctx = ctx;
	WRITE_ONCE(flow->mm, ctx->mm);
out:
	mutex_unlock(&ctx->mutex);
	return err;
}

/**
 * onload_ctx_rings() - see to it that a flow has rings
 * @ctx: the flow's
 * @flow: attached, not leased
 *
 * Context: flow's socket locked.
 * Return: 0, -ENOBUFS beyond RLIMIT_MEMLOCK, -ENOMEM.
 */
int onload_ctx_rings(struct onload_ctx *ctx, struct onload_flow *flow)
{
	struct onload_rings *rings;
	int err = 0;

	if (flow->rings)
		return 0;
	mutex_lock(&ctx->mutex);
	rings = onload_rings_alloc(ctx);
	if (IS_ERR(rings)) {
		err = PTR_ERR(rings);
	} else {
		ctx->slots[flow->slot_nr].rings = rings;
		flow->rings = rings;
	}
	mutex_unlock(&ctx->mutex);
	return err;
}

/**
 * onload_ctx_region() - see to it that a flow has an area for a wire
 * @ctx: the flow's
 * @flow: attached, not leased
 *
 * Context: flow's socket locked.
 * Return: 0, -ENXIO the second mapping is not there, -ENOBUFS beyond
 * RLIMIT_MEMLOCK, -ENOMEM.
 */
int onload_ctx_region(struct onload_ctx *ctx, struct onload_flow *flow)
{
	struct onload_region *region;
	int err = 0;

	mutex_lock(&ctx->mutex);
	if (!ctx->peers)
		err = -ENXIO;
	if (err || flow->region)
		goto out;
	err = onload_ctx_page_alloc(ctx, &ctx->blank);
	if (err)
		goto out;
	region = onload_region_alloc(ctx);
	if (IS_ERR(region)) {
		err = PTR_ERR(region);
		goto out;
	}
	/* A late look after the slot's last one has left a blank page there. */
	onload_ctx_zap(ctx, ctx->wire_off + flow->slot_nr * ctx->wire_stride,
		       ONLOAD_WIRE_HEAD);
	ctx->slots[flow->slot_nr].region = region;
	flow->region = region;
out:
	mutex_unlock(&ctx->mutex);
	return err;
}

/**
 * onload_ctx_hide() - take the other end's area out of the mapping
 * @ctx: the flow's
 * @slot: the flow's, which has just left its wire; or is about to read from
 *	one, where a late look after the last may have left a page of zeros
 *
 * Context: flow's socket locked.
 */
void onload_ctx_hide(struct onload_ctx *ctx, u32 slot)
{
	mutex_lock(&ctx->mutex);
	onload_ctx_zap(ctx, ctx->map_size + slot * ctx->wire_stride,
		       ctx->wire_stride);
	mutex_unlock(&ctx->mutex);
}

/**
 * onload_ctx_detach() - undo onload_ctx_attach()
 * @ctx: the flow's
 * @slot: the flow's
 * @flow: not leased
 * @give_back: the library says that no thread of it is in the slot, or there
 *	is no mapping: free its memory. Else that waits for the slot's next
 *	flow.
 *
 * Context: flow's socket locked. Drops the flow's reference.
 */
void onload_ctx_detach(struct onload_ctx *ctx, u32 slot,
		       struct onload_flow *flow, bool give_back)
{
	struct onload_ctx_slot *s = &ctx->slots[slot];
	struct onload_rings *rings = NULL;

	mutex_lock(&ctx->mutex);
	s->flow = NULL;
	if (give_back) {
		rings = s->rings;
		s->rings = NULL;
		if (rings)
			onload_ctx_zap(ctx, ctx->rings_off +
				       slot * onload_ctx_stride(ctx),
				       onload_ctx_stride(ctx));
		if (s->region)
			onload_ctx_drop_region(ctx, slot);
	}
	mutex_unlock(&ctx->mutex);
	if (rings)
		onload_rings_free(ctx, rings);
	onload_ctx_put(ctx);
}
