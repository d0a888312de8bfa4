// SPDX-License-Identifier: GPL-2.0
/*
 * Two namespaces joined by a veth pair, set up by ip(8):
 *
 *	onload-bench-PID-s                  onload-bench-PID-c
 *	   veth 192.0.2.1/30 ---------------- veth 192.0.2.2/30
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ip(...) ip_run((const char *const[]){ "ip", __VA_ARGS__, NULL })

static bool ip_run(const char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execvp("ip", (char *const *)argv);
		fprintf(stderr, "onload-bench: ip: %s\n", strerror(errno));
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status)
		fprintf(stderr, "onload-bench: ip %s %s failed\n", argv[1],
			argv[2]);
	return pid > 0 && !status;
}

static struct bench_topology *to_remove;

static void remove_at_exit(void)
{
	if (to_remove)
		bench_topology_remove(to_remove);
}

static bool join(struct bench_topology *t)
{
	const char *server = t->netns[BENCH_SERVER];
	const char *client = t->netns[BENCH_CLIENT];

	return ip("netns", "add", client) &&
	       ip("-n", server, "link", "add", "veth", "type", "veth", "peer",
		  "name", "veth", "netns", client) &&
	       ip("-n", server, "address", "add", "192.0.2.1/30", "dev",
		  "veth") &&
	       ip("-n", client, "address", "add", "192.0.2.2/30", "dev",
		  "veth") &&
	       ip("-n", server, "link", "set", "lo", "up") &&
	       ip("-n", client, "link", "set", "lo", "up") &&
	       ip("-n", server, "link", "set", "veth", "up") &&
	       ip("-n", client, "link", "set", "veth", "up");
}

void bench_topology_make(struct bench_topology *t)
{
	if (t->loopback || t->netns[0])
		return;
	for (int side = 0; side < BENCH_SIDES; side++)
		if (asprintf(&t->netns[side], "onload-bench-%d-%c", getpid(),
			     "sc"[side]) < 0)
			exit(EXIT_FAILURE);
	if (!ip("netns", "add", t->netns[BENCH_SERVER]))
		exit(EXIT_FAILURE);
	t->made = true;
	to_remove = t;
	if (atexit(remove_at_exit) || !join(t))
		exit(EXIT_FAILURE);
}

void bench_topology_remove(struct bench_topology *t)
{
	if (!t->made)
		return;
	t->made = false;
	to_remove = NULL;
	ip("netns", "delete", t->netns[BENCH_SERVER]);
	ip("netns", "delete", t->netns[BENCH_CLIENT]);
}
