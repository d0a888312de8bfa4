// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control.h"
#include "real.h"

/*
 * By the instruction itself where we know it: this is the one system call of
 * the data path, and what the C library adds is errno, to be undone here.
 */
int ol_control_set(int fd, int opt, const void *val, size_t len)
{
#if defined(__x86_64__) && defined(__LP64__)
	register size_t r10 __asm__("r10") = (size_t)val;
	register size_t r8 __asm__("r8") = len;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"((long)SYS_setsockopt), "D"((long)fd),
			   "S"((long)SOL_ONLOAD), "d"((long)opt), "r"(r10),
			   "r"(r8)
			 : "rcx", "r11", "memory");
	return (int)ret;
#else
	int saved = errno;
	int ret = (int)syscall(SYS_setsockopt, fd, SOL_ONLOAD, opt, val, len);

	if (ol_unlikely(ret < 0)) {
		ret = -errno;
		errno = saved;
	}
	return ret;
#endif
}

int ol_control_get(int fd, int opt, void *val, size_t size)
{
	socklen_t len = (socklen_t)size;
	int saved = errno;
	int ret = getsockopt(fd, SOL_ONLOAD, opt, val, &len);

	if (ol_unlikely(ret < 0)) {
		ret = -errno;
		errno = saved;
	}
	return ret;
}

bool ol_control_map(const struct onload_context *info, void **base,
		    void **peers)
{
	*base = mmap(NULL, info->map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		     info->fd, 0);
	*peers = *base == MAP_FAILED
			 ? MAP_FAILED
			 : mmap(NULL, info->nslots * info->wire_stride,
				PROT_READ, MAP_SHARED, info->fd,
				(off_t)info->map_size);
	/* The mapping keeps the context; the application sees no descriptor. */
	OL_REAL(close)(info->fd);
	if (*peers == MAP_FAILED)
		*peers = NULL;
	return *base != MAP_FAILED;
}
