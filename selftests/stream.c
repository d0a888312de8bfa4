// SPDX-License-Identifier: GPL-2.0
/*
 * stream [-s SEED] [-l LEASES] [-b BYTES] [-r PERMILLE] [-d MICROSECONDS] [-t SECONDS]
 *
 * One connection between two processes, both directions at once: in each a
 * thread sends while another receives, by calls, sizes and pauses at random,
 * some (PERMILLE) by system calls that the library does not see. With -d a
 * third thread asks for TCP_INFO at random instants, which ends the lease
 * under the other two. Every byte depends on its position and is checked. Ends
 * after so many leases of both together and so many bytes each way, by
 * half-closes.
 *
 * Most of the time the two take turns: a lease needs a quiet connection.
 */
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"
#include "net.h"
#include "pattern.h"

#define CHUNK_MAX 65536
#define BURST_MAX 16384
#define WINDOW_MS 64

static uint64_t seed = 1, want_leases, want_bytes = 1 << 20;
static unsigned int raw_permille = 20, disturb_us, limit = 1200;

/* What the two processes know of each other */
static struct shared {
	_Atomic uint64_t leases[2];
	_Atomic uint64_t sent[2];
	_Atomic uint64_t received[2];
	_Atomic uint32_t reason[2];
	_Atomic int turn;
} * shared;

struct end {
	int fd;
	int side;
	atomic_bool done;
};

static void pause_a_little(struct dice *d)
{
	switch (dice_roll(d, 40)) {
	case 0 ... 2:
		sched_yield();
		break;
	case 3:
		usleep(dice_roll(d, 300));
		break;
	case 4:
		if (!dice_roll(d, 20))
			usleep(dice_roll(d, 30000));
		break;
	}
}

static void look(const struct end *e)
{
	struct onload_info info;

	if (!net_info(e->fd, &info))
		return;
	atomic_store(&shared->leases[e->side], info.leases);
	atomic_store(&shared->reason[e->side], info.reason);
}

static bool enough(const struct end *e, uint64_t sent)
{
	uint64_t n = atomic_load(&shared->leases[0]) +
		     atomic_load(&shared->leases[1]);

	return sent >= want_bytes && n >= want_leases;
}

/* By the clock, so that both sides agree: talk by turns, or all at once */
static bool talking(void)
{
	return pattern_mix(seed ^ net_ms() / WINDOW_MS << 8) & 7;
}

static void await_turn(const struct end *e)
{
	for (int i = 0; talking() && i < 200; i++) {
		if (atomic_load(&shared->turn) == e->side)
			return;
		usleep(20);
	}
}

static void pass_turn(const struct end *e, uint64_t sent)
{
	for (int i = 0; talking() && i < 200; i++) {
		if (atomic_load(&shared->received[!e->side]) == sent)
			break;
		usleep(20);
	}
	atomic_store(&shared->turn, !e->side);
}

static ssize_t send_somehow(int fd, struct dice *d, char *buf, size_t len)
{
	size_t half = len / 2;
	struct iovec iov[] = { { buf, half }, { buf + half, len - half } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (dice_roll(d, 1000) < raw_permille)
		return syscall(SYS_sendto, fd, buf, len, 0, NULL, 0);
	switch (dice_roll(d, 6)) {
	case 0:
		return write(fd, buf, len);
	case 1:
		return writev(fd, iov, 2);
	case 2:
		return send(fd, buf, len, 0);
	case 3:
		return send(fd, buf, len, MSG_DONTWAIT);
	case 4:
		return sendto(fd, buf, len, MSG_NOSIGNAL, NULL, 0);
	default:
		return sendmsg(fd, &msg, 0);
	}
}

static void *sender(void *arg)
{
	struct end *e = arg;
	struct dice d = { seed * 4 + e->side };
	uint64_t pos = 0, ops = 0, burst = 0;
	char *buf = malloc(CHUNK_MAX);

	for (; !enough(e, pos); ops++) {
		size_t len;
		ssize_t n;

		if (!(ops % 16))
			look(e);
		if (pos >= burst) {
			pass_turn(e, pos);
			await_turn(e);
			burst = pos + dice_size(&d, BURST_MAX);
		}
		len = dice_size(&d, dice_roll(&d, 16) ? 4096 : CHUNK_MAX);
		pattern_fill(buf, len, seed + e->side, pos);
		n = send_somehow(e->fd, &d, buf, len);
		/* Ours to reuse as soon as it returns. */
		memset(buf, 0xdb, len);
		if (n < 0 && errno == EAGAIN) {
			usleep(500);
			continue;
		}
		EXPECT(n > 0);
		pos += n;
		atomic_store(&shared->sent[e->side], pos);
		pause_a_little(&d);
	}
	free(buf);
	EXPECT(!shutdown(e->fd, SHUT_WR));
	return NULL;
}

static ssize_t receive_somehow(int fd, struct dice *d, char *buf, size_t len,
			       bool *peeked)
{
	size_t half = len / 2;
	struct iovec iov[] = { { buf, half }, { buf + half, len - half } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (dice_roll(d, 1000) < raw_permille)
		return syscall(SYS_recvfrom, fd, buf, len, 0, NULL, NULL);
	switch (dice_roll(d, 9)) {
	case 0:
		return read(fd, buf, len);
	case 1:
		return readv(fd, iov, 2);
	case 2:
		return recvmsg(fd, &msg, 0);
	case 3:
		*peeked = true;
		return recv(fd, buf, len, MSG_PEEK);
	case 4:
		/* The other side may stop sending: not for too many. */
		return recv(fd, buf, len < 200 ? len : 200, MSG_WAITALL);
	case 5:
		return recv(fd, buf, len, MSG_DONTWAIT);
	case 6:
		*peeked = true;
		return recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT);
	default:
		return recv(fd, buf, len, 0);
	}
}

/* How far from their place wrong bytes lie in the pattern; 0: nowhere near */
static long long displaced(const char *buf, size_t n, uint64_t from,
			   uint64_t pos)
{
	for (long long off = 1; off < 1 << 20; off++) {
		if (pattern_right(buf, n, from, pos + off) == n)
			return off;
		if ((uint64_t)off <= pos &&
		    pattern_right(buf, n, from, pos - off) == n)
			return -off;
	}
	return 0;
}

static void *receiver(void *arg)
{
	struct end *e = arg;
	struct dice d = { seed * 4 + 2 + e->side };
	uint64_t pos = 0, from = seed + !e->side;
	char *buf = malloc(CHUNK_MAX);

	for (;;) {
		size_t len = dice_size(&d, CHUNK_MAX), right;
		bool peeked = false;
		ssize_t n;

		/*
		 * Mostly without sleeping in the call: no lease is given while
		 * a thread sleeps in recvmsg().
		 */
		if (dice_roll(&d, 8))
			n = recv(e->fd, buf, len, MSG_DONTWAIT);
		else
			n = receive_somehow(e->fd, &d, buf, len, &peeked);
		if (n < 0 && errno == EAGAIN) {
			if (dice_roll(&d, 16))
				usleep(20);
			else
				net_readable(e->fd, 20);
			continue;
		}
		if (!n)
			break;
		EXPECT(n > 0);
		right = pattern_right(buf, n, from, pos);
		if (right != (size_t)n)
			check_fail(
				__FILE__, __LINE__,
				"side %d: byte %llu (%zu of %zd%s) is wrong, "
				"what follows is displaced by %lld",
				e->side, (unsigned long long)(pos + right),
				right, n, peeked ? ", peeked" : "",
				displaced(buf + right,
					  n - right < 16 ? n - right : 16, from,
					  pos + right));
		if (!peeked)
			pos += n;
		atomic_store(&shared->received[e->side], pos);
		pause_a_little(&d);
	}
	EXPECT_EQ(recv(e->fd, buf, 1, 0), 0);
	free(buf);
	return NULL;
}

/* A raw system call: the library learns of the lost lease only afterwards. */
static void *disturber(void *arg)
{
	struct end *e = arg;
	struct dice d = { seed * 4 + 99 + e->side };
	struct tcp_info info;

	while (!atomic_load(&e->done)) {
		socklen_t len = sizeof(info);

		/* Now and then a lease lasts. */
		usleep(dice_roll(&d, 2 * disturb_us)
		       << (dice_roll(&d, 16) ? 0 : 5));
		EXPECT(!syscall(SYS_getsockopt, e->fd, IPPROTO_TCP, TCP_INFO,
				&info, &len));
	}
	return NULL;
}

static int play(int fd, int side)
{
	struct end e = { .fd = fd, .side = side };
	pthread_t threads[3];

	EXPECT(!pthread_create(&threads[0], NULL, receiver, &e));
	if (disturb_us)
		EXPECT(!pthread_create(&threads[1], NULL, disturber, &e));
	EXPECT(!pthread_create(&threads[2], NULL, sender, &e));
	pthread_join(threads[2], NULL);
	pthread_join(threads[0], NULL);
	atomic_store(&e.done, true);
	if (disturb_us)
		pthread_join(threads[1], NULL);
	look(&e);
	return CHECK_PASS;
}

static int play_server(void *arg)
{
	struct pair *p = arg;

	close(p->c);
	return play(p->s, 1);
}

static void report(int side)
{
	check_note("side %d: sent %llu, received %llu, %llu leases, last %s",
		   side, (unsigned long long)shared->sent[side],
		   (unsigned long long)shared->received[side],
		   (unsigned long long)shared->leases[side],
		   net_reason(shared->reason[side]));
}

static void run(void)
{
	struct pair p = net_pair();
	pid_t pid = check_fork(play_server, &p);
	struct onload_info info;

	/* The plain reference has no leases to wait for. */
	if (net_preloaded())
		EXPECT(net_info(p.c, &info));
	else
		want_leases = 0;
	close(p.s);
	play(p.c, 0);
	check_wait(pid);
	EXPECT_EQ(shared->received[0], shared->sent[1]);
	EXPECT_EQ(shared->received[1], shared->sent[0]);
}

int main(int argc, char **argv)
{
	int opt, code;

	while ((opt = getopt(argc, argv, "s:l:b:r:d:t:")) != -1) {
		uint64_t value = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (opt) {
		case 's':
			seed = value;
			break;
		case 'l':
			want_leases = value;
			break;
		case 'b':
			want_bytes = value;
			break;
		case 'r':
			raw_permille = value;
			break;
		case 'd':
			disturb_us = value;
			break;
		case 't':
			limit = value;
			break;
		default:
			return CHECK_FAIL;
		}
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return CHECK_FAIL;
	code = check_one("every byte right", run, limit);
	report(0);
	report(1);
	return code;
}
