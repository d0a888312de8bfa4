// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Linux's calls as the module wraps them: on a wire each ends it first, and
 * what a wire has left to be read comes before what TCP brings.
 */
#include <errno.h>
#include <string.h>

#include "twin_kernel.h"

#define IOV_MAX_HERE 64

static struct twin_flow *enter(int fd)
{
	struct twin_flow *f = twin_flow_of(fd);

	twin_count();
	if (!f)
		return NULL;
	twin_lock();
	if (f->wired)
		twin_cut(f, ONLOAD_R_SYSCALL);
	f->in_kernel++;
	twin_unlock();
	return f;
}

static void leave(struct twin_flow *f, size_t sent, size_t received)
{
	struct twin_flow *g;

	twin_lock();
	f->in_kernel--;
	f->willing = true;
	f->tcp_sent += sent;
	f->tcp_rcvd += received;
	g = twin_flow_mirror(f);
	if (g)
		twin_ring(g);
	twin_unlock();
}

/* Locked: bytes of the former wire */
static size_t import_read(struct twin_flow *f, const struct iovec *iov,
			  size_t n, bool peek)
{
	uint32_t at = f->taken;

	for (size_t i = 0; i < n && at < f->imported; i++) {
		size_t k = f->imported - at;

		if (iov[i].iov_len < k)
			k = iov[i].iov_len;
		memcpy(iov[i].iov_base, f->import + at, k);
		at += (uint32_t)k;
	}
	n = at - f->taken;
	if (!peek)
		f->taken = at;
	return n;
}

static size_t iov_after(struct iovec *to, const struct iovec *iov, size_t n,
			size_t skip)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		size_t cut = iov[i].iov_len < skip ? iov[i].iov_len : skip;

		skip -= cut;
		if (cut == iov[i].iov_len)
			continue;
		to[k].iov_base = (char *)iov[i].iov_base + cut;
		to[k++].iov_len = iov[i].iov_len - cut;
	}
	return k;
}

static ssize_t receive(struct twin_flow *f, int fd, const struct iovec *iov,
		       size_t n, int flags)
{
	struct iovec rest[IOV_MAX_HERE];
	struct msghdr msg = { .msg_iov = rest };
	const bool peek = flags & MSG_PEEK;
	ssize_t more = 0;
	size_t got;
	bool reset;

	twin_lock();
	reset = f->reset;
	got = reset ? 0 : import_read(f, iov, n, peek);
	twin_unlock();
	if (reset) {
		leave(f, 0, 0);
		errno = ECONNRESET;
		return -1;
	}
	msg.msg_iovlen = iov_after(rest, iov, n, got);
	if (got && !(flags & MSG_WAITALL))
		flags |= MSG_DONTWAIT;
	if (!got || msg.msg_iovlen)
		more = twin_linux.recvmsg(fd, &msg, flags);
	leave(f, 0, more > 0 && !peek ? (size_t)more : 0);
	if (!got)
		return more;
	return (ssize_t)got + (more > 0 ? more : 0);
}

static ssize_t twin_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct twin_flow *f = enter(fd);

	if (!f)
		return twin_linux.recvmsg(fd, msg, flags);
	return receive(f, fd, msg->msg_iov, msg->msg_iovlen, flags);
}

static ssize_t twin_recv(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = { buf, len };
	struct twin_flow *f = enter(fd);

	return f ? receive(f, fd, &iov, 1, flags)
		 : twin_linux.recv(fd, buf, len, flags);
}

static ssize_t twin_read(int fd, void *buf, size_t len)
{
	struct iovec iov = { buf, len };
	struct twin_flow *f = enter(fd);

	return f ? receive(f, fd, &iov, 1, 0) : twin_linux.read(fd, buf, len);
}

static ssize_t twin_readv(int fd, const struct iovec *iov, int n)
{
	struct twin_flow *f = enter(fd);

	return f ? receive(f, fd, iov, (size_t)n, 0)
		 : twin_linux.readv(fd, iov, n);
}

static ssize_t transmit(struct twin_flow *f, int fd, const struct iovec *iov,
			size_t n, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };
	ssize_t put;
	bool reset;

	twin_lock();
	reset = f->reset;
	twin_unlock();
	if (reset) {
		errno = ECONNRESET;
		put = -1;
	} else {
		put = twin_linux.sendmsg(fd, &msg, flags);
	}
	leave(f, put > 0 ? (size_t)put : 0, 0);
	return put;
}

static ssize_t twin_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct twin_flow *f = enter(fd);

	return f ? transmit(f, fd, msg->msg_iov, msg->msg_iovlen, flags)
		 : twin_linux.sendmsg(fd, msg, flags);
}

static ssize_t twin_send(int fd, const void *buf, size_t len, int flags)
{
	struct iovec iov = { (void *)buf, len };
	struct twin_flow *f = enter(fd);

	return f ? transmit(f, fd, &iov, 1, flags)
		 : twin_linux.send(fd, buf, len, flags);
}

static ssize_t twin_write(int fd, const void *buf, size_t len)
{
	struct iovec iov = { (void *)buf, len };
	struct twin_flow *f = enter(fd);

	return f ? transmit(f, fd, &iov, 1, 0) : twin_linux.write(fd, buf, len);
}

static ssize_t twin_writev(int fd, const struct iovec *iov, int n)
{
	struct twin_flow *f = enter(fd);

	return f ? transmit(f, fd, iov, (size_t)n, 0)
		 : twin_linux.writev(fd, iov, n);
}

static int twin_close(int fd)
{
	struct twin_flow *f = twin_flow_of(fd);
	struct twin_flow *g;
	int ret;

	if (!f)
		return twin_linux.close(fd);
	twin_flow_forget(fd);
	twin_lock();
	if (f->wired)
		twin_cut(f, ONLOAD_R_CLOSE);
	g = twin_flow_mirror(f);
	twin_unlock();
	ret = twin_linux.close(fd);
	twin_lock();
	f->closed = true;
	if (g)
		twin_ring(g);
	/* The other end may still have to read: both go at the last close. */
	if (!g || g->closed)
		f->local.sin_port = 0;
	if (g && g->closed)
		g->local.sin_port = 0;
	twin_unlock();
	return ret;
}

void twin_wrap(void)
{
	ol_real_init();
	twin_linux = ol_real;
	ol_real.recvmsg = twin_recvmsg;
	ol_real.recv = twin_recv;
	ol_real.read = twin_read;
	ol_real.readv = twin_readv;
	ol_real.sendmsg = twin_sendmsg;
	ol_real.send = twin_send;
	ol_real.write = twin_write;
	ol_real.writev = twin_writev;
	ol_real.close = twin_close;
}
