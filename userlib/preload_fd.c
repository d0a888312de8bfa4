// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Calls that end the meaning of a descriptor's number, or give it a new one.
 * A number that closes in a way which is not here is forgotten at the latest
 * when one of the calls below returns it again.
 */
#include <errno.h>
#include <stdarg.h>

#include "export.h"
#include "fd.h"
#include "real.h"

_Static_assert(sizeof(off_t) == 8, "the 64-bit names are aliases");

static int fresh(int fd)
{
	ol_fd_forget(fd);
	return fd;
}

static FILE *fresh_stream(FILE *f)
{
	int saved = errno;

	if (f)
		ol_fd_forget(fileno(f));
	errno = saved;
	return f;
}

OL_EXPORT int close(int fd)
{
	ol_fd_forget(fd);
	return OL_REAL(close)(fd);
}

OL_EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	if (!(flags & CLOSE_RANGE_CLOEXEC) && first <= last)
		ol_fd_drop_range(first, last);
	return OL_REAL(close_range)(first, last, flags);
}

OL_EXPORT void closefrom(int first)
{
	ol_fd_drop_range(first > 0 ? (unsigned int)first : 0, OL_FD_MAX);
	OL_REAL(closefrom)(first);
}

OL_EXPORT int fclose(FILE *f)
{
	fresh_stream(f);
	return OL_REAL(fclose)(f);
}

OL_EXPORT int pclose(FILE *f)
{
	fresh_stream(f);
	return OL_REAL(pclose)(f);
}

OL_EXPORT int closedir(DIR *d)
{
	if (d)
		ol_fd_forget(dirfd(d));
	return OL_REAL(closedir)(d);
}

OL_EXPORT FILE *freopen(const char *restrict path, const char *restrict mode,
			FILE *restrict f)
{
	fresh_stream(f);
	return fresh_stream(OL_REAL(freopen)(path, mode, f));
}

OL_EXPORT int dup(int fd)
{
	ol_handle h = ol_fd_find(fd);
	int new = fresh(OL_REAL(dup)(fd));

	if (new >= 0 && h)
		ol_fd_share(new, h);
	return new;
}

OL_EXPORT int dup2(int fd, int over)
{
	ol_handle h = ol_fd_find(fd);
	int new;

	if (fd == over)
		return OL_REAL(dup2)(fd, over);
	ol_fd_forget(over);
	new = OL_REAL(dup2)(fd, over);
	if (new >= 0 && h)
		ol_fd_share(new, h);
	return new;
}

OL_EXPORT int dup3(int fd, int over, int flags)
{
	ol_handle h = ol_fd_find(fd);
	int new;

	if (fd != over)
		ol_fd_forget(over);
	new = OL_REAL(dup3)(fd, over, flags);
	if (new >= 0 && h)
		ol_fd_share(new, h);
	return new;
}

static int fresh_pair(int ret, const int *fds)
{
	if (!ret) {
		ol_fd_forget(fds[0]);
		ol_fd_forget(fds[1]);
	}
	return ret;
}

OL_EXPORT int pipe(int fds[2])
{
	return fresh_pair(OL_REAL(pipe)(fds), fds);
}

OL_EXPORT int pipe2(int fds[2], int flags)
{
	return fresh_pair(OL_REAL(pipe2)(fds, flags), fds);
}

OL_EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
	return fresh_pair(OL_REAL(socketpair)(domain, type, protocol, fds),
			  fds);
}

/* It puts /dev/null over the first three, by calls of the C library's own. */
OL_EXPORT int daemon(int nochdir, int noclose)
{
	if (!noclose)
		ol_fd_drop_range(0, 2);
	return OL_REAL(daemon)(nochdir, noclose);
}

OL_EXPORT pid_t fork(void)
{
	pid_t pid = OL_REAL(fork)();

	if (!pid)
		ol_fd_forked();
	return pid;
}

OL_EXPORT pid_t _Fork(void)
{
	pid_t pid = OL_REAL(_Fork)();

	if (!pid)
		ol_fd_forked();
	return pid;
}

OL_EXPORT DIR *opendir(const char *path)
{
	DIR *d = OL_REAL(opendir)(path);

	if (d)
		ol_fd_forget(dirfd(d));
	return d;
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE
		       ? va_arg(ap, mode_t)
		       : 0;
}

OL_EXPORT int open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return fresh(OL_REAL(open)(path, flags, mode));
}

OL_EXPORT int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return fresh(OL_REAL(openat)(dir, path, flags, mode));
}

/* Fortified calls without a mode; glibc has checked that none is needed. */
OL_EXPORT int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

OL_EXPORT int __openat_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags);
}

OL_EXPORT mqd_t mq_open(const char *name, int flags, ...)
{
	struct mq_attr *attr = NULL;
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		attr = va_arg(ap, struct mq_attr *);
		va_end(ap);
	}
	return fresh(OL_REAL(mq_open)(name, flags, mode, attr));
}

/* Calls with nothing to them but a new number: X(name, parameters, arguments) */
#define FRESH_FDS(X)                                                           \
	X(creat, (const char *p, mode_t m), (p, m))                            \
	X(mkstemp, (char *t), (t))                                             \
	X(mkostemp, (char *t, int f), (t, f))                                  \
	X(mkstemps, (char *t, int n), (t, n))                                  \
	X(mkostemps, (char *t, int n, int f), (t, n, f))                       \
	X(epoll_create, (int n), (n))                                          \
	X(epoll_create1, (int f), (f))                                         \
	X(eventfd, (unsigned int n, int f), (n, f))                            \
	X(timerfd_create, (clockid_t c, int f), (c, f))                        \
	X(signalfd, (int fd, const sigset_t *s, int f), (fd, s, f))            \
	X(inotify_init, (void), ())                                            \
	X(inotify_init1, (int f), (f))                                         \
	X(memfd_create, (const char *n, unsigned int f), (n, f))               \
	X(shm_open, (const char *n, int f, mode_t m), (n, f, m))               \
	X(posix_openpt, (int f), (f))                                          \
	X(getpt, (void), ())                                                   \
	X(open_by_handle_at, (int m, struct file_handle *h, int f), (m, h, f)) \
	X(pidfd_open, (pid_t p, unsigned int f), (p, f))                       \
	X(pidfd_getfd, (int p, int fd, unsigned int f), (p, fd, f))

#define X(name, params, args)                     \
	OL_EXPORT int name params                 \
	{                                         \
		return fresh(OL_REAL(name) args); \
	}
FRESH_FDS(X)
#undef X

#define FRESH_STREAMS(X)                                                   \
	X(fopen, (const char *restrict p, const char *restrict m), (p, m)) \
	X(tmpfile, (void), ())                                             \
	X(popen, (const char *c, const char *m), (c, m))

#define X(name, params, args)                            \
	OL_EXPORT FILE *name params                      \
	{                                                \
		return fresh_stream(OL_REAL(name) args); \
	}
FRESH_STREAMS(X)
#undef X

OL_ALIAS(open64, open);
OL_ALIAS(openat64, openat);
OL_ALIAS(creat64, creat);
OL_ALIAS(fopen64, fopen);
OL_ALIAS(freopen64, freopen);
OL_ALIAS(tmpfile64, tmpfile);
OL_ALIAS(mkstemp64, mkstemp);
OL_ALIAS(mkostemp64, mkostemp);
OL_ALIAS(mkstemps64, mkstemps);
OL_ALIAS(mkostemps64, mkostemps);
OL_ALIAS(__open64_2, __open_2);
OL_ALIAS(__openat64_2, __openat_2);
OL_ALIAS(__open, open);
OL_ALIAS(__open64, open);
OL_ALIAS(__close, close);
OL_ALIAS(__dup2, dup2);
OL_ALIAS(__pipe, pipe);
OL_ALIAS(__fork, fork);
