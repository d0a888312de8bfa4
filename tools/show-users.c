// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "show-users.h"

static void read_name(int dir, const char *pid, char *name, size_t size)
{
	char path[32];
	ssize_t len = 0;
	int fd;

	snprintf(path, sizeof(path), "%.16s/comm", pid);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		len = read(fd, name, size - 1);
		close(fd);
	}
	name[len > 0 ? len : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

static void add(struct users *u, const struct user *user)
{
	/* The size doubles at each power of two. */
	if (!(u->n & (u->n - 1))) {
		size_t room = u->n ? 2 * u->n : 1;
		struct user *all = realloc(u->all, room * sizeof(*all));

		if (!all)
			return;
		u->all = all;
	}
	u->all[u->n++] = *user;
}

static void scan_process(struct users *u, int proc, const char *pid)
{
	struct user user = { .pid = atoi(pid) };
	char path[32], link[64];
	struct dirent *e;
	DIR *fds;
	int fd;

	snprintf(path, sizeof(path), "%.16s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fds = fdopendir(fd);
	if (!fds) {
		close(fd);
		return;
	}
	while ((e = readdir(fds))) {
		ssize_t len = readlinkat(fd, e->d_name, link, sizeof(link) - 1);

		if (len < 0)
			continue;
		link[len] = '\0';
		if (sscanf(link, "socket:[%u]", &user.inode) != 1)
			continue;
		if (!user.name[0])
			read_name(proc, pid, user.name, sizeof(user.name));
		user.fd = atoi(e->d_name);
		add(u, &user);
	}
	closedir(fds);
}

static int by_inode(const void *a, const void *b)
{
	const struct user *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->fd - y->fd;
}

void users_scan(struct users *u)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;

	if (!proc)
		return;
	while ((e = readdir(proc)))
		if (isdigit((unsigned char)e->d_name[0]))
			scan_process(u, dirfd(proc), e->d_name);
	closedir(proc);
	if (u->n)
		qsort(u->all, u->n, sizeof(*u->all), by_inode);
}

const struct user *users_find(const struct users *u, uint32_t inode)
{
	size_t low = 0, high = u->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (u->all[mid].inode < inode)
			low = mid + 1;
		else
			high = mid;
	}
	return low < u->n && u->all[low].inode == inode ? &u->all[low] : NULL;
}

void users_free(struct users *u)
{
	free(u->all);
	*u = (struct users){};
}
