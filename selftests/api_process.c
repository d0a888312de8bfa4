// SPDX-License-Identifier: GPL-2.0
/* Descriptors on their way through processes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"
#include "net.h"

static int say_child(void *arg)
{
	net_send(*(int *)arg, "child", 5);
	return CHECK_PASS;
}

static void fork_writes(void)
{
	struct pair p = net_warm_pair();
	char buf[16];

	check_wait(check_fork(say_child, &p.c));
	net_send(p.c, "parent", 6);
	net_recv(p.s, buf, 11);
	EXPECT(!memcmp(buf, "childparent", 11));
	close(p.c);
	net_expect_eof(p.s);
}

static void exec_writes(void)
{
	struct pair p = net_warm_pair();
	pid_t pid = fork();
	char buf[16];
	int status;

	EXPECT(pid >= 0);
	if (!pid) {
		dup2(p.c, STDOUT_FILENO);
		execl("/bin/echo", "echo", "-n", "from exec", (char *)NULL);
		_exit(CHECK_FAIL);
	}
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	close(p.c);
	net_recv(p.s, buf, 9);
	EXPECT(!memcmp(buf, "from exec", 9));
	net_expect_eof(p.s);
}

static int echo_passed(void *arg)
{
	int *channel = arg, fd;
	char buf[4];

	close(channel[0]);
	fd = net_take_fd(channel[1]);
	net_recv(fd, buf, 4);
	net_send(fd, buf, 4);
	close(fd);
	return CHECK_PASS;
}

static void pass_rights(void)
{
	int channel[2];
	struct pair p;
	char buf[8];
	pid_t pid;

	EXPECT(!socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	pid = check_fork(echo_passed, channel);
	p = net_warm_pair();
	net_send(p.c, "back", 4);
	net_pass_fd(channel[0], p.s);
	check_wait(pid);
	net_recv(p.c, buf, 4);
	EXPECT(!memcmp(buf, "back", 4));
	net_send(p.c, "mine", 4);
	net_recv(p.s, buf, 4);
	EXPECT(!memcmp(buf, "mine", 4));
}

static void pass_in_flight(void)
{
	int channel[2];
	struct pair p = net_warm_pair();
	char buf[8];

	EXPECT(!socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	net_send(p.c, "early", 5);
	net_pass_fd(channel[0], p.s);
	close(p.s);
	p.s = net_take_fd(channel[1]);
	net_recv(p.s, buf, 5);
	EXPECT(!memcmp(buf, "early", 5));
	net_exchange(p.c, p.s);
}

static void duplicates(void)
{
	struct pair p = net_warm_pair();
	int d = dup(p.c), e = fcntl(p.c, F_DUPFD_CLOEXEC, 100);
	char buf[8];

	EXPECT(d >= 0 && e >= 100);
	net_send(d, "a", 1);
	net_send(p.c, "b", 1);
	net_send(e, "c", 1);
	close(p.c);
	net_send(d, "d", 1);
	close(d);
	net_warm(e, p.s);
	net_send(e, "e", 1);
	close(e);
	net_recv(p.s, buf, 5);
	net_expect_eof(p.s);
}

static void standard_io(void)
{
	struct pair p = net_warm_pair();
	FILE *out = fdopen(p.c, "r+"), *in = fdopen(p.s, "r+");
	char line[64];

	EXPECT(out && in);
	fprintf(out, "line %d\nrest", 1);
	EXPECT(!fflush(out));
	EXPECT(fgets(line, sizeof(line), in));
	EXPECT(!strcmp(line, "line 1\n"));
	fclose(out);
	EXPECT(fgets(line, sizeof(line), in));
	EXPECT(!strcmp(line, "rest"));
	EXPECT_EQ(fgetc(in), EOF);
	EXPECT(feof(in));
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
const struct check api_process[] = {
	CHECK(fork_writes),    CHECK(exec_writes), CHECK(pass_rights),
	CHECK(pass_in_flight), CHECK(duplicates),  CHECK(standard_io),
};
const size_t api_process_count = sizeof(api_process) / sizeof(*api_process);
