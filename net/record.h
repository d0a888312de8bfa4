/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_RECORD_H
#define ONLOAD_RECORD_H

#include <linux/types.h>

struct onload_flow;
struct onload_tcp_state;
struct sk_buff;

void onload_record_queue(struct onload_flow *flow);
bool onload_record_put(struct onload_flow *flow, const struct sk_buff *skb,
		       u8 dsfield, u8 ttl);
struct sk_buff_head;
void onload_record_append(struct sk_buff_head *queue, u32 seq, const u8 *from,
			  u32 len);
int onload_record_unread(struct onload_flow *flow,
			 const struct onload_tcp_state *st,
			 struct sk_buff_head *queue);
void onload_record_promise(struct sock *sk, int rcvbuf);
int onload_record_drain(struct onload_flow *flow, u32 pos);

#endif
