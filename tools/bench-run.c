// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
}

/* Only noted: the namespaces have to be removed. */
void bench_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

bool bench_interrupted(void)
{
	return caught;
}

struct bench_job *bench_job_new(uint64_t count, int *fd)
{
	struct bench_job *job;
	size_t size = sizeof(*job) + count * sizeof(job->ns[0]);

	*fd = memfd_create("onload-bench", 0);
	if (*fd < 0 || ftruncate(*fd, size))
		goto err;
	job = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (job == MAP_FAILED)
		goto err;
	job->count = count;
	return job;
err:
	fprintf(stderr, "onload-bench: memory: %s\n", strerror(errno));
	exit(EXIT_FAILURE);
}

void bench_job_free(struct bench_job *job, int fd)
{
	munmap(job, sizeof(*job) + job->count * sizeof(job->ns[0]));
	close(fd);
}

/* In the child. Only returns if something failed. */
static void become(const struct bench_topology *t, enum bench_side side,
		   enum bench_mode mode, int memory, int ready)
{
	char self[PATH_MAX], launcher[PATH_MAX], path[PATH_MAX];
	char sides[16], memories[16], readies[16];
	char *argv[] = { launcher, "--",     self,    BENCH_PEER,
			 sides,	   memories, readies, NULL };
	char **from = mode == BENCH_LEASED ? argv : argv + 2;
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		return;
	self[len] = '\0';
	memcpy(path, self, len + 1);
	if (snprintf(launcher, sizeof(launcher), "%s/onload", dirname(path)) >=
	    (int)sizeof(launcher))
		return;
	snprintf(sides, sizeof(sides), "%d", side);
	snprintf(memories, sizeof(memories), "%d", memory);
	snprintf(readies, sizeof(readies), "%d", ready);

	if (t->netns[side]) {
		int ns;

		snprintf(path, sizeof(path), "/run/netns/%s", t->netns[side]);
		ns = open(path, O_RDONLY | O_CLOEXEC);
		if (ns < 0 || setns(ns, CLONE_NEWNET))
			return;
	}
	execv(from[0], from);
}

static pid_t start(const struct bench_topology *t, enum bench_side side,
		   enum bench_mode mode, int memory, int ready,
		   unsigned int limit_s)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		fprintf(stderr, "onload-bench: fork: %s\n", strerror(errno));
	if (pid)
		return pid;
	/* Survives exec: a peer that hangs ends by itself. */
	alarm(limit_s);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		become(t, side, mode, memory, ready);
	fprintf(stderr, "onload-bench: cannot start a %s: %s\n",
		side == BENCH_SERVER ? "server" : "client", strerror(errno));
	_exit(EXIT_FAILURE);
}

/* Waits for all, and ends the rest when one has failed. */
static bool reap(const pid_t pids[BENCH_SIDES], bool good)
{
	bool alive[BENCH_SIDES] = { pids[0] > 0, pids[1] > 0 };

	while (alive[0] || alive[1]) {
		int status = 0;
		pid_t pid;

		for (int i = 0; i < BENCH_SIDES; i++)
			if (alive[i] && !good)
				kill(pids[i], SIGKILL);
		pid = waitpid(-1, &status, 0);
		if (pid > 0)
			alive[pid == pids[1]] = false;
		if (pid > 0 && !status)
			continue;
		/* What the other says later follows from the first failure. */
		if (good && !caught && WIFSIGNALED(status))
			fprintf(stderr, "onload-bench: %s\n",
				WTERMSIG(status) == SIGALRM
					? "timed out (-t)"
					: strsignal(WTERMSIG(status)));
		good = false;
	}
	return good;
}

bool bench_run(const struct bench_topology *t, const struct bench_job *job,
	       int fd, unsigned int limit_s)
{
	pid_t pids[BENCH_SIDES] = {};
	int ready[2];
	char byte;

	if (pipe(ready)) {
		fprintf(stderr, "onload-bench: pipe: %s\n", strerror(errno));
		return false;
	}
	pids[BENCH_SERVER] =
		start(t, BENCH_SERVER, job->mode, fd, ready[1], limit_s);
	close(ready[1]);
	/* The end of the pipe without a byte is the end of the server. */
	if (pids[BENCH_SERVER] > 0 && read(ready[0], &byte, 1) == 1)
		pids[BENCH_CLIENT] = start(t, BENCH_CLIENT, job->mode, fd,
					   ready[0], limit_s);
	close(ready[0]);
	return reap(pids, pids[BENCH_CLIENT] > 0);
}
