/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_FAMILY_H
#define ONLOAD_FAMILY_H

#include <linux/net.h>
#include <net/sock.h>

int onload_family_init(int family);
void onload_family_uninit(void);

/* ops.c */
int onload_ops_init(void);
const struct proto_ops *onload_ops(int family);
const struct proto_ops *onload_linux_ops(int family);
void onload_flow_ops(struct proto_ops *ops, const struct proto_ops *base);

/* Any socket whose ops are this module's, with or without a flow */
static inline bool onload_is_ours(const struct socket *sock)
{
	const struct proto_ops *ops = READ_ONCE(sock->ops);

	return ops && ops->owner == THIS_MODULE;
}

#endif
