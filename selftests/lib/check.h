/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks in KTAP. Each check runs in a process of its own, so that a crash or
 * a hang is that check's failure and nobody else's.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { CHECK_PASS = 0, CHECK_FAIL = 1, CHECK_SKIP = 4 };

struct check {
	const char *name;
	void (*run)(void);
	unsigned int seconds; /* limit; 0: the usual one */
};

/* Runs the checks whose name contains @only (all if NULL); the exit code. */
int check_all(const struct check *checks, size_t n, const char *only);

/* For programs that are one single check: prints the whole document. */
int check_one(const char *name, void (*run)(void), unsigned int seconds);

_Noreturn void check_fail(const char *file, int line, const char *what, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void check_skip(const char *why);
void check_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A helper process that dies with its parent; @run returns its exit code. */
pid_t check_fork(int (*run)(void *), void *arg);
void check_wait(pid_t pid);

#define EXPECT(cond)                                                          \
	do {                                                                  \
		if (!(cond))                                                  \
			check_fail(__FILE__, __LINE__, "%s, errno %s", #cond, \
				   strerrorname_np(errno));                   \
	} while (0)

#define EXPECT_EQ(have, want)                                               \
	do {                                                                \
		long long have_ = (have), want_ = (want);                   \
                                                                            \
		if (have_ != want_)                                         \
			check_fail(__FILE__, __LINE__,                      \
				   "%s is %lld, not %lld, errno %s", #have, \
				   have_, want_, strerrorname_np(errno));   \
	} while (0)

/* The call fails with exactly this errno. */
#define EXPECT_ERR(call, err)                                                  \
	do {                                                                   \
		long long ret_ = (call);                                       \
		int errno_ = errno;                                            \
                                                                               \
		if (ret_ != -1 || errno_ != (err))                             \
			check_fail(__FILE__, __LINE__,                         \
				   "%s is %lld, errno %s, not -1, errno %s",   \
				   #call, ret_,                                \
				   ret_ == -1 ? strerrorname_np(errno_) : "-", \
				   strerrorname_np(err));                      \
	} while (0)

#endif
