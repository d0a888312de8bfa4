/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The native twin: the library's own object files, with a stand-in for the
 * module. A socket of ours is a plain TCP socket over loopback; what control.c
 * would ask the module for, code of the same process does in a memfd which
 * all processes of a twin share. So a wire, and the loss of it at any moment,
 * can be had natively: for benchmarks on a real processor, and for
 * sanitizers. It is no model of anything but wires, nothing in it is
 * protected from anybody, and a process that dies takes its peers with it.
 *
 * Made by one process before it forks. Sockets that the library is to manage
 * are created by its socket() after that.
 */
#ifndef TWIN_H
#define TWIN_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/onload.h>

#define TWIN_API __attribute__((visibility("default")))

/*
 * Once. Rings of 1 << @shift bytes may grow to 1 << @max_shift, 12 to 20;
 * @limit as SO_SNDBUF would set it, or 0. False with errno.
 */
TWIN_API bool twin_make(uint32_t shift, uint32_t max_shift, uint32_t limit);

/* Two ends of a new connection, with TCP_NODELAY. False with errno. */
TWIN_API bool twin_connect(int fds[2]);

/* Is it on a wire, as the stand-in knows? */
TWIN_API bool twin_wired(int fd);

/* As the kernel may at any moment. False: it was not on a wire. */
TWIN_API bool twin_reclaim(int fd, enum onload_reason why);

/* poll() of one descriptor, which only the module can answer. */
TWIN_API int twin_poll(int fd, short events, int timeout_ms);

/* What this process has asked of module and kernel: calls that move data, and
 * those of control.h.
 */
TWIN_API uint64_t twin_calls(void);

/* What this end writes and the other end reads: for nonsense, by a test. */
TWIN_API struct onload_wire_head *twin_head(int fd);

#endif
