/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sending and receiving on a socket of ours. */
#ifndef OL_IO_H
#define OL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "fd.h"

/* Nobody has memory below: Linux says EFAULT. */
#define OL_PAGE_ZERO 4096

/*
 * False: nothing happened, the caller makes its own system call, which the
 * kernel answers as ever. True: *ret and errno are what Linux would return;
 * what began at user level was finished by system calls if need be.
 *
 * @len is the sum of @iov's lengths.
 */
bool ol_recv(int fd, ol_handle h, const struct iovec *iov, int iovlen,
	     size_t len, int flags, ssize_t *ret);
bool ol_send(int fd, ol_handle h, const struct iovec *iov, int iovlen,
	     size_t len, int flags, ssize_t *ret);

#endif
