/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_NETLINK_H
#define ONLOAD_NETLINK_H

int onload_netlink_init(void);
void onload_netlink_uninit(void);

#endif
