// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"

#define OTHERS	 4u
#define RUNS_MAX 400u

static unsigned int injected;

static int nth_file(void)
{
	static int fd = -1;
	static pid_t owner;

	if (owner != getpid()) {
		owner = getpid();
		fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	}
	if (fd < 0)
		check_skip("a kernel without fault injection");
	return fd;
}

void fault_arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	EXPECT_EQ(pwrite(nth_file(), text, len, 0), len);
}

/* The look is itself a copy to the user, and can be the one that fails. */
unsigned int fault_disarm(void)
{
	char text[16] = "";
	unsigned int left;

	left = pread(nth_file(), text, sizeof(text) - 1, 0) < 0 ? 1
								: atoi(text);
	while (pwrite(nth_file(), "0", 1, 0) != 1)
		;
	if (!left)
		fault_count();
	return left;
}

void fault_count(void)
{
	injected++;
}

bool fault_excuse(int err)
{
	switch (err) {
	case ENOMEM:
	case ENOBUFS:
	case ENFILE:
	case EFAULT:
	case EAGAIN:
		return true;
	default:
		return false;
	}
}

void fault_report(unsigned int runs)
{
	check_note("%u runs", runs);
	check_note("total: %u injected faults", injected);
	EXPECT(injected > 0);
	injected = 0;
}

void fault_sweep(unsigned int (*once)(unsigned int n))
{
	unsigned int n = 1;

	while (!once(n))
		n++;
	fault_report(n);
}

/* Where the log ends. Requests that are made with __GFP_NOWARN are not in it. */
static int log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	EXPECT(log >= 0 && lseek(log, 0, SEEK_END) >= 0);
	return log;
}

enum asker { NOBODY, OURS, OTHER };

/* Whose request failed since the last look? Ours have @function in the stack. */
static enum asker log_asker(int log, const char *function)
{
	enum asker who = NOBODY;
	char record[8192];
	ssize_t n;

	while ((n = read(log, record, sizeof(record) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		record[n > 0 ? n : 0] = '\0';
		if (strstr(record, function))
			who = OURS;
		else if (who == NOBODY && strstr(record, "FAULT_INJECTION"))
			who = OTHER;
	}
	EXPECT(errno == EAGAIN);
	return who;
}

/* Whether a slab needs a new page is a matter of chance: without those, the
 * n-th request of one call is more or less that of the next.
 */
static void slabs_only(bool on)
{
	FILE *f = fopen("/sys/kernel/debug/fail_page_alloc/min-order", "w");

	EXPECT(f && fputs(on ? "9" : "0", f) > 0 && !fclose(f));
}

/* From @n on by @step, until our requests lie behind: one of others' alone may
 * be a jump.
 */
static void sweep_ours(unsigned int n, int step, const char *function,
		       unsigned int (*once)(unsigned int n))
{
	unsigned int met = 0, others = 0, runs = 0;
	int log = log_open();

	for (; n && (!met || others < OTHERS) && runs < RUNS_MAX; n += step) {
		enum asker who;

		once(n);
		runs++;
		who = log_asker(log, function);
		met += who == OURS;
		if (who)
			others = who == OTHER ? others + 1 : 0;
	}
	close(log);
	EXPECT(met > 0);
	EXPECT(runs < RUNS_MAX);
	check_note("%u requests of %s()", met, function);
	fault_report(runs);
}

void fault_sweep_back(unsigned int (*once)(unsigned int n),
		      const char *function)
{
	slabs_only(true);
	sweep_ours(FAULT_NEVER - once(FAULT_NEVER), -1, function, once);
	slabs_only(false);
}

void fault_sweep_within(unsigned int (*once)(unsigned int n),
			const char *function,
			enum fault_reached (*reached)(unsigned int n))
{
	unsigned int before = 0, after;

	slabs_only(true);
	after = FAULT_NEVER - once(FAULT_NEVER);
	while (after - before > 1) {
		unsigned int n = before + (after - before) / 2, next = n;
		enum fault_reached is = FAULT_UNKNOWN;

		while (next < after && is == FAULT_UNKNOWN)
			is = reached(next++);
		if (is == FAULT_BEFORE)
			before = next - 1;
		else
			after = n;
	}
	sweep_ours(after > OTHERS ? after - OTHERS : 1, 1, function, once);
	slabs_only(false);
}

struct fault_run *fault_apart(int (*once)(void *run), unsigned int n)
{
	static struct fault_run *run;
	pid_t pid;
	int status;

	if (!run)
		run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(run != MAP_FAILED);
	run->n = n;
	fflush(stdout);
	pid = check_fork(once, run);
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != CHECK_PASS)
		check_fail(__FILE__, __LINE__, "request %u: status %#x", n,
			   status);
	if (!run->left)
		fault_count();
	return run;
}
