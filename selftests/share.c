// SPDX-License-Identifier: GPL-2.0
/*
 * One socket, two processes: inherited by fork, or passed by SCM_RIGHTS. They
 * use it by turns; every byte is where it belongs.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "net.h"
#include "pattern.h"

#define TURNS	  400
#define CHUNK_MAX 9000
#define SEED	  5

/* The baton carries the position in the stream. */
struct team {
	struct pair p;
	int baton[2]; /* a socket pair: end 0 the first process's */
	int me;
	bool read;
};

static void use(struct team *t, int fd, uint64_t *pos, struct dice *d)
{
	size_t len = dice_size(d, CHUNK_MAX);
	static char buf[CHUNK_MAX];

	if (t->read) {
		net_recv(fd, buf, len);
		EXPECT_EQ(pattern_right(buf, len, SEED, *pos), len);
	} else {
		pattern_fill(buf, len, SEED, *pos);
		net_send(fd, buf, len);
	}
	*pos += len;
}

/* A few calls a turn, so that the other side of the fence may lease. */
static void play(struct team *t, int fd)
{
	struct dice d = { SEED + t->me };
	int baton = t->baton[t->me];
	uint64_t pos = 0;

	for (int turn = 0; turn < TURNS; turn++) {
		if (turn || t->me)
			EXPECT(read(baton, &pos, sizeof(pos)) == sizeof(pos));
		for (uint64_t n = 1 + dice_roll(&d, 5); n; n--) {
			use(t, fd, &pos, &d);
			if (!dice_roll(&d, 4))
				usleep(dice_roll(&d, 1000));
		}
		EXPECT(write(baton, &pos, sizeof(pos)) == sizeof(pos));
	}
	if (!t->me)
		EXPECT(read(baton, &pos, sizeof(pos)) == sizeof(pos));
}

static int play_second(void *arg)
{
	struct team *t = arg;

	t->me = 1;
	close(t->p.s);
	play(t, t->p.c);
	return CHECK_PASS;
}

static int play_second_passed(void *arg)
{
	struct team *t = arg;

	t->me = 1;
	play(t, net_take_fd(t->baton[1]));
	return CHECK_PASS;
}

/* The far side: reads the pattern to its end, or writes it until told. */
static int far_reader(void *arg)
{
	struct team *t = arg;
	static char buf[65536];
	uint64_t pos = 0;
	ssize_t n;

	close(t->p.c);
	close(t->baton[0]);
	close(t->baton[1]);
	while ((n = recv(t->p.s, buf, sizeof(buf), 0)) > 0) {
		EXPECT_EQ(pattern_right(buf, n, SEED, pos), n);
		pos += n;
	}
	EXPECT_EQ(n, 0);
	EXPECT(pos > 2 * TURNS);
	return CHECK_PASS;
}

static int far_writer(void *arg)
{
	struct team *t = arg;
	static char buf[5000];
	struct dice d = { 77 };
	uint64_t pos = 0;

	close(t->p.c);
	for (;;) {
		size_t len = dice_size(&d, sizeof(buf));
		ssize_t n;

		pattern_fill(buf, len, SEED, pos);
		n = send(t->p.s, buf, len, MSG_NOSIGNAL);
		if (n < 0)
			break;
		pos += n;
		if (!dice_roll(&d, 8))
			usleep(dice_roll(&d, 2000));
	}
	EXPECT(errno == ECONNRESET || errno == EPIPE);
	return CHECK_PASS;
}

static void team_play(bool read, bool passed)
{
	struct team t = { .read = read };
	pid_t second, far;

	EXPECT(!socketpair(AF_UNIX, SOCK_STREAM, 0, t.baton));
	/* A process that is to be passed the socket must not inherit it. */
	if (passed)
		second = check_fork(play_second_passed, &t);
	t.p = net_warm_pair();
	far = check_fork(read ? far_writer : far_reader, &t);
	if (passed)
		net_pass_fd(t.baton[0], t.p.c);
	else
		second = check_fork(play_second, &t);
	close(t.p.s);
	play(&t, t.p.c);
	check_wait(second);
	close(t.p.c);
	check_wait(far);
}

static void inherited_write(void)
{
	team_play(false, false);
}

static void inherited_read(void)
{
	team_play(true, false);
}

static void passed_write(void)
{
	team_play(false, true);
}

static void passed_read(void)
{
	team_play(true, true);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
static const struct check checks[] = {
	CHECK(inherited_write),
	CHECK(inherited_read),
	CHECK(passed_write),
	CHECK(passed_read),
};

int main(int argc, char **argv)
{
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 1 ? argv[1] : NULL);
}
