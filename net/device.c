// SPDX-License-Identifier: GPL-2.0
/*
 * Network devices that go down: what Linux knows to do about it (routes that
 * end, ways around, errors for the application) it does for its own flows.
 */
#include <linux/netdevice.h>

#include "device.h"
#include "flow.h"

static int onload_device_event(struct notifier_block *nb, unsigned long event,
			       void *ptr)
{
	/* Up to the latter a lease may still have been given. */
	if (event == NETDEV_GOING_DOWN || event == NETDEV_DOWN)
		onload_flow_queue_device(netdev_notifier_info_to_dev(ptr));
	return NOTIFY_DONE;
}

static struct notifier_block onload_device_notifier = {
	.notifier_call = onload_device_event,
};

/**
 * onload_device_init() - hear of devices from now on
 *
 * Return: 0 or the error of the registration.
 */
int __init onload_device_init(void)
{
	return register_netdevice_notifier(&onload_device_notifier);
}

/**
 * onload_device_uninit() - undo onload_device_init()
 */
void onload_device_uninit(void)
{
	unregister_netdevice_notifier(&onload_device_notifier);
}
