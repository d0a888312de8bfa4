/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_SOCKOPT_H
#define ONLOAD_SOCKOPT_H

#include <linux/sockptr.h>
#include <linux/uaccess.h>

struct socket;

/* Copies @size bytes, a small constant multiple of 8, without a call: what is
 * asked with every message takes a third of the instructions that way.
 * Returns 0 or -EFAULT.
 */
static __always_inline int onload_copy_small(void *to, sockptr_t from,
					     size_t offset, size_t size)
{
	const u64 __user *src = from.user + offset;
	u64 word;
	size_t i;

	if (sockptr_is_kernel(from)) {
		memcpy(to, from.kernel + offset, size);
		return 0;
	}
	if (!user_read_access_begin(src, size))
		return -EFAULT;
#pragma GCC unroll 8
	for (i = 0; i < size / sizeof(*src); i++) {
		unsafe_get_user(word, src + i, fault);
		memcpy(to + i * sizeof(word), &word, sizeof(word));
	}
	user_read_access_end();
	return 0;
fault:
	user_read_access_end();
	return -EFAULT;
}

int onload_setsockopt(struct socket *sock, int optname, sockptr_t optval,
		      unsigned int optlen);
int onload_getsockopt(struct socket *sock, int optname, char __user *optval,
		      int __user *optlen);

#endif
