// SPDX-License-Identifier: GPL-2.0
/*
 * Rings: who is charged for their pages, and which page lies where in the
 * mapping.
 */
#include <linux/sched/signal.h>

#include "../rings.c"
#include "../region.h"
#include "env.h"

static long rings_charged(const struct onload_env *env)
{
	return atomic_long_read(&env->user.locked_vm);
}

/* A test runs in a thread of its own, whose limit nobody else has. */
static void rings_limit(struct onload_env *env, unsigned long pages)
{
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = pages << PAGE_SHIFT;
	env->ctx.unlimited = false;
}

static void rings_charge(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct onload_ctx *ctx = &env->ctx;
	long before = rings_charged(env);

	KUNIT_EXPECT_EQ(test, 2L, before);
	rings_limit(env, 10);
	KUNIT_EXPECT_EQ(test, 0, onload_pages_charge(ctx, 8));
	KUNIT_EXPECT_EQ(test, 10L, rings_charged(env));
	KUNIT_EXPECT_EQ(test, -ENOBUFS, onload_pages_charge(ctx, 1));
	KUNIT_EXPECT_EQ(test, 10L, rings_charged(env));
	onload_pages_uncharge(ctx->user, 1);
	KUNIT_EXPECT_EQ(test, 0, onload_pages_charge(ctx, 1));
	onload_pages_uncharge(ctx->user, 8);
	KUNIT_EXPECT_EQ(test, -ENOBUFS, onload_pages_charge(ctx, 9));
	/* Bytes that make no page count for nothing. */
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur += PAGE_SIZE - 1;
	KUNIT_EXPECT_EQ(test, -ENOBUFS, onload_pages_charge(ctx, 9));
	ctx->unlimited = true;
	KUNIT_EXPECT_EQ(test, 0, onload_pages_charge(ctx, 9));
	onload_pages_uncharge(ctx->user, 9);
	KUNIT_EXPECT_EQ(test, before, rings_charged(env));
}

/* All pages are charged, or none, and all are given back. */
static void rings_alloc(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, 16 * PAGE_SIZE,
						  4 * PAGE_SIZE);
	struct onload_rings *rings;

	KUNIT_EXPECT_EQ(test, 20L, rings_charged(env));
	rings_limit(env, 39);
	rings = onload_rings_alloc(&env->ctx);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOBUFS), rings);
	KUNIT_EXPECT_EQ(test, 20L, rings_charged(env));
	rings_limit(env, 40);
	rings = onload_rings_alloc(&env->ctx);
	KUNIT_ASSERT_FALSE(test, IS_ERR(rings));
	KUNIT_EXPECT_EQ(test, 40L, rings_charged(env));
	onload_rings_free(&env->ctx, rings);
	KUNIT_EXPECT_EQ(test, 20L, rings_charged(env));
}

/* Each ring is there twice in a row, for the kernel and in the mapping. */
static void rings_twice(struct kunit *test)
{
	static const u32 sizes[][2] = { { 1, 1 }, { 16, 4 }, { 2, 64 } };
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		u32 nrx = sizes[i][0], ntx = sizes[i][1], k;
		struct onload_env *env;
		struct onload_rings *rings;

		env = onload_env_lease(test, nrx * PAGE_SIZE, ntx * PAGE_SIZE);
		rings = env->flow.rings;
		for (k = 0; k < nrx; k++)
			*(u32 *)(rings->rx + k * PAGE_SIZE) = k;
		for (k = 0; k < ntx; k++)
			*(u32 *)(rings->tx + k * PAGE_SIZE) = 1000 + k;
		for (k = 0; k < 2 * (nrx + ntx); k++) {
			struct page *page;
			u8 *at;
			u32 want;

			page = onload_rings_page(&env->ctx, rings,
						 (u64)k << PAGE_SHIFT);
			want = k < 2 * nrx ? k % nrx :
					     1000 + (k - 2 * nrx) % ntx;
			KUNIT_EXPECT_EQ(test, want,
					*(u32 *)page_address(page));
			at = k < 2 * nrx ? rings->rx + k * PAGE_SIZE :
				rings->tx + (k - 2 * nrx) * PAGE_SIZE;
			KUNIT_EXPECT_EQ(test, want, *(u32 *)at);
		}
		KUNIT_EXPECT_EQ(test, onload_ctx_stride(&env->ctx),
				2ull * (nrx + ntx) * PAGE_SIZE);
		onload_env_end(test);
		test->priv = NULL;
	}
}

/* A wire's area grows within its limit, and is charged as it grows. */
static void rings_region(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct onload_ctx *ctx = &env->ctx;
	long before = rings_charged(env);
	struct onload_region *region;
	struct page *first;

	ctx->wire_shift = PAGE_SHIFT + 1;
	ctx->wire_max_shift = PAGE_SHIFT + 3;
	rings_limit(env, before + 2);
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENOBUFS),
			    (void *)onload_region_alloc(ctx));
	KUNIT_EXPECT_EQ(test, before, rings_charged(env));
	rings_limit(env, before + 7);
	region = onload_region_alloc(ctx);
	KUNIT_ASSERT_FALSE(test, IS_ERR(region));
	/* A head and two pages */
	KUNIT_EXPECT_EQ(test, before + 3, rings_charged(env));
	KUNIT_EXPECT_EQ(test, PAGE_SHIFT + 1, onload_region_shift(region));
	KUNIT_EXPECT_FALSE(test, onload_region_shared(region));
	first = onload_region_page(region, 0);
	KUNIT_EXPECT_PTR_EQ(test, (void *)region->head, page_address(first));
	KUNIT_EXPECT_NULL(test, onload_region_page(region, 3 * PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, onload_region_page(region, 1ull << 44));

	KUNIT_EXPECT_EQ(test, 0,
			onload_region_grow(ctx, region, PAGE_SHIFT + 2));
	KUNIT_EXPECT_EQ(test, before + 5, rings_charged(env));
	KUNIT_EXPECT_EQ(test, PAGE_SHIFT + 2, onload_region_shift(region));
	KUNIT_EXPECT_PTR_EQ(test, first, onload_region_page(region, 0));
	KUNIT_EXPECT_NOT_NULL(test, onload_region_page(region, 4 * PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, onload_region_page(region, 5 * PAGE_SIZE));
	/* Never shorter; never beyond its limit, or the user's */
	KUNIT_EXPECT_EQ(test, 0,
			onload_region_grow(ctx, region, PAGE_SHIFT + 1));
	KUNIT_EXPECT_EQ(test, PAGE_SHIFT + 2, onload_region_shift(region));
	KUNIT_EXPECT_EQ(test, -ENOBUFS,
			onload_region_grow(ctx, region, PAGE_SHIFT + 3));
	KUNIT_EXPECT_EQ(test, before + 5, rings_charged(env));
	KUNIT_EXPECT_EQ(test, -EMSGSIZE,
			onload_region_grow(ctx, region, PAGE_SHIFT + 4));
	ctx->unlimited = true;
	KUNIT_EXPECT_EQ(test, 0,
			onload_region_grow(ctx, region, PAGE_SHIFT + 3));
	KUNIT_EXPECT_EQ(test, before + 9, rings_charged(env));

	/* Who else has it keeps it, and its user pays until then. */
	refcount_inc(&region->ref);
	KUNIT_EXPECT_TRUE(test, onload_region_shared(region));
	onload_region_put(region);
	KUNIT_EXPECT_EQ(test, before + 9, rings_charged(env));
	onload_region_put(region);
	KUNIT_EXPECT_EQ(test, before, rings_charged(env));
}

static struct kunit_case rings_tests[] = {
	KUNIT_CASE(rings_charge),
	KUNIT_CASE(rings_alloc),
	KUNIT_CASE(rings_twice),
	KUNIT_CASE(rings_region),
	{}
};

static struct kunit_suite rings_suite = {
	.name		= "onload_rings",
	.suite_init	= onload_env_init,
	.suite_exit	= onload_env_exit,
	.exit		= onload_env_end,
	.test_cases	= rings_tests,
};

kunit_test_suite(rings_suite);
