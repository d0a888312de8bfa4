// SPDX-License-Identifier: GPL-2.0
/*
 * A descriptor number that was a leased socket becomes a file, in the ways that
 * the C library has, while another process keeps the connection open. What is
 * written to the number then must land in the file.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "net.h"

#define LINE "a line of the log\n"

static char path[64];

static int open_log(void)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_APPEND, 0600);

	EXPECT(fd >= 0);
	return fd;
}

struct keeper {
	struct pair p;
	int go;
};

/* Keeps the connection open until told, says so on it, and goes. */
static int keep(void *arg)
{
	struct keeper *k = arg;
	char byte;

	EXPECT_EQ(read(k->go, &byte, 1), 1);
	net_send(k->p.c, "kept", 4);
	return CHECK_PASS;
}

/* @become makes the number of @fd name the log, and returns the number. */
static void reuse(int (*become)(int fd))
{
	int go[2], fd;
	struct keeper k;
	char line[64];
	pid_t pid;

	k.p = net_pair();
	EXPECT(!pipe(go));
	k.go = go[0];
	pid = check_fork(keep, &k);
	net_warm(k.p.c, k.p.s);
	snprintf(path, sizeof(path), "/tmp/onload-reuse.%d", getpid());
	fd = become(k.p.c);
	EXPECT_EQ(fd, k.p.c);
	EXPECT_EQ(write(fd, LINE, strlen(LINE)), strlen(LINE));
	EXPECT_EQ(pread(fd, line, sizeof(line), 0), strlen(LINE));
	EXPECT(!memcmp(line, LINE, strlen(LINE)));
	EXPECT_ERR(send(fd, LINE, 1, 0), ENOTSOCK);
	unlink(path);

	EXPECT_EQ(write(go[1], "x", 1), 1);
	check_wait(pid);
	net_recv(k.p.s, line, 4);
	EXPECT(!memcmp(line, "kept", 4));
	net_expect_eof(k.p.s);
}

static int by_close(int fd)
{
	EXPECT(!close(fd));
	return open_log();
}

static int by_fclose(int fd)
{
	FILE *f = fdopen(fd, "r+");

	EXPECT(f && !fclose(f));
	f = fopen(path, "w+");
	EXPECT(f);
	return fileno(f);
}

static int by_freopen(int fd)
{
	FILE *f = fdopen(fd, "r+");

	EXPECT(f);
	f = freopen(path, "w+", f);
	EXPECT(f);
	return fileno(f);
}

static int by_dup2(int fd)
{
	int log = open_log();

	EXPECT_EQ(dup2(log, fd), fd);
	close(log);
	return fd;
}

static int by_dup3(int fd)
{
	int log = open_log();

	EXPECT_EQ(dup3(log, fd, O_CLOEXEC), fd);
	close(log);
	return fd;
}

static int by_dupfd(int fd)
{
	int log = open_log();

	EXPECT(!close(fd));
	fd = fcntl(log, F_DUPFD, fd);
	return fd;
}

static int by_close_range(int fd)
{
	EXPECT(!close_range(fd, fd, 0));
	return open_log();
}

static int by_close_range_cloexec(int fd)
{
	EXPECT(!close_range(fd, fd, CLOSE_RANGE_CLOEXEC));
	EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	return by_close(fd);
}

static int by_raw_close(int fd)
{
	EXPECT(!syscall(SYS_close, fd));
	return open_log();
}

static void close_open(void)
{
	reuse(by_close);
}

static void fclose_fopen(void)
{
	reuse(by_fclose);
}

static void freopen_over(void)
{
	reuse(by_freopen);
}

static void dup2_over(void)
{
	reuse(by_dup2);
}

static void dup3_over(void)
{
	reuse(by_dup3);
}

static void dupfd_after_close(void)
{
	reuse(by_dupfd);
}

static void close_range_open(void)
{
	reuse(by_close_range);
}

static void close_range_cloexec(void)
{
	reuse(by_close_range_cloexec);
}

static void raw_close(void)
{
	reuse(by_raw_close);
}

/* It takes all above, so this is done in a child: the other end on 3, ours 4. */
static int closes_all(void *arg)
{
	struct pair *p = arg;
	int c = fcntl(p->c, F_DUPFD, 500), s = fcntl(p->s, F_DUPFD, 500);
	char line[64];

	EXPECT(c >= 0 && s >= 0 && dup2(s, 3) == 3 && dup2(c, 4) == 4);
	net_warm(4, 3);
	closefrom(4);
	EXPECT_EQ(open_log(), 4);
	EXPECT_EQ(write(4, LINE, strlen(LINE)), strlen(LINE));
	EXPECT_EQ(pread(4, line, sizeof(line), 0), strlen(LINE));
	EXPECT(!memcmp(line, LINE, strlen(LINE)));
	return CHECK_PASS;
}

static void closefrom_open(void)
{
	struct pair p = net_pair();
	char byte;

	snprintf(path, sizeof(path), "/tmp/onload-reuse.%d", getpid());
	check_wait(check_fork(closes_all, &p));
	unlink(path);
	EXPECT_ERR(recv(p.s, &byte, 1, MSG_DONTWAIT), EAGAIN);
	net_exchange(p.c, p.s);
}

/* A child of vfork has its own descriptors and our memory. */
static void vfork_close(void)
{
	struct pair p = net_warm_pair();
	pid_t pid = vfork();
	int status;

	EXPECT(pid >= 0);
	if (!pid) {
		close(p.c);
		execl("/bin/true", "true", (char *)NULL);
		_exit(CHECK_FAIL);
	}
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	net_warm(p.c, p.s);
	close(p.c);
	net_expect_eof(p.s);
}

static void vfork_dup2(void)
{
	struct pair p = net_warm_pair();
	int null = open("/dev/null", O_RDWR), status;
	pid_t pid;

	EXPECT(null >= 0);
	pid = vfork();
	EXPECT(pid >= 0);
	if (!pid) {
		dup2(null, p.c);
		if (write(p.c, "lost", 4) != 4)
			_exit(CHECK_FAIL);
		_exit(CHECK_PASS);
	}
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	net_warm(p.c, p.s);
}

/* And so has a child of that child's, whose return is not the parent's. */
static void vfork_nested(void)
{
	const int number = 500;
	struct pair p = net_warm_pair();
	char line[64];
	int status;
	pid_t pid;

	pid = vfork();
	EXPECT(pid >= 0);
	if (!pid) {
		if (!vfork())
			_exit(CHECK_PASS);
		_exit(dup2(p.c, number) == number ? CHECK_PASS : CHECK_FAIL);
	}
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	snprintf(path, sizeof(path), "/tmp/onload-reuse.%d", getpid());
	EXPECT_EQ(syscall(SYS_dup2, open_log(), number), number);
	unlink(path);
	EXPECT_EQ(write(number, LINE, strlen(LINE)), strlen(LINE));
	EXPECT_EQ(pread(number, line, sizeof(line), 0), strlen(LINE));
	net_warm(p.c, p.s);
}

static void spawn_actions(void)
{
	struct pair p = net_warm_pair();
	char *argv[] = { "echo", "-n", "spawned", NULL }, *envp[] = { NULL };
	posix_spawn_file_actions_t actions;
	char buf[8];
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, p.c, STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, p.c);
	EXPECT(!posix_spawn(&pid, "/bin/echo", &actions, NULL, argv, envp));
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	net_recv(p.s, buf, 7);
	EXPECT(!memcmp(buf, "spawned", 7));
	net_warm(p.c, p.s);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
static const struct check checks[] = {
	CHECK(close_open),	 CHECK(fclose_fopen),
	CHECK(freopen_over),	 CHECK(dup2_over),
	CHECK(dup3_over),	 CHECK(dupfd_after_close),
	CHECK(close_range_open), CHECK(close_range_cloexec),
	CHECK(raw_close),	 CHECK(closefrom_open),
	CHECK(vfork_close),	 CHECK(vfork_dup2),
	CHECK(vfork_nested),	 CHECK(spawn_actions),
};

int main(int argc, char **argv)
{
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 1 ? argv[1] : NULL);
}
