// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The symbols that stand before the C library's: calls that make sockets, or
 * change what the library remembers of them. Those that move data are in
 * preload_data.c, those that only bring and take descriptors in preload_fd.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "export.h"
#include "fd.h"
#include "lease.h"
#include "real.h"
#include "stats.h"
#include "wait.h"

/* 0: not yet asked for; negative: this kernel has no such family */
static int family_state;

static bool no_ipv6;

static int family(void)
{
	int f = ol_load(&family_state);
	const char *v;

	if (f)
		return f;
	v = secure_getenv("ONLOAD_FAMILY");
	f = v ? atoi(v) : 0;
	f = f > 0 ? f : AF_ONLOAD;
	ol_store(&family_state, f);
	return f;
}

/* -1: to be an ordinary socket */
static int socket_ours(int domain, int type, int protocol)
{
	int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
	int f = family();
	int fd;

	if (f < 0 || kind != SOCK_STREAM ||
	    (domain == AF_INET6 && ol_load(&no_ipv6)))
		return -1;
	if (domain == AF_INET6)
		protocol = protocol ? ONLOADPROTO_TCP6 : ONLOADPROTO_6;
	fd = OL_REAL(socket)(f, type, protocol);
	if (fd >= 0)
		return fd;
	/* Each try would ask modprobe again. */
	if (errno == EAFNOSUPPORT && domain == AF_INET6) {
		/* Perhaps only that is missing. */
		ol_store(&no_ipv6, true);
	} else if (errno == EAFNOSUPPORT || errno == ESOCKTNOSUPPORT ||
		   errno == EPROTONOSUPPORT) {
		ol_store(&family_state, -1);
		ol_note("no AF_ONLOAD in this kernel: plain TCP");
	}
	return -1;
}

static void track(int fd)
{
	ol_fd_track(fd);
	OL_COUNT(sockets, 1);
}

OL_EXPORT int socket(int domain, int type, int protocol)
{
	int saved = errno;
	int fd;

	if ((domain == AF_INET || domain == AF_INET6) &&
	    (!protocol || protocol == IPPROTO_TCP)) {
		fd = socket_ours(domain, type, protocol);
		errno = saved;
		if (fd >= 0) {
			track(fd);
			return fd;
		}
	}
	fd = OL_REAL(socket)(domain, type, protocol);
	if (fd < 0)
		return fd;
	ol_fd_forget(fd);
	if (domain == family() &&
	    (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == SOCK_STREAM)
		track(fd);
	return fd;
}

/* Children of a listener of ours are ours. */
static int accepted(int fd, ol_handle listener)
{
	if (fd < 0)
		return fd;
	if (listener)
		track(fd);
	else
		ol_fd_forget(fd);
	return fd;
}

OL_EXPORT int accept(int fd, __SOCKADDR_ARG addr, socklen_t *restrict len)
{
	ol_handle h = ol_fd_find(fd);

	return accepted(OL_REAL(accept)(fd, addr, len), h);
}

OL_EXPORT int accept4(int fd, __SOCKADDR_ARG addr, socklen_t *restrict len,
		      int flags)
{
	ol_handle h = ol_fd_find(fd);

	return accepted(OL_REAL(accept4)(fd, addr, len, flags), h);
}

/*
 * An option has been set behind the module's back. Another thread that leased
 * the socket since ol_lease_end() may have done so without it: a call that the
 * module sees ends that, and the next lease knows.
 */
static void settle(ol_handle h, int fd)
{
	struct ol_ep *e = ol_ep_of(h);
	int saved = errno, val;
	socklen_t len = sizeof(val);

	if (!ol_lease_begun(e))
		return;
	getsockopt(fd, SOL_TCP, TCP_NODELAY, &val, &len);
	errno = saved;
}

/* The core handles this level itself, so the module does not learn of it. */
OL_EXPORT int setsockopt(int fd, int level, int opt, const void *val,
			 socklen_t len)
{
	ol_handle h = level == SOL_SOCKET ? ol_fd_find(fd) : 0;
	int ret;

	if (h)
		ol_lease_end(h, fd);
	ret = OL_REAL(setsockopt)(fd, level, opt, val, len);
	if (h) {
		ol_fd_stale(h, OL_STALE_OPTS);
		settle(h, fd);
	}
	return ret;
}

OL_EXPORT int fcntl(int fd, int cmd, ...)
{
	ol_handle h = ol_fd_find(fd);
	void *arg;
	va_list ap;
	int ret;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);

	/* Linux signals what arrives at Linux; a wire learns at its beginning
	 * who wants to be told.
	 */
	if (h && cmd == F_SETFL && (intptr_t)arg & O_ASYNC)
		ol_lease_end(h, fd);
	ret = OL_REAL(fcntl)(fd, cmd, arg);
	if (ret < 0)
		return ret;
	if (h && cmd == F_SETFL && (intptr_t)arg & O_ASYNC)
		settle(h, fd);
	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC) {
		ol_fd_forget(ret);
		if (h)
			ol_fd_share(ret, h);
	} else if (cmd == F_SETFL && h) {
		ol_fd_stale(h, OL_STALE_FL);
	}
	return ret;
}

OL_EXPORT int ioctl(int fd, unsigned long request, ...)
{
	ol_handle h = ol_fd_find(fd);
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);

	/* As O_ASYNC; whether it is to be set only the caller's memory says. */
	if (h && request == FIOASYNC)
		ol_lease_end(h, fd);
	ret = OL_REAL(ioctl)(fd, request, arg);
	if (h && request == FIOASYNC)
		settle(h, fd);
	if (h && request == FIONBIO)
		ol_fd_stale(h, OL_STALE_FL);
	return ret;
}

/* The C library's calls look for it from then on, and so do ours. */
OL_EXPORT int pthread_cancel(pthread_t thread)
{
	ol_store(&ol_wait_self_cancelled, true);
	return OL_REAL(pthread_cancel)(thread);
}

OL_ALIAS(__fcntl, fcntl);
OL_ALIAS(fcntl64, fcntl);
