/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_WAIT_H
#define ONLOAD_WAIT_H

#include <linux/poll.h>

#include <linux/onload.h>

struct onload_flow;
struct socket;

int onload_wait(struct onload_flow *flow, const struct onload_wait *req);
__poll_t onload_poll(struct onload_flow *flow, struct file *file,
		     struct socket *sock, poll_table *wait);
void onload_wake_tx(struct onload_flow *flow);
void onload_wake(struct onload_flow *flow, bool data);
void onload_wake_all(struct onload_flow *flow);

#endif
