/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Free numbers, without a lock: those given back form a stack whose head
 * carries a tag against reuse between load and exchange; those never used
 * are counted. Safe in signal handlers and after fork().
 */
#ifndef OL_POOL_H
#define OL_POOL_H

#include <stdint.h>

#include "barrier.h"

#define OL_POOL_NONE UINT32_MAX

struct ol_pool {
	uint64_t head;	/* tag (63..32), number + 1 (31..0) */
	uint32_t fresh; /* from here on never used */
	uint32_t max;
	uint32_t *next; /* number + 1, or 0 */
};

static inline uint32_t ol_pool_get(struct ol_pool *p)
{
	uint64_t head = ol_load_acquire(&p->head);
	uint32_t fresh;

	while ((uint32_t)head) {
		uint32_t next = ol_load(&p->next[(uint32_t)head - 1]);

		if (ol_cas(&p->head, &head, ((head >> 32) + 1) << 32 | next))
			return (uint32_t)head - 1;
	}
	fresh = ol_load(&p->fresh);
	while (fresh < p->max)
		if (ol_cas(&p->fresh, &fresh, fresh + 1))
			return fresh;
	return OL_POOL_NONE;
}

static inline void ol_pool_put(struct ol_pool *p, uint32_t n)
{
	uint64_t head = ol_load(&p->head);

	do {
		ol_store(&p->next[n], (uint32_t)head);
	} while (!ol_cas(&p->head, &head, ((head >> 32) + 1) << 32 | (n + 1)));
}

#endif
