/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sending and receiving one buffer, when nothing is out of the ordinary */
#ifndef OL_SHORT_H
#define OL_SHORT_H

#include <sys/types.h>

#include "fd.h"

/* Nothing happened: recv.c or send.c does it. */
#define OL_LONG (-2)

/*
 * Without flags but MSG_NOSIGNAL (for a send also MSG_DONTWAIT). What the
 * caller is to return, or OL_LONG.
 */
ssize_t ol_short_recv(int fd, ol_handle h, void *buf, size_t len);
ssize_t ol_short_send(int fd, ol_handle h, const void *buf, size_t len);

#endif
