/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All that the library asks of the module: its socket options, and the
 * context's mappings. The native twin (selftests/native/twin.h) links
 * something else in place of control.c.
 */
#ifndef OL_CONTROL_H
#define OL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/onload.h>

/*
 * They return -errno and leave errno alone: a call that succeeds at user
 * level must not show what was tried on the way.
 */
int ol_control_set(int fd, int opt, const void *val, size_t len);
int ol_control_get(int fd, int opt, void *val, size_t size);

/*
 * Maps what ONLOAD_CONTEXT has made, and closes its descriptor. @peers, what
 * the other ends of wires write, is NULL if there are to be no wires. False:
 * nothing is mapped.
 */
bool ol_control_map(const struct onload_context *info, void **base,
		    void **peers);

#endif
