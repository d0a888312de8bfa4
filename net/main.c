// SPDX-License-Identifier: GPL-2.0
/*
 * af_onload: sockets of Linux whose data path a process may lease.
 * Documentation/lease.rst is the one page to read first.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "device.h"
#include "family.h"
#include "flow.h"
#include "gate.h"
#include "netlink.h"
#include "netns.h"
#include "prot.h"
#include "redirect.h"
#include "sysctl.h"
#include "watch.h"
#include "wire.h"

static int family = AF_ONLOAD;
module_param(family, int, 0444);
MODULE_PARM_DESC(family, "Number of the address family (default 18)");

unsigned int onload_net_id __read_mostly;
struct workqueue_struct *onload_wq;
struct workqueue_struct *onload_abort_wq;

static int __net_init onload_net_init(struct net *net)
{
	mutex_init(&onload_net(net)->gate_lock);
	return onload_sysctl_init(net);
}

static void __net_exit onload_net_exit(struct net *net)
{
	onload_gate_close(net);
	onload_sysctl_uninit(net);
}

static struct pernet_operations onload_pernet = {
	.init	= onload_net_init,
	.exit	= onload_net_exit,
	.id	= &onload_net_id,
	.size	= sizeof(struct onload_net),
};

static int __init onload_init(void)
{
	int err;

	/* Reclaims free memory: they must run when there is none. */
	onload_wq = alloc_workqueue("onload", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!onload_wq)
		return -ENOMEM;
	err = -ENOMEM;
	onload_abort_wq = alloc_workqueue("onload_abort", WQ_UNBOUND, 0);
	if (!onload_abort_wq)
		goto err_wq;
	err = onload_flow_init();
	if (err)
		goto err_abort_wq;
	err = onload_wire_init();
	if (err)
		goto err_flow;
	err = onload_device_init();
	if (err)
		goto err_wire;
	err = register_pernet_subsys(&onload_pernet);
	if (err)
		goto err_device;
	onload_prot_init();
	err = onload_ops_init();
	if (err)
		goto err_pernet;
	err = onload_netlink_init();
	if (err)
		goto err_pernet;
	err = onload_family_init(family);
	if (err)
		goto err_netlink;
	err = onload_redirect_init();
	if (err)
		goto err_family;
	return 0;

err_family:
	onload_family_uninit();
err_netlink:
	onload_netlink_uninit();
err_pernet:
	unregister_pernet_subsys(&onload_pernet);
err_device:
	onload_device_uninit();
err_wire:
	onload_wire_uninit();
err_flow:
	onload_flow_uninit();
err_abort_wq:
	destroy_workqueue(onload_abort_wq);
err_wq:
	destroy_workqueue(onload_wq);
	return err;
}

static void __exit onload_exit(void)
{
	onload_redirect_uninit();
	onload_family_uninit();
	onload_netlink_uninit();
	unregister_pernet_subsys(&onload_pernet);
	onload_device_uninit();
	/* Retired sockets' references go in callbacks of ours. */
	rcu_barrier_tasks();
	destroy_workqueue(onload_wq);
	destroy_workqueue(onload_abort_wq);
	onload_flow_uninit();
	onload_wire_uninit();
}

module_init(onload_init);
module_exit(onload_exit);

MODULE_DESCRIPTION("AF_ONLOAD: TCP with a data path that user level can lease");
MODULE_LICENSE("GPL");
MODULE_ALIAS_NETPROTO(AF_ONLOAD);
