// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts: what a process maps. One for a process, made by getsockopt() on
 * any of its sockets of ours; it lives as long as its mapping, and the end of
 * the mapping (exit, exec, kill, munmap) takes back every lease in it.
 *
 * The mapping is not inherited by fork, cannot grow, move or split, is in no
 * core dump, and cannot be reached by get_user_pages().
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "context.h"
#include "flow.h"
#include "netns.h"
#include "region.h"
#include "watch.h"
#include "wire.h"

/* Of one user, so that nobody exhausts the kernel's memory with empty ones */
#define ONLOAD_CONTEXTS_PER_USER 4096

static DEFINE_HASHTABLE(onload_contexts, 6);
static DEFINE_SPINLOCK(onload_contexts_lock);

static unsigned int onload_slot_pages(const struct onload_ctx *ctx)
{
	return DIV_ROUND_UP(ctx->nslots * sizeof(struct onload_slot),
			    PAGE_SIZE);
}

/* What the kernel keeps of the slots, leased or not, in pages */
static unsigned int onload_slot_cost(const struct onload_ctx *ctx)
{
	return DIV_ROUND_UP(ctx->nslots * sizeof(*ctx->slots) +
			    onload_slot_pages(ctx) * sizeof(*ctx->slot_pages),
			    PAGE_SIZE);
}

static void onload_ctx_free(struct onload_ctx *ctx)
{
	unsigned int i;

	for (i = 0; i < ctx->nslots; i++) {
		if (ctx->slots[i].rings)
			onload_rings_free(ctx, ctx->slots[i].rings);
		if (ctx->slots[i].region)
			onload_region_put(ctx->slots[i].region);
	}
	for (i = 0; i < onload_slot_pages(ctx); i++) {
		if (!ctx->slot_pages[i])
			continue;
		put_page(ctx->slot_pages[i]);
		onload_pages_uncharge(ctx->user, 1);
	}
	if (ctx->blank) {
		put_page(ctx->blank);
		onload_pages_uncharge(ctx->user, 1);
	}
	kvfree(ctx->slot_pages);
	kvfree(ctx->slots);
	onload_pages_uncharge(ctx->user, onload_slot_cost(ctx));
	mmdrop(ctx->mm);
	free_uid(ctx->user);
	kfree(ctx);
}

/**
 * onload_ctx_put() - drop a reference
 * @ctx: freed with the last one
 *
 * Context: may sleep.
 */
void onload_ctx_put(struct onload_ctx *ctx)
{
	if (!refcount_dec_and_test(&ctx->ref))
		return;
	cancel_delayed_work_sync(&ctx->watch);
	onload_ctx_free(ctx);
}

/* The mapping is gone, or the last way to one: every lease ends. */
static void onload_ctx_die(struct onload_ctx *ctx)
{
	unsigned int i;

	spin_lock(&onload_contexts_lock);
	hash_del(&ctx->node);
	spin_unlock(&onload_contexts_lock);

	mutex_lock(&ctx->mutex);
	WRITE_ONCE(ctx->dead, true);
	for (i = 0; i < ctx->nslots; i++)
		if (ctx->slots[i].flow)
			onload_flow_queue(ctx->slots[i].flow, ONLOAD_R_UNMAP);
	mutex_unlock(&ctx->mutex);
}

/* The page at an offset of the mapping, NULL if there is none; mutex held */
static struct page *onload_ctx_page(struct onload_ctx *ctx, u64 offset)
{
	struct onload_region *region;
	struct onload_rings *rings;
	u64 rest;
	u32 slot;

	if (offset < ctx->rings_off)
		return ctx->slot_pages[offset >> PAGE_SHIFT];
	if (offset < ctx->wire_off) {
		slot = div64_u64_rem(offset - ctx->rings_off,
				     onload_ctx_stride(ctx), &rest);
		rings = ctx->slots[slot].rings;
		return rings ? onload_rings_page(ctx, rings, rest) : NULL;
	}
	if (offset < ctx->map_size) {
		slot = div64_u64_rem(offset - ctx->wire_off, ctx->wire_stride,
				     &rest);
		region = ctx->slots[slot].region;
		if (region)
			return onload_region_page(region, rest);
		return rest < ONLOAD_WIRE_HEAD ? ctx->blank : NULL;
	}
	slot = div64_u64_rem(offset - ctx->map_size, ctx->wire_stride, &rest);
	if (slot >= ctx->nslots)
		return NULL;
	return onload_wire_page(ctx->slots[slot].flow, rest);
}

static vm_fault_t onload_ctx_fault(struct vm_fault *vmf)
{
	struct onload_ctx *ctx = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	struct page *page;

	/* Entered into the page table under the mutex, under which it is also
	 * taken out: nobody keeps a page that has changed hands.
	 */
	mutex_lock(&ctx->mutex);
	page = onload_ctx_page(ctx, (u64)vmf->pgoff << PAGE_SHIFT);
	if (page)
		ret = vmf_insert_page(vmf->vma, vmf->address, page);
	mutex_unlock(&ctx->mutex);
	return ret;
}

/* Called for the copy that mremap() makes before it asks us, and for nothing
 * else: the mapping is not inherited and cannot be split.
 */
static void onload_ctx_vma_open(struct vm_area_struct *vma)
{
	struct onload_ctx *ctx = vma->vm_private_data;

	mutex_lock(&ctx->mutex);
	if (vma->vm_pgoff)
		ctx->peers++;
	else
		ctx->areas++;
	mutex_unlock(&ctx->mutex);
}

static void onload_ctx_vma_close(struct vm_area_struct *vma)
{
	struct onload_ctx *ctx = vma->vm_private_data;
	bool last = false;

	mutex_lock(&ctx->mutex);
	if (vma->vm_pgoff)
		ctx->peers--;
	else
		last = !--ctx->areas;
	mutex_unlock(&ctx->mutex);
	if (last)
		onload_ctx_die(ctx);
}

static int onload_ctx_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int onload_ctx_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static const struct vm_operations_struct onload_ctx_vm_ops = {
	.open		= onload_ctx_vma_open,
	.close		= onload_ctx_vma_close,
	.may_split	= onload_ctx_may_split,
	.mremap		= onload_ctx_mremap,
	.fault		= onload_ctx_fault,
};

/* Is this one of the two mappings that there may be, and the first try? */
static int onload_ctx_mmap_check(struct onload_ctx *ctx,
				 const struct vm_area_struct *vma)
{
	unsigned long flags = vma->vm_flags & (VM_READ | VM_WRITE | VM_EXEC |
					       VM_SHARED);
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	u64 len = vma->vm_end - vma->vm_start;

	if (!offset) {
		if (len != ctx->map_size ||
		    flags != (VM_READ | VM_WRITE | VM_SHARED))
			return -EINVAL;
		return ctx->mapped ? -EBUSY : 0;
	}
	/* A descriptor that can write makes any shared mapping VM_SHARED. */
	if (offset != ctx->map_size || len != ctx->nslots * ctx->wire_stride ||
	    flags != (VM_READ | VM_SHARED))
		return -EINVAL;
	return ctx->peers || !ctx->mapped || ctx->dead ? -EBUSY : 0;
}

static int onload_ctx_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct onload_ctx *ctx = file->private_data;
	int err;

	if (ctx->mm != current->mm)
		return -EPERM;

	mutex_lock(&ctx->mutex);
	err = onload_ctx_mmap_check(ctx, vma);
	if (err)
		goto out;
	/* VM_IO also keeps MADV_DOFORK from undoing VM_DONTCOPY. */
	vma->vm_flags |= VM_IO | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP |
			 VM_MIXEDMAP;
	vma->vm_flags &= ~VM_MAYEXEC;
	if (vma->vm_pgoff) {
		/* Other processes' memory: never to be written. */
		vma->vm_flags &= ~VM_MAYWRITE;
		ctx->peers = 1;
	} else {
		ctx->mapped = true;
		ctx->areas = 1;
		ctx->mapping = file->f_mapping;
	}
	vma->vm_ops = &onload_ctx_vm_ops;
	vma->vm_private_data = ctx;
out:
	mutex_unlock(&ctx->mutex);
	return err;
}

static int onload_ctx_release(struct inode *inode, struct file *file)
{
	struct onload_ctx *ctx = file->private_data;

	onload_ctx_die(ctx);
	onload_ctx_put(ctx);
	return 0;
}

static const struct file_operations onload_ctx_fops = {
	.owner		= THIS_MODULE,
	.mmap		= onload_ctx_mmap,
	.release	= onload_ctx_release,
	.llseek		= noop_llseek,
};

static struct onload_ctx *onload_ctx_alloc(struct net *net, u32 nslots)
{
	struct onload_net *on = onload_net(net);
	struct onload_ctx *ctx;
	int err = -ENOMEM;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return ERR_PTR(err);
	ctx->nslots = nslots;
	ctx->unlimited = capable(CAP_IPC_LOCK);
	ctx->user = get_uid(current_user());
	err = onload_pages_charge(ctx, onload_slot_cost(ctx));
	if (err)
		goto err_user;
	err = -ENOMEM;
	ctx->slots = kvcalloc(nslots, sizeof(*ctx->slots), GFP_KERNEL_ACCOUNT);
	ctx->slot_pages = kvcalloc(onload_slot_pages(ctx),
				   sizeof(*ctx->slot_pages),
				   GFP_KERNEL_ACCOUNT);
	if (!ctx->slots || !ctx->slot_pages)
		goto err_slots;
	refcount_set(&ctx->ref, 1);
	mutex_init(&ctx->mutex);
	spin_lock_init(&ctx->lock);
	INIT_LIST_HEAD(&ctx->watched);
	INIT_DELAYED_WORK(&ctx->watch, onload_watch_work);
	ctx->rx_size = READ_ONCE(on->rx_ring);
	ctx->tx_size = READ_ONCE(on->tx_ring);
	ctx->rings_off = (u64)onload_slot_pages(ctx) << PAGE_SHIFT;
	ctx->wire_max_shift = ilog2(READ_ONCE(on->wire_ring_max));
	ctx->wire_shift = min_t(u8, ilog2(READ_ONCE(on->wire_ring)),
				ctx->wire_max_shift);
	ctx->wire_stride = ONLOAD_WIRE_HEAD + (1ull << ctx->wire_max_shift);
	ctx->wire_off = ctx->rings_off + nslots * onload_ctx_stride(ctx);
	ctx->map_size = ctx->wire_off + nslots * ctx->wire_stride;
	ctx->mm = current->mm;
	mmgrab(ctx->mm);
	return ctx;

err_slots:
	kvfree(ctx->slot_pages);
	kvfree(ctx->slots);
	onload_pages_uncharge(ctx->user, onload_slot_cost(ctx));
err_user:
	free_uid(ctx->user);
	kfree(ctx);
	return ERR_PTR(err);
}

/* One context a process, so many a user: enter it into the table. */
static int onload_ctx_enter(struct onload_ctx *ctx)
{
	struct onload_ctx *other;
	unsigned int n = 0;
	int err = 0, bucket;

	spin_lock(&onload_contexts_lock);
	hash_for_each(onload_contexts, bucket, other, node) {
		if (other->mm == ctx->mm)
			err = -EBUSY;
		if (other->user == ctx->user)
			n++;
	}
	if (!err && n >= ONLOAD_CONTEXTS_PER_USER)
		err = -EUSERS;
	if (!err)
		hash_add(onload_contexts, &ctx->node, (unsigned long)ctx->mm);
	spin_unlock(&onload_contexts_lock);
	return err;
}

/**
 * onload_ctx_create() - make the context of the current process
 * @net: whose sysctls give the sizes of rings
 * @req: @abi and @nslots are given, the rest is filled in
 *
 * Return: 0 or an error of ONLOAD_CONTEXT.
 */
int onload_ctx_create(struct net *net, struct onload_context *req)
{
	struct onload_ctx *ctx;
	int err;

	if (req->abi != ONLOAD_ABI)
		return -EPROTO;
	if (!req->nslots || req->nslots > ONLOAD_SLOTS_MAX || !current->mm)
		return -EINVAL;
	ctx = onload_ctx_alloc(net, req->nslots);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	err = onload_ctx_enter(ctx);
	if (err) {
		onload_ctx_put(ctx);
		return err;
	}
	req->rx_size = ctx->rx_size;
	req->tx_size = ctx->tx_size;
	req->slots_off = ctx->slots_off;
	req->rings_off = ctx->rings_off;
	req->map_size = ctx->map_size;
	req->wire_off = ctx->wire_off;
	req->wire_stride = ctx->wire_stride;
	/* An inode of its own gives it an address space of its own, by which
	 * rings are taken out of the mapping.
	 */
	err = anon_inode_getfd_secure("[onload]", &onload_ctx_fops, ctx,
				      O_RDWR | O_CLOEXEC, NULL);
	if (err < 0) {
		onload_ctx_die(ctx);
		onload_ctx_put(ctx);
		return err;
	}
	req->fd = err;
	return 0;
}

/**
 * onload_ctx_of_current() - the context of the current process
 *
 * Return: it with a reference, or NULL.
 */
struct onload_ctx *onload_ctx_of_current(void)
{
	struct mm_struct *mm = current->mm;
	struct onload_ctx *ctx, *found = NULL;

	spin_lock(&onload_contexts_lock);
	hash_for_each_possible(onload_contexts, ctx, node, (unsigned long)mm)
		if (ctx->mm == mm && refcount_inc_not_zero(&ctx->ref)) {
			found = ctx;
			break;
		}
	spin_unlock(&onload_contexts_lock);
	return found;
}

/**
 * onload_ctx_hold() - keep the mapping from ending
 * @ctx: whose flow is about to be leased
 *
 * Return: 0 until onload_ctx_unhold(), -ENXIO if it has ended.
 */
int onload_ctx_hold(struct onload_ctx *ctx)
{
	mutex_lock(&ctx->mutex);
	if (!ctx->dead)
		return 0;
	mutex_unlock(&ctx->mutex);
	return -ENXIO;
}

/**
 * onload_ctx_unhold() - undo onload_ctx_hold()
 * @ctx: the same
 */
void onload_ctx_unhold(struct onload_ctx *ctx)
{
	mutex_unlock(&ctx->mutex);
}

/**
 * onload_ctx_generation() - a number for the next lease
 * @ctx: whose
 *
 * Return: never 0; different from that of any recent lease in the context.
 */
u32 onload_ctx_generation(struct onload_ctx *ctx)
{
	u32 generation;

	spin_lock_bh(&ctx->lock);
	if (!++ctx->generation)
		ctx->generation = 1;
	generation = ctx->generation;
	spin_unlock_bh(&ctx->lock);
	return generation;
}
