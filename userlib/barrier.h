/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that others write: the kernel (the mapping) or other threads (the
 * tables). Each macro is the C11 operation of that order on an ordinary
 * object, because the layout shared with the kernel has no _Atomic types.
 *
 *   relaxed   the value is whole, nothing else is promised
 *   acquire   what the releasing side wrote before is visible after
 *   release   what was read or written before is done before
 *
 * Three pairs matter (C11 7.17.3):
 * - rx_prod: the kernel stores it with release after the records; we load it
 *   with acquire before we look at them.
 * - word: our compare-and-exchange is acquire-release. Release: the state in
 *   the next slot, and all that we read of records which that state gives
 *   back, come before the kernel can see the new sequence. Acquire: nothing
 *   that relies on the commit, above all a kick, moves before it. The kernel's
 *   exchange is a full barrier, and both are atomic on one word, so either it
 *   sees our sequence or we fail.
 * - lk of an endpoint: lock acquires, unlock releases, as any lock.
 */
#ifndef OL_BARRIER_H
#define OL_BARRIER_H

#define ol_likely(x)   __builtin_expect(!!(x), 1)
#define ol_unlikely(x) __builtin_expect(!!(x), 0)

#define ol_load(p)	       __atomic_load_n((p), __ATOMIC_RELAXED)
#define ol_load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define ol_store(p, v)	       __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ol_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define ol_xchg(p, v)	       __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define ol_add(p, v)	       __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define ol_or(p, v)	       __atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL)

/* *old is updated when it fails */
#define ol_cas(p, old, new)                                                 \
	__atomic_compare_exchange_n((p), (old), (new), 0, __ATOMIC_ACQ_REL, \
				    __ATOMIC_ACQUIRE)

static inline void ol_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
