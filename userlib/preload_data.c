// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls that move data, in the place of the C library's */
#include <errno.h>
#include <string.h>

#include "export.h"
#include "fd.h"
#include "io.h"
#include "lease.h"
#include "real.h"
#include "short.h"
#include "stats.h"
#include "wait.h"
#include "wire_short.h"

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

	return ol_recv(fd, h, &iov, 1, len, flags, ret);
}

static inline bool recv_one(int fd, ol_handle h, void *buf, size_t len,
			    int flags, ssize_t *ret)
{
	if (ol_likely(!(flags & ~MSG_NOSIGNAL))) {
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
	if (ol_likely(!(flags & ~(MSG_NOSIGNAL | MSG_DONTWAIT)))) {
		*ret = ol_short_send(fd, h, buf, len);
		if (ol_likely(*ret != OL_LONG))
			return true;
	}
	return send_long(fd, h, buf, len, flags, ret);
}

/* Is there something to be done before the rest is as ever? */
static inline bool unready(ol_handle h)
{
	return h ? !ol_alive_now() : !ol_real.read;
}

/*
 * Each of the four most frequent calls has three ways, and saves registers
 * for none of them: they are functions of their own, reached by a jump. The
 * way of the soft VI is also the one for a process that has just forked.
 */
#define APART static __attribute__((noinline)) ssize_t

APART vi_read(int fd, ol_handle h, void *buf, size_t len)
{
	ssize_t ret;

	if (recv_one(fd, h, buf, len, 0, &ret))
		return ret;
	return received(fd, h, len, OL_REAL(read)(fd, buf, len));
}

APART wire_read(int fd, ol_handle h, void *buf, size_t len)
{
	ssize_t ret = ol_wire_short_recv(fd, h, buf, len, 0);

	if (ol_likely(ret != OL_LONG) || recv_long(fd, h, buf, len, 0, &ret))
		return ret;
	return received(fd, h, len, OL_REAL(read)(fd, buf, len));
}

APART first_read(int fd, void *buf, size_t len)
{
	ol_handle h = ol_fd_find(fd);

	return h ? vi_read(fd, h, buf, len) : OL_REAL(read)(fd, buf, len);
}

OL_EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	ol_handle h = ol_fd_named(fd);

	if (ol_unlikely(unready(h)))
		return first_read(fd, buf, len);
	if (ol_likely(!h))
		return ol_real.read(fd, buf, len);
	return ol_wire_on(h) ? wire_read(fd, h, buf, len)
			     : vi_read(fd, h, buf, len);
}

APART vi_write(int fd, ol_handle h, const void *buf, size_t len)
{
	ssize_t ret;

	if (send_one(fd, h, buf, len, 0, &ret))
		return ret;
	return sent(OL_REAL(write)(fd, buf, len));
}

APART wire_write(int fd, ol_handle h, const void *buf, size_t len)
{
	ssize_t ret = ol_wire_short_send(fd, h, buf, len, 0);

	if (ol_likely(ret != OL_LONG) || send_long(fd, h, buf, len, 0, &ret))
		return ret;
	return sent(OL_REAL(write)(fd, buf, len));
}

APART first_write(int fd, const void *buf, size_t len)
{
	ol_handle h = ol_fd_find(fd);

	return h ? vi_write(fd, h, buf, len) : OL_REAL(write)(fd, buf, len);
}

OL_EXPORT ssize_t write(int fd, const void *buf, size_t len)
{
	ol_handle h = ol_fd_named(fd);

	if (ol_unlikely(unready(h)))
		return first_write(fd, buf, len);
	if (ol_likely(!h))
		return ol_real.write(fd, buf, len);
	return ol_wire_on(h) ? wire_write(fd, h, buf, len)
			     : vi_write(fd, h, buf, len);
}

APART vi_recv(int fd, ol_handle h, void *buf, size_t len, int flags)
{
	ssize_t ret;

	if (recv_one(fd, h, buf, len, flags, &ret))
		return ret;
	return received(fd, h, len, OL_REAL(recv)(fd, buf, len, flags));
}

APART wire_recv(int fd, ol_handle h, void *buf, size_t len, int flags)
{
	ssize_t ret = ol_wire_short_recv(fd, h, buf, len, flags);

	if (ol_likely(ret != OL_LONG) ||
	    recv_long(fd, h, buf, len, flags, &ret))
		return ret;
	return received(fd, h, len, OL_REAL(recv)(fd, buf, len, flags));
}

APART first_recv(int fd, void *buf, size_t len, int flags)
{
	ol_handle h = ol_fd_find(fd);

	return h ? vi_recv(fd, h, buf, len, flags)
		 : OL_REAL(recv)(fd, buf, len, flags);
}

OL_EXPORT ssize_t recv(int fd, void *buf, size_t len, int flags)
{
	ol_handle h = ol_fd_named(fd);

	if (ol_unlikely(unready(h)))
		return first_recv(fd, buf, len, flags);
	if (ol_likely(!h))
		return ol_real.recv(fd, buf, len, flags);
	return ol_wire_on(h) ? wire_recv(fd, h, buf, len, flags)
			     : vi_recv(fd, h, buf, len, flags);
}

APART vi_send(int fd, ol_handle h, const void *buf, size_t len, int flags)
{
	ssize_t ret;

	if (send_one(fd, h, buf, len, flags, &ret))
		return ret;
	return sent(OL_REAL(send)(fd, buf, len, flags));
}

APART wire_send(int fd, ol_handle h, const void *buf, size_t len, int flags)
{
	ssize_t ret = ol_wire_short_send(fd, h, buf, len, flags);

	if (ol_likely(ret != OL_LONG) ||
	    send_long(fd, h, buf, len, flags, &ret))
		return ret;
	return sent(OL_REAL(send)(fd, buf, len, flags));
}

APART first_send(int fd, const void *buf, size_t len, int flags)
{
	ol_handle h = ol_fd_find(fd);

	return h ? vi_send(fd, h, buf, len, flags)
		 : OL_REAL(send)(fd, buf, len, flags);
}

OL_EXPORT ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	ol_handle h = ol_fd_named(fd);

	if (ol_unlikely(unready(h)))
		return first_send(fd, buf, len, flags);
	if (ol_likely(!h))
		return ol_real.send(fd, buf, len, flags);
	return ol_wire_on(h) ? wire_send(fd, h, buf, len, flags)
			     : vi_send(fd, h, buf, len, flags);
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

static inline bool recv_any(int fd, ol_handle h, void *buf, size_t len,
			    int flags, ssize_t *ret)
{
	if (!ol_wire_on(h))
		return recv_one(fd, h, buf, len, flags, ret);
	*ret = ol_wire_short_recv(fd, h, buf, len, flags);
	return *ret != OL_LONG || recv_long(fd, h, buf, len, flags, ret);
}

static inline bool send_any(int fd, ol_handle h, const void *buf, size_t len,
			    int flags, ssize_t *ret)
{
	if (!ol_wire_on(h))
		return send_one(fd, h, buf, len, flags, ret);
	*ret = ol_wire_short_send(fd, h, buf, len, flags);
	return *ret != OL_LONG || send_long(fd, h, buf, len, flags, ret);
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
	    recv_any(fd, h, buf, len, flags, &ret)) {
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
	if (!addr.__sockaddr__ && send_any(fd, h, buf, len, flags, &ret))
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

OL_ALIAS(__read, read);
OL_ALIAS(__write, write);
OL_ALIAS(__send, send);
