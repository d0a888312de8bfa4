/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_TEST_ENV_H
#define ONLOAD_TEST_ENV_H

#include <kunit/test.h>
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/sched/user.h>
#include <net/dst.h>

#include "../context.h"
#include "../flow.h"

/* Where sequence numbers and positions begin: what is computed with them must
 * not depend on where they wrap, or change their sign.
 */
static const u32 onload_origins[] = {
	1000000, 0, (u32)-16, (u32)-4096, S32_MAX - 15, 1u << 31,
};

/* Generation of the lease in a struct onload_env */
#define ONLOAD_ENV_GEN	7u

/**
 * struct onload_env - a flow, leased on the soft VI, and what is around it
 * @user: who pays
 * @ctx: dead, hence without a mapping; has @user, sizes, locks and a watch that
 *	does nothing
 * @sock: established; nobody has initialised more of it than is used here
 * @flow: of @sock, in @ctx, with rings; its work does nothing, so that what
 *	was queued is there to be seen in its @why
 * @slot: the flow's
 * @dev: up, for onload_env_route()
 * @dst: leads there
 */
struct onload_env {
	struct user_struct user;
	struct onload_ctx ctx;
	struct tcp6_sock sock;
	struct onload_flow flow;
	struct onload_slot slot;
	struct net_device dev;
	struct dst_entry dst;
};

int onload_env_init(struct kunit_suite *suite);
void onload_env_exit(struct kunit_suite *suite);
struct onload_env *onload_env_lease(struct kunit *test, u32 rx_size,
				    u32 tx_size);
void onload_env_route(struct onload_env *env);
void onload_env_end(struct kunit *test);
u8 onload_env_byte(u32 seq);
bool onload_env_bytes(const u8 *data, u32 seq, u32 len);

#endif
