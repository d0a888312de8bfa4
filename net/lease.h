/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_LEASE_H
#define ONLOAD_LEASE_H

#include <linux/onload.h>

struct onload_flow;
struct onload_ctx;
struct onload_wire_end;
struct sock;

int onload_lease(struct onload_flow *flow, struct onload_ctx *ctx,
		 struct onload_lease *req);
bool onload_backing_off(const struct onload_flow *flow);
bool onload_peek(struct onload_flow *flow, struct onload_tcp_state *st);

/* reclaim.c */
int onload_reclaim_owned(struct onload_flow *flow, enum onload_reason why);
void onload_reclaimed(struct onload_flow *flow, int err);
int onload_reclaim(struct onload_flow *flow, enum onload_reason why);
int onload_end_owned(struct onload_flow *flow, enum onload_reason why);
void onload_end(struct onload_flow *flow, enum onload_reason why);
int onload_handback(struct onload_flow *flow, u32 generation,
		    enum onload_reason why);
void onload_detach(struct onload_flow *flow, enum onload_reason why);
int onload_detach_mine(struct onload_flow *flow, u32 slot);
void onload_detach_dead(struct onload_flow *flow);
void onload_part(struct onload_flow *flow, bool give_back);

/* export.c, socket locked */
enum onload_reason onload_export_check_wire(struct onload_flow *flow);
enum onload_reason onload_export_check(struct onload_flow *flow, u32 wnd_max);
void onload_export(struct onload_flow *flow, struct onload_tcp_state *st,
		   struct onload_flow_const *c, u32 wnd_max);

/* import.c, socket locked */
int onload_import(struct onload_flow *flow, const struct onload_tcp_state *st);
void onload_import_wire(struct onload_flow *flow,
			const struct onload_wire_end *from, u32 unread,
			u64 rx, u64 tx);

#endif
