// SPDX-License-Identifier: GPL-2.0
/*
 * net.onload.*, one table a network namespace.
 *
 *   redirect		0 off (default), 1: new AF_INET and AF_INET6 TCP
 *			sockets get our operations
 *   lease		1 (default): leases are given; 0: every socket stays
 *			Linux's. Leases that exist are not touched.
 *   lease_term_ms	1 to 1000, default 20: how long a record may wait for
 *			the application before Linux takes over; five times
 *			that while the process keeps sending at user level by
 *			TCP, on any connection. Wires have no term
 *   backoff_ms		0 to 1000, default 1: after a lease that ended by a
 *			system call (of any process), loss, a retransmission
 *			time-out, a full ring or unread records no lease is
 *			given for so long, doubled each time up to 1024 times,
 *			forgotten after a lease of a second; 0 turns this off
 *   rx_ring		bytes, a power of two from 65536 to 16777216, default
 *			131072; of contexts made from now on
 *   tx_ring		bytes, a power of two from 65536 to 4194304, default
 *			65536; ditto
 *   wire		0: no connection becomes a wire; 1 (default): those
 *			within the namespace; 2: also those to sockets of other
 *			namespaces of the host that have 2 as well. Wires that
 *			exist are not touched
 *   wire_ring		bytes, a power of two from 4096 to 4194304, default
 *			16384: of what an end of a wire sends, to begin with;
 *			of contexts made from now on
 *   wire_ring_max	ditto, default 262144: at most, when it was found full;
 *			wire_ring is never more than this
 */
#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/sysctl.h>

#include "netns.h"
#include "sysctl.h"

static const int onload_one = 1;
static const int onload_thousand = 1000;
static const int onload_ring_min = 65536;
static const int onload_rx_max = 16 << 20;
static const int onload_tx_max = 4 << 20;
static const int onload_wire_min = PAGE_SIZE;

static int onload_sysctl_ring(struct ctl_table *table, int write, void *buf,
			      size_t *len, loff_t *pos)
{
	int value = READ_ONCE(*(int *)table->data), err;
	struct ctl_table copy = *table;

	copy.data = &value;
	err = proc_dointvec_minmax(&copy, write, buf, len, pos);
	if (err || !write)
		return err;
	if (!is_power_of_2(value))
		return -EINVAL;
	WRITE_ONCE(*(int *)table->data, value);
	return 0;
}

#define ONLOAD_SYSCTL(field, low, high, handler) {			\
	.procname	= #field,					\
	.data		= (void *)offsetof(struct onload_net, field),	\
	.maxlen		= sizeof(int),					\
	.mode		= 0644,						\
	.proc_handler	= handler,					\
	.extra1		= (void *)(low),				\
	.extra2		= (void *)(high),				\
}

static const struct ctl_table onload_sysctls[] = {
	ONLOAD_SYSCTL(redirect, SYSCTL_ZERO, &onload_one,
		      proc_dointvec_minmax),
	ONLOAD_SYSCTL(lease, SYSCTL_ZERO, &onload_one, proc_dointvec_minmax),
	ONLOAD_SYSCTL(lease_term_ms, &onload_one, &onload_thousand,
		      proc_dointvec_minmax),
	ONLOAD_SYSCTL(backoff_ms, SYSCTL_ZERO, &onload_thousand,
		      proc_dointvec_minmax),
	ONLOAD_SYSCTL(rx_ring, &onload_ring_min, &onload_rx_max,
		      onload_sysctl_ring),
	ONLOAD_SYSCTL(tx_ring, &onload_ring_min, &onload_tx_max,
		      onload_sysctl_ring),
	ONLOAD_SYSCTL(wire, SYSCTL_ZERO, SYSCTL_TWO, proc_dointvec_minmax),
	ONLOAD_SYSCTL(wire_ring, &onload_wire_min, &onload_tx_max,
		      onload_sysctl_ring),
	ONLOAD_SYSCTL(wire_ring_max, &onload_wire_min, &onload_tx_max,
		      onload_sysctl_ring),
	{}
};

/**
 * onload_sysctl_init() - defaults and files of a namespace
 * @net: which
 *
 * Return: 0, -ENOMEM.
 */
int onload_sysctl_init(struct net *net)
{
	struct onload_net *on = onload_net(net);
	struct ctl_table *table;
	unsigned int i;

	on->lease = 1;
	on->lease_term_ms = 20;
	on->backoff_ms = 1;
	on->rx_ring = 128 << 10;
	on->tx_ring = 64 << 10;
	on->wire = 1;
	on->wire_ring = 16 << 10;
	on->wire_ring_max = 256 << 10;

	table = kmemdup(onload_sysctls, sizeof(onload_sysctls), GFP_KERNEL);
	if (!table)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(onload_sysctls) - 1; i++)
		table[i].data = (u8 *)on + (unsigned long)table[i].data;
	on->sysctl = register_net_sysctl(net, "net/onload", table);
	if (!on->sysctl) {
		kfree(table);
		return -ENOMEM;
	}
	return 0;
}

/**
 * onload_sysctl_uninit() - undo onload_sysctl_init()
 * @net: which
 */
void onload_sysctl_uninit(struct net *net)
{
	struct ctl_table_header *header = onload_net(net)->sysctl;
	struct ctl_table *table = header->ctl_table_arg;

	unregister_net_sysctl_table(header);
	kfree(table);
}
