/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_WAIT_H
#define ONLOAD_WAIT_H

#include <linux/poll.h>

#include <linux/onload.h>

struct onload_flow;
struct sock;
struct socket;
struct wait_queue_entry;

/* Who is on a socket's wait queue; onload_who_waits() */
#define ONLOAD_WHO_POLLS	0x1	/* told only of what arrives from now on */
#define ONLOAD_WHO_SLEEPS	0x2	/* inside an operation of Linux's */

u32 onload_who_waits(struct sock *sk);
int onload_wait_woken(struct wait_queue_entry *entry, unsigned int mode,
		      int flags, void *key);
int onload_wait(struct onload_flow *flow, const struct onload_wait *req);
int onload_wait_interrupted(const struct onload_wait *req);
__poll_t onload_poll(struct onload_flow *flow, struct file *file,
		     struct socket *sock, poll_table *wait);
void onload_wake_tx(struct onload_flow *flow);
void onload_wake_rx(struct onload_flow *flow);
void onload_wake(struct onload_flow *flow, bool data);
void onload_wake_all(struct onload_flow *flow);

#endif
