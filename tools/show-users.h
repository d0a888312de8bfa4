/* SPDX-License-Identifier: GPL-2.0 */
/* Who holds a socket: descriptors under /proc, joined by inode, as ss does. */
#ifndef ONLOAD_TOOLS_SHOW_USERS_H
#define ONLOAD_TOOLS_SHOW_USERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct user {
	uint32_t inode;
	pid_t pid;
	int fd;
	char name[32];
};

struct users {
	struct user *all; /* by inode, pid, fd */
	size_t n;
};

/* Needs privilege for other users' processes; what it cannot see it omits. */
void users_scan(struct users *u);
const struct user *users_find(const struct users *u, uint32_t inode);
void users_free(struct users *u);

#endif
