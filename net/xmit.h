/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_XMIT_H
#define ONLOAD_XMIT_H

#include <linux/sockptr.h>

struct onload_flow;

int onload_kick(struct onload_flow *flow, sockptr_t optval,
		unsigned int optlen);
bool onload_acknowledge(struct onload_flow *flow);

#endif
