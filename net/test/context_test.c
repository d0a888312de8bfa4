// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts: which page lies where in the mapping, what may be mapped, how many
 * there may be, and who has a slot.
 */
#include "../context.c"
#include "env.h"

#define NSLOTS	20u	/* which take three pages */

/* A context with all that one has but for the process and its mapping */
static struct onload_ctx *context_new(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, 2 * PAGE_SIZE,
						  PAGE_SIZE);
	struct onload_ctx *ctx = &env->ctx;

	ctx->nslots = NSLOTS;
	ctx->slots = kunit_kcalloc(test, NSLOTS, sizeof(*ctx->slots),
				   GFP_KERNEL);
	ctx->slot_pages = kunit_kcalloc(test, onload_slot_pages(ctx),
					sizeof(*ctx->slot_pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ctx->slots);
	KUNIT_ASSERT_NOT_NULL(test, ctx->slot_pages);
	ctx->rings_off = (u64)onload_slot_pages(ctx) << PAGE_SHIFT;
	ctx->wire_shift = PAGE_SHIFT;
	ctx->wire_max_shift = PAGE_SHIFT + 2;
	ctx->wire_stride = ONLOAD_WIRE_HEAD + (1ull << ctx->wire_max_shift);
	ctx->wire_off = ctx->rings_off + NSLOTS * onload_ctx_stride(ctx);
	ctx->map_size = ctx->wire_off + NSLOTS * ctx->wire_stride;
	return ctx;
}

static void context_end(struct kunit *test)
{
	struct onload_env *env = test->priv;
	struct onload_ctx *ctx;
	int i;

	if (env && env->ctx.slot_pages) {
		ctx = &env->ctx;
		for (i = 0; i < onload_slot_pages(ctx); i++)
			if (ctx->slot_pages[i]) {
				put_page(ctx->slot_pages[i]);
				onload_pages_uncharge(ctx->user, 1);
			}
		if (ctx->blank) {
			put_page(ctx->blank);
			onload_pages_uncharge(ctx->user, 1);
		}
	}
	onload_env_end(test);
}

static long context_charged(const struct onload_ctx *ctx)
{
	return atomic_long_read(&ctx->user->locked_vm);
}

/* Each area from its first page to its last; nothing before it is there */
static void context_pages(struct kunit *test)
{
	struct onload_ctx *ctx = context_new(test);
	u64 stride = onload_ctx_stride(ctx);
	struct onload_rings *rings;
	struct onload_region *region;
	u64 at;

	KUNIT_EXPECT_EQ(test, 3, onload_slot_pages(ctx));
	for (at = 0; at < ctx->map_size; at += PAGE_SIZE)
		KUNIT_EXPECT_NULL(test, onload_ctx_page(ctx, at));

	KUNIT_ASSERT_EQ(test, 0, onload_ctx_slot_page(ctx, NSLOTS - 1));
	KUNIT_EXPECT_NULL(test, onload_ctx_page(ctx, PAGE_SIZE));
	KUNIT_EXPECT_PTR_EQ(test, ctx->slot_pages[2],
			    onload_ctx_page(ctx, 2 * PAGE_SIZE));
	KUNIT_EXPECT_NOT_NULL(test, ctx->slot_pages[2]);

	rings = onload_rings_alloc(ctx);
	KUNIT_ASSERT_FALSE(test, IS_ERR(rings));
	ctx->slots[7].rings = rings;
	at = ctx->rings_off + 7 * stride;
	KUNIT_EXPECT_NULL(test, onload_ctx_page(ctx, at - PAGE_SIZE));
	KUNIT_EXPECT_PTR_EQ(test, rings->pages[0], onload_ctx_page(ctx, at));
	KUNIT_EXPECT_PTR_EQ(test, rings->pages[2],
			    onload_ctx_page(ctx, at + stride - PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, onload_ctx_page(ctx, at + stride));
	ctx->slots[NSLOTS - 1].rings = rings;
	KUNIT_EXPECT_PTR_EQ(test, rings->pages[2],
			    onload_ctx_page(ctx, ctx->wire_off - PAGE_SIZE));

	region = onload_region_alloc(ctx);
	KUNIT_ASSERT_FALSE(test, IS_ERR(region));
	ctx->slots[0].region = region;
	at = ctx->wire_off;
	KUNIT_EXPECT_PTR_EQ(test, region->pages[0], onload_ctx_page(ctx, at));
	KUNIT_EXPECT_PTR_EQ(test, region->pages[1],
			    onload_ctx_page(ctx, at + PAGE_SIZE));
	/* It has not grown to there. */
	KUNIT_EXPECT_NULL(test, onload_ctx_page(ctx, at + 2 * PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, onload_ctx_page(ctx, at + ctx->wire_stride));
	ctx->slots[NSLOTS - 1].region = region;
	at = ctx->map_size - ctx->wire_stride;
	KUNIT_EXPECT_PTR_EQ(test, region->pages[0], onload_ctx_page(ctx, at));

	/* Where an area was: a head to be looked at, and no ring */
	ctx->blank = region->pages[1];
	KUNIT_EXPECT_PTR_EQ(test, ctx->blank,
			    onload_ctx_page(ctx, at - ctx->wire_stride));
	KUNIT_EXPECT_NULL(test, onload_ctx_page(ctx, at - ctx->wire_stride +
						ONLOAD_WIRE_HEAD));
	ctx->blank = NULL;

	/* Beyond the second mapping's last slot */
	at = ctx->map_size + NSLOTS * ctx->wire_stride;
	KUNIT_EXPECT_NULL(test, onload_ctx_page(ctx, at));
	KUNIT_EXPECT_NULL(test, onload_ctx_page(ctx, 1ull << 50));

	onload_region_put(region);
	onload_rings_free(ctx, rings);
}

/**
 * struct context_map - a call of mmap()
 * @name: what is special
 * @second: at the offset of the second mapping, else 0
 * @flags: VM_*
 * @less: so many bytes less than there are
 * @offset: so many pages from where it should be
 * @err: what becomes of it
 */
struct context_map {
	const char *name;
	bool second;
	unsigned long flags;
	long less;
	long offset;
	int err;
};

#define FIRST	(VM_READ | VM_WRITE | VM_SHARED)
#define SECOND	(VM_READ | VM_SHARED)

static const struct context_map context_maps[] = {
	{ "as it should be", false, FIRST, 0, 0, 0 },
	{ "with VM_MAY*", false, FIRST | VM_MAYREAD | VM_MAYWRITE, 0, 0, 0 },
	{ "private", false, VM_READ | VM_WRITE, 0, 0, -EINVAL },
	{ "read only", false, SECOND, 0, 0, -EINVAL },
	{ "executable", false, FIRST | VM_EXEC, 0, 0, -EINVAL },
	{ "a page less", false, FIRST, PAGE_SIZE, 0, -EINVAL },
	{ "a page more", false, FIRST, -PAGE_SIZE, 0, -EINVAL },
	{ "from its second page", false, FIRST, 0, 1, -EINVAL },
	{ "second as it should be", true, SECOND, 0, 0, 0 },
	{ "second to be written", true, FIRST, 0, 0, -EINVAL },
	{ "second private", true, VM_READ, 0, 0, -EINVAL },
	{ "second executable", true, SECOND | VM_EXEC, 0, 0, -EINVAL },
	{ "second a page less", true, SECOND, PAGE_SIZE, 0, -EINVAL },
	{ "second a page more", true, SECOND, -PAGE_SIZE, 0, -EINVAL },
	{ "second a page early", true, SECOND, 0, -1, -EINVAL },
	{ "second a page late", true, SECOND, 0, 1, -EINVAL },
};

static void context_map_desc(const struct context_map *m, char *desc)
{
	strscpy(desc, m->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(context_map, context_maps, context_map_desc);

static void context_mmap(struct kunit *test)
{
	const struct context_map *m = test->param_value;
	struct onload_ctx *ctx = context_new(test);
	struct vm_area_struct vma = { .vm_flags = m->flags };
	u64 len = m->second ? NSLOTS * ctx->wire_stride : ctx->map_size;

	vma.vm_start = PAGE_SIZE;
	vma.vm_end = PAGE_SIZE + len - m->less;
	vma.vm_pgoff = (m->second ? ctx->map_size >> PAGE_SHIFT : 0) +
		       m->offset;
	ctx->dead = false;
	ctx->mapped = m->second;
	KUNIT_EXPECT_EQ(test, m->err, onload_ctx_mmap_check(ctx, &vma));
	if (m->err)
		goto out;
	/* Once; the second while there is the first */
	ctx->mapped = !m->second;
	KUNIT_EXPECT_EQ(test, -EBUSY, onload_ctx_mmap_check(ctx, &vma));
	ctx->mapped = true;
	ctx->peers = 1;
	KUNIT_EXPECT_EQ(test, -EBUSY, onload_ctx_mmap_check(ctx, &vma));
	ctx->peers = 0;
	ctx->dead = true;
	KUNIT_EXPECT_EQ(test, -EBUSY, onload_ctx_mmap_check(ctx, &vma));
out:
	ctx->dead = true;
}

/* Who gets a slot, what that costs, and what becomes of its memory */
static void context_attach(struct kunit *test)
{
	struct onload_ctx *ctx = context_new(test);
	struct onload_env *env = test->priv;
	struct onload_flow *a = &env->flow, *b;
	struct onload_rings *own = a->rings;
	long before = context_charged(ctx);

	b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b);
	/* Nobody has mapped it. */
	ctx->mapping = kunit_kzalloc(test, sizeof(*ctx->mapping), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ctx->mapping);
	address_space_init_once(ctx->mapping);
	ctx->mapped = true;
	KUNIT_EXPECT_EQ(test, -ENXIO, onload_ctx_attach(ctx, 3, a));
	ctx->dead = false;
	ctx->mapped = false;
	KUNIT_EXPECT_EQ(test, -ENXIO, onload_ctx_attach(ctx, 3, a));
	ctx->mapped = true;
	KUNIT_EXPECT_EQ(test, -EINVAL, onload_ctx_attach(ctx, NSLOTS, a));
	KUNIT_EXPECT_EQ(test, -EINVAL, onload_ctx_attach(ctx, U32_MAX, a));
	KUNIT_EXPECT_EQ(test, before, context_charged(ctx));

	a->why = ONLOAD_R_UNMAP;
	KUNIT_ASSERT_EQ(test, 0, onload_ctx_attach(ctx, NSLOTS - 1, a));
	KUNIT_EXPECT_EQ(test, before + 1, context_charged(ctx));
	KUNIT_EXPECT_EQ(test, ONLOAD_R_NONE, a->why);
	KUNIT_EXPECT_EQ(test, 2, refcount_read(&ctx->ref));
	KUNIT_EXPECT_EQ(test, NSLOTS - 1, a->slot_nr);
	/* Eight slots a page: the last is the fourth of the third page. */
	KUNIT_EXPECT_PTR_EQ(test, (void *)a->slot,
			    page_address(ctx->slot_pages[2]) +
			    3 * sizeof(struct onload_slot));
	KUNIT_EXPECT_NULL(test, a->rings);
	KUNIT_EXPECT_EQ(test, -EBUSY, onload_ctx_attach(ctx, NSLOTS - 1, b));

	KUNIT_EXPECT_EQ(test, 0, onload_ctx_rings(ctx, a));
	KUNIT_EXPECT_PTR_EQ(test, a->rings, ctx->slots[NSLOTS - 1].rings);
	KUNIT_EXPECT_EQ(test, before + 4, context_charged(ctx));
	KUNIT_EXPECT_EQ(test, -ENXIO, onload_ctx_region(ctx, a));
	ctx->peers = 1;
	KUNIT_EXPECT_EQ(test, 0, onload_ctx_region(ctx, a));
	/* Head, ring, and the page that stays in their place */
	KUNIT_EXPECT_EQ(test, before + 7, context_charged(ctx));
	KUNIT_EXPECT_NOT_NULL(test, ctx->blank);
	ctx->peers = 0;

	/* Not given back: that waits for the next flow, but for the region,
	 * which has bytes of this one.
	 */
	onload_ctx_detach(ctx, NSLOTS - 1, a, false);
	KUNIT_EXPECT_EQ(test, before + 7, context_charged(ctx));
	KUNIT_ASSERT_EQ(test, 0, onload_ctx_attach(ctx, NSLOTS - 1, b));
	KUNIT_EXPECT_PTR_EQ(test, a->rings, b->rings);
	KUNIT_EXPECT_NULL(test, b->region);
	KUNIT_EXPECT_EQ(test, before + 5, context_charged(ctx));
	onload_ctx_detach(ctx, NSLOTS - 1, b, true);
	KUNIT_EXPECT_EQ(test, before + 2, context_charged(ctx));
	KUNIT_EXPECT_NULL(test, ctx->slots[NSLOTS - 1].rings);
	KUNIT_EXPECT_NULL(test, ctx->slots[NSLOTS - 1].region);
	KUNIT_EXPECT_EQ(test, 1, refcount_read(&ctx->ref));
	a->rings = own;
}

/* One context a process, so many a user */
static void context_enter(struct kunit *test)
{
	const unsigned int most = ONLOAD_CONTEXTS_PER_USER;
	struct onload_ctx *all, *one;
	struct user_struct *user;
	int i;

	all = kvcalloc(most + 1, sizeof(*all), GFP_KERNEL);
	user = kunit_kcalloc(test, 2, sizeof(*user), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, user);
	KUNIT_ASSERT_NOT_NULL(test, all);
	for (i = 0; i < most - 1; i++) {
		all[i].mm = (struct mm_struct *)&all[i];
		all[i].user = user;
		hash_add(onload_contexts, &all[i].node,
			 (unsigned long)all[i].mm);
	}
	one = &all[most];
	one->user = user;
	one->mm = all[0].mm;
	KUNIT_EXPECT_EQ(test, -EBUSY, onload_ctx_enter(one));
	KUNIT_EXPECT_TRUE(test, hash_hashed(&all[0].node));
	KUNIT_EXPECT_FALSE(test, hash_hashed(&one->node));
	all[i].user = user;
	all[i].mm = (struct mm_struct *)&all[i];
	KUNIT_EXPECT_EQ(test, 0, onload_ctx_enter(&all[i]));
	one->mm = (struct mm_struct *)one;
	KUNIT_EXPECT_EQ(test, -EUSERS, onload_ctx_enter(one));
	one->user = user + 1;
	KUNIT_EXPECT_EQ(test, 0, onload_ctx_enter(one));
	for (i = 0; i <= most; i++)
		hash_del(&all[i].node);
	kvfree(all);
}

static struct kunit_case context_tests[] = {
	KUNIT_CASE(context_pages),
	KUNIT_CASE_PARAM(context_mmap, context_map_gen_params),
	KUNIT_CASE(context_attach),
	KUNIT_CASE(context_enter),
	{}
};

static struct kunit_suite context_suite = {
	.name		= "onload_context",
	.suite_init	= onload_env_init,
	.suite_exit	= onload_env_exit,
	.exit		= context_end,
	.test_cases	= context_tests,
};

kunit_test_suite(context_suite);
