// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A child has both ends of a wire and is traced instruction by instruction
 * from one signal to the next. What the signals themselves take is measured
 * by two with nothing in between.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "twin.h"

#define SIZE_MAX_HERE 4096
#define WARM	      100
#define LIMIT_S	      60

enum part { PART_START, PART_EMPTY, PART_SEND, PART_RECV, PARTS };

static void message(const int fds[2], uint32_t size, bool marked)
{
	static uint8_t out[SIZE_MAX_HERE], in[SIZE_MAX_HERE];
	ssize_t sent, got;

	memset(out, 0x5a, size);
	memset(in, 0, size);
	if (marked) {
		raise(SIGUSR1);
		raise(SIGUSR1);
	}
	sent = send(fds[0], out, size, MSG_DONTWAIT);
	if (marked)
		raise(SIGUSR1);
	got = recv(fds[1], in, size, MSG_DONTWAIT);
	if (marked)
		raise(SIGUSR1);
	if (sent != (ssize_t)size || got != sent || memcmp(in, out, size))
		_exit(EXIT_FAILURE);
}

static void child(uint32_t size)
{
	int fds[2];

	alarm(LIMIT_S);
	if (!twin_connect(fds))
		_exit(EXIT_FAILURE);
	/* By TCP first; each asks, and the second to ask gets the wire. */
	for (int i = 0; i < WARM; i++) {
		message(fds, size, false);
		message((int[]){ fds[1], fds[0] }, size, false);
	}
	if (!twin_wired(fds[0]) || !twin_wired(fds[1]) ||
	    ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(EXIT_FAILURE);
	message(fds, size, true);
	_exit(EXIT_SUCCESS);
}

bool bench_steps(uint32_t size, uint64_t *sends, uint64_t *recvs)
{
	uint64_t steps[PARTS + 1] = { 0 };
	int part = PART_START;
	int status;
	pid_t pid;

	if (size > SIZE_MAX_HERE)
		return false;
	pid = fork();
	if (!pid)
		child(size);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return false;
	while (WIFSTOPPED(status)) {
		if (WSTOPSIG(status) == SIGUSR1)
			part += part < PARTS;
		else
			steps[part]++;
		/* The signal itself is dropped. */
		if (ptrace(part == PARTS ? PTRACE_CONT : PTRACE_SINGLESTEP, pid,
			   NULL, NULL) ||
		    waitpid(pid, &status, 0) < 0)
			return false;
	}
	if (status || part != PARTS) {
		fprintf(stderr, "bench: instructions could not be counted\n");
		return false;
	}
	*sends = steps[PART_SEND] - steps[PART_EMPTY];
	*recvs = steps[PART_RECV] - steps[PART_EMPTY];
	return true;
}
