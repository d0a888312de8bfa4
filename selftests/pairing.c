// SPDX-License-Identifier: GPL-2.0
/*
 * pairing [-s SEED] [-n LEASES]
 *
 * Two processes talk by turns over one connection. In every turn one of them,
 * or the other, or both at once make a system call that ends the lease: before
 * the bytes, in their midst, or when they have been sent and not been read.
 * So each turn begins and ends a lease, and every byte is checked. Ends when
 * each process has had so many.
 */
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "net.h"
#include "pattern.h"

#define MESSAGE_MAX 6000
#define SIDES	    2

/* Bits: who strikes */
#define TALKER	 1
#define LISTENER 2

static uint64_t seed = 1, want = 1000;

struct side {
	int fd;
	int other; /* the other's, inherited */
	int me;
	int strike[SIDES][2]; /* pipes to the threads that strike */
	uint64_t pos[SIDES];  /* in the stream of each */
};

static struct shared {
	_Atomic uint64_t leases[SIDES];
} * shared;

/* A raw system call: the library learns of the lost lease only afterwards. */
static void strike(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	EXPECT(!syscall(SYS_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &info,
			&len));
}

static void *striker(void *arg)
{
	const struct side *s = arg;
	char byte;

	while (read(s->strike[s->me][0], &byte, 1) == 1 && byte)
		strike(s->fd);
	return NULL;
}

static void tell(const struct side *s, int whom, char byte)
{
	EXPECT_EQ(write(s->strike[whom][1], &byte, 1), 1);
}

/* By another thread or by this one */
static void strikes(const struct side *s, uint64_t who, struct dice *d)
{
	if (who & LISTENER)
		tell(s, !s->me, 1);
	if (who & TALKER && dice_roll(d, 2))
		tell(s, s->me, 1);
	else if (who & TALKER)
		strike(s->fd);
}

static void talk(struct side *s, struct dice *d)
{
	size_t len = 2 + dice_size(d, MESSAGE_MAX - 2);
	size_t cut = dice_roll(d, len), done = 0;
	uint64_t who = 1 + dice_roll(d, 3);
	char buf[MESSAGE_MAX];

	pattern_fill(buf, len, seed + s->me, s->pos[s->me]);
	/* How many there are: the listener knows when its turn comes. */
	buf[0] = (char)len;
	buf[1] = (char)(len >> 8);
	while (done < len) {
		size_t n = done < cut ? cut - done : len - done;

		if (done == cut)
			strikes(s, who, d);
		net_send(s->fd, buf + done, n);
		done += n;
	}
	s->pos[s->me] += len;
}

static void listen_to(struct side *s, struct dice *d)
{
	uint64_t pos = s->pos[!s->me];
	uint8_t buf[MESSAGE_MAX];
	size_t len, got = 2;

	net_recv(s->fd, buf, 2);
	len = buf[0] | (size_t)buf[1] << 8;
	EXPECT(len >= 2 && len <= sizeof(buf));
	while (got < len) {
		size_t n = dice_size(d, len - got);

		net_recv(s->fd, buf + got, n);
		got += n;
		if (!dice_roll(d, 8))
			strike(s->fd);
	}
	if (pattern_right(buf + 2, len - 2, seed + !s->me, pos + 2) != len - 2)
		check_fail(__FILE__, __LINE__,
			   "side %d: wrong byte after %llu among %zu", s->me,
			   (unsigned long long)pos, len);
	s->pos[!s->me] += len;
}

static bool enough(const struct side *s)
{
	struct onload_info info = { .leases = shared->leases[s->me] + 1 };

	/* The plain reference has none: turns, then */
	if (net_preloaded())
		EXPECT(net_info(s->fd, &info));
	shared->leases[s->me] = info.leases;
	return shared->leases[0] >= want && shared->leases[1] >= want;
}

/* Side 0 talks first, and says goodbye by closing. */
static int play(struct side *s)
{
	struct dice d = { seed * 2 + s->me };
	int one = 1;
	pthread_t t;
	char byte;

	/* By TCP the second part of a message would wait for Nagle. */
	EXPECT(!setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	EXPECT(!pthread_create(&t, NULL, striker, s));
	for (;;) {
		if (!s->me) {
			if (enough(s))
				break;
			talk(s, &d);
			listen_to(s, &d);
		} else {
			if (!recv(s->fd, &byte, 1, MSG_PEEK))
				break;
			listen_to(s, &d);
			enough(s);
			talk(s, &d);
		}
	}
	tell(s, s->me, 0);
	EXPECT(!pthread_join(t, NULL));
	close(s->fd);
	return CHECK_PASS;
}

static int play_other(void *arg)
{
	struct side *s = arg;

	close(s->other);
	return play(s);
}

static void run(void)
{
	struct pair p = net_pair();
	struct side s = { .fd = p.c, .me = 0 },
		    o = { .fd = p.s, .other = p.c, .me = 1 };
	pid_t other;

	EXPECT(!pipe(s.strike[0]) && !pipe(s.strike[1]));
	memcpy(o.strike, s.strike, sizeof(o.strike));
	other = check_fork(play_other, &o);
	close(p.s);
	play(&s);
	check_wait(other);
	check_note("%llu and %llu %s, %llu and %llu bytes",
		   (unsigned long long)shared->leases[0],
		   (unsigned long long)shared->leases[1],
		   net_preloaded() ? "leases" : "turns",
		   (unsigned long long)s.pos[0], (unsigned long long)s.pos[1]);
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "s:n:")) != -1) {
		if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 'n')
			want = strtoull(optarg, NULL, 0);
		else
			return CHECK_FAIL;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return CHECK_FAIL;
	return check_one("every turn's bytes right", run, 900);
}
