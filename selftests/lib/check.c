// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define SECONDS 60

static void vnote(const char *format, va_list ap)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "# ");

	vsnprintf(line + n, sizeof(line) - n, format, ap);
	/* One write a line: helpers of one check share the pipe. */
	dprintf(STDOUT_FILENO, "%s\n", line);
}

void check_note(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vnote(format, ap);
	va_end(ap);
}

void check_fail(const char *file, int line, const char *what, ...)
{
	char format[512];
	va_list ap;

	snprintf(format, sizeof(format), "%s:%d: %s", file, line, what);
	va_start(ap, what);
	vnote(format, ap);
	va_end(ap);
	_exit(CHECK_FAIL);
}

void check_skip(const char *why)
{
	check_note("skipped: %s", why);
	_exit(CHECK_SKIP);
}

pid_t check_fork(int (*run)(void *), void *arg)
{
	pid_t pid = fork();

	EXPECT(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run(arg));
	}
	return pid;
}

void check_wait(pid_t pid)
{
	int status;

	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		check_fail(__FILE__, __LINE__, "helper died of signal %d",
			   WTERMSIG(status));
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
}

static int verdict(const char *name, int status)
{
	if (WIFEXITED(status)) {
		int code = WEXITSTATUS(status);

		return code == CHECK_PASS || code == CHECK_SKIP ? code
								: CHECK_FAIL;
	}
	check_note("%s died of signal %d (%s)", name, WTERMSIG(status),
		   strsignal(WTERMSIG(status)));
	return CHECK_FAIL;
}

static int run_check(const struct check *c)
{
	struct timespec limit = { .tv_sec = c->seconds ? c->seconds : SECONDS };
	sigset_t chld, old;
	int status;
	pid_t pid;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &old);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return CHECK_FAIL;
	if (!pid) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		c->run();
		_exit(CHECK_PASS);
	}
	if (sigtimedwait(&chld, NULL, &limit) < 0) {
		check_note("%s: not done within %ld s", c->name,
			   (long)limit.tv_sec);
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* Helpers that outlived it hold its sockets. */
	kill(-pid, SIGKILL);
	return verdict(c->name, status);
}

int check_all(const struct check *checks, size_t n, const char *only)
{
	unsigned int number = 0, failed = 0, skipped = 0, plan = 0;

	for (size_t i = 0; i < n; i++)
		plan += !only || strstr(checks[i].name, only);
	printf("KTAP version 1\n1..%u\n", plan);
	for (size_t i = 0; i < n; i++) {
		int code;

		if (only && !strstr(checks[i].name, only))
			continue;
		code = run_check(&checks[i]);
		failed += code == CHECK_FAIL;
		skipped += code == CHECK_SKIP;
		printf("%sok %u %s%s\n", code == CHECK_FAIL ? "not " : "",
		       ++number, checks[i].name,
		       code == CHECK_SKIP ? " # SKIP" : "");
		fflush(stdout);
	}
	if (failed)
		return CHECK_FAIL;
	return number && skipped == number ? CHECK_SKIP : CHECK_PASS;
}

int check_one(const char *name, void (*run)(void), unsigned int seconds)
{
	struct check c = { name, run, seconds };

	return check_all(&c, 1, NULL);
}
