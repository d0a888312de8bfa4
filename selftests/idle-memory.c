// SPDX-License-Identifier: GPL-2.0
/*
 * idle-memory inet|onload SOCKETS: the kernel memory of idle connections.
 * Prints bytes a socket: of slabs, and of all that is neither free nor in the
 * use of files or programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "net.h"

struct memory {
	long slab;
	long all;
};

static long field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

static struct memory measure(void)
{
	char text[4096];
	FILE *f = fopen("/proc/meminfo", "r");
	size_t n;

	EXPECT(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return (struct memory){
		.slab = field(text, "\nSlab:"),
		.all = field(text, "MemTotal:") - field(text, "\nMemFree:") -
		       field(text, "\nBuffers:") - field(text, "\nCached:") -
		       field(text, "\nAnonPages:"),
	};
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) / 2 : 0, l;
	/* A reset at the end leaves no TIME_WAIT behind for the next run. */
	struct linger reset = { .l_onoff = 1 };
	struct rlimit files = { 2 * n + 64, 2 * n + 64 };
	struct memory before, after;
	struct addr at;

	if (n < 1)
		return CHECK_FAIL;
	net_family_onload = !strcmp(argv[1], "onload");
	EXPECT(!setrlimit(RLIMIT_NOFILE, &files));
	l = net_listen(&at);
	/* Tables grow by the first ones. */
	EXPECT(dup2(l, 2 * n + 60) >= 0);
	before = measure();
	for (int i = 0; i < n; i++) {
		int c = net_dial(&at);

		EXPECT(accept(l, NULL, NULL) >= 0);
		EXPECT(!setsockopt(c, SOL_SOCKET, SO_LINGER, &reset,
				   sizeof(reset)));
	}
	after = measure();
	printf("%ld %ld\n", (after.slab - before.slab) * 1024 / (2 * n),
	       (after.all - before.all) * 1024 / (2 * n));
	return CHECK_PASS;
}
