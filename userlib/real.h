/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The C library's own functions, behind our symbols of the same name.
 *
 * All are looked up by the constructor, because dlsym() must not run in a
 * signal handler; a call from an earlier constructor looks them up then.
 */
#ifndef OL_REAL_H
#define OL_REAL_H

#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "barrier.h"

/* clang-format off */
#define OL_REAL_CALLS(X) \
	/* data */ \
	X(read) X(readv) X(recv) X(recvfrom) X(recvmsg) X(recvmmsg) \
	X(write) X(writev) X(send) X(sendto) X(sendmsg) \
	/* sockets and descriptors with a meaning of their own */ \
	X(socket) X(socketpair) X(accept) X(accept4) X(setsockopt) \
	X(fcntl) X(ioctl) X(dup) X(dup2) X(dup3) X(pipe) X(pipe2) \
	X(close) X(close_range) X(closefrom) X(fork) X(_Fork) X(daemon) \
	/* streams */ \
	X(fopen) X(freopen) X(fclose) X(tmpfile) X(popen) X(pclose) \
	X(opendir) X(closedir) X(pthread_cancel) \
	/* calls that only return a new descriptor */ \
	X(open) X(openat) X(creat) X(mkstemp) X(mkostemp) X(mkstemps) \
	X(mkostemps) X(epoll_create) X(epoll_create1) X(eventfd) \
	X(timerfd_create) X(signalfd) X(inotify_init) X(inotify_init1) \
	X(memfd_create) X(shm_open) X(posix_openpt) X(getpt) X(mq_open) \
	X(open_by_handle_at) X(pidfd_open) X(pidfd_getfd)
/* clang-format on */

struct ol_real {
#define X(name) __typeof__(&name) name;
	OL_REAL_CALLS(X)
#undef X
};

extern struct ol_real ol_real;

void ol_real_init(void);

#define OL_REAL(name)                                     \
	(*(ol_likely(ol_real.name != NULL) ? ol_real.name \
					   : (ol_real_init(), ol_real.name)))

#endif
