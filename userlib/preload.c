// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The symbols that stand before the C library's: calls that move data on
 * sockets, make them, or change what the library remembers of them. Those
 * that only bring and take descriptors are in preload_fd.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "fd.h"
#include "io.h"
#include "lease.h"
#include "real.h"
#include "short.h"
#include "stats.h"
#include "wait.h"
#include "wire.h"

/* glibc's, for programs built with _FORTIFY_SOURCE */
void __chk_fail(void) __attribute__((noreturn));

static size_t iov_len(const struct iovec *iov, int n)
{
	size_t len = 0;

	/* 0: let Linux say what is wrong with it */
	if (n <= 0 || n > UIO_MAXIOV || !iov)
		return 0;
	for (int i = 0; i < n; i++)
		if (__builtin_add_overflow(len, iov[i].iov_len, &len))
			return 0;
	return len;
}

/* What Linux gave out of @len that was asked for */
static ssize_t received(int fd, ol_handle h, size_t len, ssize_t n)
{
	OL_COUNT(rx_kernel, n > 0 ? (uint64_t)n : 0);
	if (n > 0 && (size_t)n < len)
		ol_lease_drained(h, fd);
	return n;
}

static ssize_t sent(ssize_t n)
{
	OL_COUNT(tx_kernel, n > 0 ? (uint64_t)n : 0);
	return n;
}

/* Apart, so that the shortest road saves no registers for it */
static __attribute__((noinline)) bool
recv_long(int fd, ol_handle h, void *buf, size_t len, int flags, ssize_t *ret)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	if (ol_wire_on(h) && !(flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL)) &&
	    ol_wire_try_recv(fd, h, buf, len, flags & MSG_DONTWAIT, ret))
		return true;
	return ol_recv(fd, h, &iov, 1, len, flags, ret);
}

static inline bool recv_one(int fd, ol_handle h, void *buf, size_t len,
			    int flags, ssize_t *ret)
{
	if (ol_likely(!ol_wire_on(h) && !(flags & ~MSG_NOSIGNAL))) {
		*ret = ol_short_recv(fd, h, buf, len);
		if (ol_likely(*ret != OL_LONG))
			return true;
	}
	return recv_long(fd, h, buf, len, flags, ret);
}

static __attribute__((noinline)) bool send_long(int fd, ol_handle h,
						const void *buf, size_t len,
						int flags, ssize_t *ret)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

	if (ol_wire_on(h) && !(flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL)) &&
	    ol_wire_try_send(fd, h, buf, len)) {
		*ret = (ssize_t)len;
		return true;
	}
	/* Only Linux has the timer that sends what MSG_MORE holds back. */
	if (ol_unlikely(flags & MSG_MORE)) {
		ol_lease_end(h, fd);
		return false;
	}
	return ol_send(fd, h, &iov, 1, len, flags, ret);
}

static inline bool send_one(int fd, ol_handle h, const void *buf, size_t len,
			    int flags, ssize_t *ret)
{
	if (ol_likely(!ol_wire_on(h) &&
		      !(flags & ~(MSG_NOSIGNAL | MSG_DONTWAIT)))) {
		*ret = ol_short_send(fd, h, buf, len);
		if (ol_likely(*ret != OL_LONG))
			return true;
	}
	return send_long(fd, h, buf, len, flags, ret);
}

OL_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	ol_handle h = ol_fd_find(fd);
	ssize_t ret;

	if (ol_likely(!h))
		return OL_REAL(read)(fd, buf, len);
	if (recv_one(fd, h, buf, len, 0, &ret))
		return ret;
	return received(fd, h, len, OL_REAL(read)(fd, buf, len));
}

OL_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	ol_handle h = ol_fd_find(fd);
	ssize_t ret;

	if (ol_likely(!h))
		return OL_REAL(write)(fd, buf, len);
	if (send_one(fd, h, buf, len, 0, &ret))
		return ret;
	return sent(OL_REAL(write)(fd, buf, len));
}

OL_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	ol_handle h = ol_fd_find(fd);
	ssize_t ret;

	if (ol_likely(!h))
		return OL_REAL(recv)(fd, buf, len, flags);
	if (recv_one(fd, h, buf, len, flags, &ret))
		return ret;
	return received(fd, h, len, OL_REAL(recv)(fd, buf, len, flags));
}

OL_EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	ol_handle h = ol_fd_find(fd);
	ssize_t ret;

	if (ol_likely(!h))
		return OL_REAL(send)(fd, buf, len, flags);
	if (send_one(fd, h, buf, len, flags, &ret))
		return ret;
	return sent(OL_REAL(send)(fd, buf, len, flags));
}

OL_EXPORT ssize_t readv(int fd, const struct iovec *iov, int n)
{
	ol_handle h = ol_fd_find(fd);
	ssize_t ret;
	size_t len;

	if (ol_likely(!h))
		return OL_REAL(readv)(fd, iov, n);
	len = iov_len(iov, n);
	if (ol_recv(fd, h, iov, n, len, 0, &ret))
		return ret;
	return received(fd, h, len, OL_REAL(readv)(fd, iov, n));
}

OL_EXPORT ssize_t writev(int fd, const struct iovec *iov, int n)
{
	ol_handle h = ol_fd_find(fd);
	ssize_t ret;

	if (ol_likely(!h))
		return OL_REAL(writev)(fd, iov, n);
	if (ol_send(fd, h, iov, n, iov_len(iov, n), 0, &ret))
		return ret;
	return sent(OL_REAL(writev)(fd, iov, n));
}

/* TCP has no source address: Linux leaves addr alone and says length 0. */
OL_EXPORT ssize_t recvfrom(int fd, void *restrict buf, size_t len, int flags,
			   __SOCKADDR_ARG addr, socklen_t *restrict addrlen)
{
	ol_handle h = ol_fd_find(fd);
	bool wants = addr.__sockaddr__ != NULL;
	ssize_t ret;

	if (ol_likely(!h))
		return OL_REAL(recvfrom)(fd, buf, len, flags, addr, addrlen);
	if ((!wants || (addrlen && (int)*addrlen >= 0)) &&
	    recv_one(fd, h, buf, len, flags, &ret)) {
		if (wants && ret >= 0)
			*addrlen = 0;
		return ret;
	}
	return received(fd, h, len,
			OL_REAL(recvfrom)(fd, buf, len, flags, addr, addrlen));
}

OL_EXPORT ssize_t sendto(int fd, const void *buf, size_t len, int flags,
			 __CONST_SOCKADDR_ARG addr, socklen_t addrlen)
{
	ol_handle h = ol_fd_find(fd);
	ssize_t ret;

	if (ol_likely(!h))
		return OL_REAL(sendto)(fd, buf, len, flags, addr, addrlen);
	if (!addr.__sockaddr__ && send_one(fd, h, buf, len, flags, &ret))
		return ret;
	return sent(OL_REAL(sendto)(fd, buf, len, flags, addr, addrlen));
}

/* Descriptors that came in a message are new numbers. */
static void forget_rights(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			ol_fd_forget(fd);
		}
	}
}

static size_t msg_len(const struct msghdr *msg)
{
	if (!msg || msg->msg_iovlen > UIO_MAXIOV)
		return 0;
	return iov_len(msg->msg_iov, (int)msg->msg_iovlen);
}

static bool recv_msg(int fd, ol_handle h, struct msghdr *msg, size_t len,
		     int flags, ssize_t *ret)
{
	if (!len || (msg->msg_name && (int)msg->msg_namelen < 0) ||
	    !ol_recv(fd, h, msg->msg_iov, (int)msg->msg_iovlen, len, flags,
		     ret))
		return false;
	if (*ret >= 0) {
		if (msg->msg_name)
			msg->msg_namelen = 0;
		msg->msg_controllen = 0;
		msg->msg_flags = flags & MSG_CMSG_CLOEXEC;
	}
	return true;
}

OL_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ol_handle h = ol_fd_find(fd);
	ssize_t ret;
	size_t len;

	if (ol_unlikely(h)) {
		len = msg_len(msg);
		if (recv_msg(fd, h, msg, len, flags, &ret))
			return ret;
		return received(fd, h, len, OL_REAL(recvmsg)(fd, msg, flags));
	}
	ret = OL_REAL(recvmsg)(fd, msg, flags);
	if (ret >= 0 && msg->msg_controllen)
		forget_rights(msg);
	return ret;
}

OL_EXPORT int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
		       struct timespec *timeout)
{
	int ret = OL_REAL(recvmmsg)(fd, msgs, n, flags, timeout);

	for (int i = 0; i < ret; i++)
		if (msgs[i].msg_hdr.msg_controllen)
			forget_rights(&msgs[i].msg_hdr);
	return ret;
}

static bool send_msg(int fd, ol_handle h, const struct msghdr *msg, int flags,
		     ssize_t *ret)
{
	size_t len = msg_len(msg);

	if (!len || msg->msg_controllen || msg->msg_name)
		return false;
	if (ol_unlikely(flags & MSG_MORE)) {
		ol_lease_end(h, fd);
		return false;
	}
	return ol_send(fd, h, msg->msg_iov, (int)msg->msg_iovlen, len, flags,
		       ret);
}

OL_EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	ol_handle h = ol_fd_find(fd);
	ssize_t ret;

	if (ol_likely(!h))
		return OL_REAL(sendmsg)(fd, msg, flags);
	if (send_msg(fd, h, msg, flags, &ret))
		return ret;
	return sent(OL_REAL(sendmsg)(fd, msg, flags));
}

OL_EXPORT ssize_t __read_chk(int fd, void *buf, size_t len, size_t size)
{
	if (len > size)
		__chk_fail();
	return read(fd, buf, len);
}

OL_EXPORT ssize_t __recv_chk(int fd, void *buf, size_t len, size_t size,
			     int flags)
{
	if (len > size)
		__chk_fail();
	return recv(fd, buf, len, flags);
}

OL_EXPORT ssize_t __recvfrom_chk(int fd, void *restrict buf, size_t len,
				 size_t size, int flags, __SOCKADDR_ARG addr,
				 socklen_t *restrict addrlen)
{
	if (len > size)
		__chk_fail();
	return recvfrom(fd, buf, len, flags, addr, addrlen);
}

/* 0: not yet asked for; negative: this kernel has no such family */
static int family_state;

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

	if (f < 0 || kind != SOCK_STREAM)
		return -1;
	if (domain == AF_INET6)
		protocol = protocol ? ONLOADPROTO_TCP6 : ONLOADPROTO_6;
	fd = OL_REAL(socket)(f, type, protocol);
	if (fd >= 0)
		return fd;
	/* Each try would ask modprobe again. */
	if (errno == EAFNOSUPPORT || errno == ESOCKTNOSUPPORT ||
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

/* The core handles this level itself, so the module does not learn of it. */
OL_EXPORT int setsockopt(int fd, int level, int opt, const void *val,
			 socklen_t len)
{
	ol_handle h = level == SOL_SOCKET ? ol_fd_find(fd) : 0;
	int ret;

	if (h)
		ol_lease_end(h, fd);
	ret = OL_REAL(setsockopt)(fd, level, opt, val, len);
	if (h)
		ol_fd_stale(h, OL_STALE_OPTS);
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

	ret = OL_REAL(ioctl)(fd, request, arg);
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

OL_ALIAS(__read, read);
OL_ALIAS(__write, write);
OL_ALIAS(__send, send);
OL_ALIAS(__fcntl, fcntl);
OL_ALIAS(fcntl64, fcntl);
