/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sending through the kernel: one call for a batch of segments. */
#ifndef OL_SOFT_VI_H
#define OL_SOFT_VI_H

#include "lease.h"

#define OL_KICK_MAX 16
static_assert(OL_KICK_MAX <= ONLOAD_KICK_MAX, "one call takes a batch");

/*
 * After the commit, before the lock is released: requests must arrive in the
 * order of their sequence numbers. False: the lease has ended, and the kernel
 * sends what did not leave.
 */
bool ol_kick(struct ol_ep *e, int fd, struct onload_seg *segs, int n);

#endif
