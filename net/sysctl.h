/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_SYSCTL_H
#define ONLOAD_SYSCTL_H

struct net;

int onload_sysctl_init(struct net *net);
void onload_sysctl_uninit(struct net *net);

#endif
