/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_WATCH_H
#define ONLOAD_WATCH_H

#include <linux/workqueue.h>

struct onload_ctx;
struct onload_flow;

void onload_watch_rx(struct onload_flow *flow);
void onload_watch_tx(struct onload_flow *flow);
void onload_watch_at(struct onload_flow *flow, unsigned long due);
bool onload_unwatch(struct onload_ctx *ctx, struct onload_flow *flow);
void onload_watch_work(struct work_struct *work);

extern struct workqueue_struct *onload_wq;
extern struct workqueue_struct *onload_abort_wq;

#endif
