/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_SOCKOPT_H
#define ONLOAD_SOCKOPT_H

#include <linux/sockptr.h>

struct socket;

int onload_setsockopt(struct socket *sock, int optname, sockptr_t optval,
		      unsigned int optlen);
int onload_getsockopt(struct socket *sock, int optname, char __user *optval,
		      int __user *optlen);

#endif
