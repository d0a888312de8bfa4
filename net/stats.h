/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_STATS_H
#define ONLOAD_STATS_H

#include <linux/compiler.h>

#include <linux/onload.h>

struct onload_flow;
struct sock;

void onload_stat_lease(struct onload_flow *flow);
void onload_stat_reclaim(struct onload_flow *flow, enum onload_reason why);
void onload_stat_refuse(struct onload_flow *flow, enum onload_reason why);
void onload_stat_bytes(struct onload_flow *flow, u64 rx, u64 tx);
void onload_stat_close(struct sock *sk);
void onload_stat_info(const struct onload_flow *flow, struct sock *sk,
		      struct onload_info *info);
const char *onload_reason_word(enum onload_reason why);

/* A count, for display only, without the lock of those who count */
static inline u64 onload_glance(const u64 *count)
{
	/* A number of a moment ago will do, nothing is decided by it. */
	return data_race(*count);
}

#endif
