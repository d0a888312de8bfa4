// SPDX-License-Identifier: GPL-2.0
/*
 * The address family: an AF_ONLOAD socket is an AF_INET or AF_INET6 socket of
 * Linux's own making whose operations go through ours.
 */
#include <linux/in.h>
#include <linux/net.h>
#include <net/sock.h>

#include <linux/onload.h>

#include "family.h"

static int onload_create(struct net *net, struct socket *sock, int protocol,
			 int kern)
{
	int family = protocol & ONLOADPROTO_6 ? AF_INET6 : AF_INET;
	struct socket *inner;
	int err;

	if (sock->type != SOCK_STREAM && sock->type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	protocol &= ~ONLOADPROTO_6;
	if (protocol && protocol != (sock->type == SOCK_STREAM ?
				     IPPROTO_TCP : IPPROTO_UDP))
		return -EPROTONOSUPPORT;

	err = __sock_create(net, family, sock->type, protocol, &inner, kern);
	if (err)
		return err;

	if (sock->type == SOCK_STREAM) {
		sock->ops = onload_ops(family);
	} else {
		/* Datagrams are Linux's for now, down to the operations. */
		sock->ops = inner->ops;
	}
	if (!sock->ops) {
		sock_release(inner);
		return -EAFNOSUPPORT;
	}
	sock_graft(inner->sk, sock);
	sock->state = SS_UNCONNECTED;
	if (test_bit(SOCK_SUPPORT_ZC, &inner->flags))
		set_bit(SOCK_SUPPORT_ZC, &sock->flags);
	inner->sk = NULL;
	sock_release(inner);
	return 0;
}

static struct net_proto_family onload_family = {
	.create	= onload_create,
	.owner	= THIS_MODULE,
};

/**
 * onload_family_init() - register the address family
 * @family: its number
 *
 * Return: 0, -EEXIST if the number is taken, -ENOBUFS if it is out of range.
 */
int onload_family_init(int family)
{
	onload_family.family = family;
	return sock_register(&onload_family);
}

/**
 * onload_family_uninit() - undo onload_family_init()
 */
void onload_family_uninit(void)
{
	sock_unregister(onload_family.family);
}
