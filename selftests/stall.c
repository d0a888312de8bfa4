// SPDX-License-Identifier: GPL-2.0
/*
 * stall [NAME]: the application stops calling while the connection needs it.
 * The kernel must finish what is under way. Each check says how long that
 * took; stall.sh compares with plain sockets.
 *
 * "stall busy" is about an application that calls elsewhere.
 *
 * T_DROP and T_PASS are commands that make the server lose what comes in, and
 * stop that.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "check.h"
#include "net.h"
#include "pattern.h"

#define SEED   9
#define BULK   60000
#define ROUNDS 5000 /* seconds, where a lease needs milliseconds */
#define TERM   500  /* ms; stall.sh sets it for "busy" */

/* The client's process plays a part and stalls; the server's is the judge. */
static struct shared {
	_Atomic uint64_t sent; /* what the client's send() returned for */
	_Atomic int stage;
	_Atomic bool leased; /* the server's end */
} * shared;

enum { BEGIN, WARM, GO, STALLED };

static char bulk[BULK];

static void reach(int stage)
{
	atomic_store(&shared->stage, stage);
}

static void await(int stage)
{
	uint64_t end = net_ms() + 30000;

	while (atomic_load(&shared->stage) < stage) {
		EXPECT(net_ms() < end);
		usleep(500);
	}
}

static bool leased(int fd)
{
	struct onload_info info;

	return !net_preloaded() || (net_info(fd, &info) && info.leases);
}

/* Round trips until both ends are leased; the first side says which is last. */
static void warm(int fd, bool first)
{
	char byte = 'w';

	for (int i = 0; byte == 'w'; i++) {
		EXPECT(i < ROUNDS);
		if (first) {
			byte = atomic_load(&shared->leased) && leased(fd) ? 'x'
									  : 'w';
			net_send(fd, &byte, 1);
		}
		net_recv(fd, &byte, 1);
		if (first) {
			usleep(1000);
			continue;
		}
		atomic_store(&shared->leased, leased(fd));
		net_send(fd, &byte, 1);
	}
}

/* The library is not entered again. */
static _Noreturn void stall(bool compute)
{
	reach(STALLED);
	while (compute)
		;
	for (;;)
		raise(SIGSTOP);
}

static void send_pattern(int fd, uint64_t amount, int flags)
{
	uint64_t pos = 0;

	while (pos < amount) {
		size_t len = amount - pos < BULK ? amount - pos : BULK;
		ssize_t n;

		pattern_fill(bulk, len, SEED, pos);
		n = send(fd, bulk, len, flags);
		if (n < 0) {
			EXPECT_EQ(errno, EAGAIN);
			return;
		}
		EXPECT(n);
		pos += n;
		atomic_store(&shared->sent, pos);
	}
}

/* All that the client's send() returned for. */
static void read_all(int fd)
{
	uint64_t pos = 0;

	while (pos < atomic_load(&shared->sent)) {
		ssize_t n = recv(fd, bulk, BULK, 0);

		EXPECT(n > 0);
		EXPECT_EQ(pattern_right(bulk, n, SEED, pos), n);
		pos += n;
	}
	EXPECT_EQ(pos, atomic_load(&shared->sent));
}

static struct pair pair;

static int start(int (*client)(void *), pid_t *pid)
{
	pair = net_pair();
	atomic_store(&shared->leased, false);
	reach(BEGIN);
	*pid = check_fork(client, NULL);
	close(pair.c);
	warm(pair.s, false);
	return pair.s;
}

static int client_end(void)
{
	close(pair.s);
	warm(pair.c, true);
	return pair.c;
}

static void took(const char *name, uint64_t since)
{
	check_note("%s took %llu ms", name,
		   (unsigned long long)(net_ms() - since));
}

static int sends_and_stops(void *arg)
{
	send_pattern(client_end(), BULK, 0);
	stall(false);
}

/* Bytes are on the way, and their sender sleeps. */
static void stopped_sender(void)
{
	pid_t pid;
	int fd = start(sends_and_stops, &pid);
	uint64_t begin;

	await(STALLED);
	begin = net_ms();
	read_all(fd);
	took(__func__, begin);
	kill(pid, SIGKILL);
	net_expect_eof(fd);
}

static int sends_and_computes(void *arg)
{
	send_pattern(client_end(), BULK, 0);
	stall(true);
}

static void computing_sender(void)
{
	pid_t pid;
	int fd = start(sends_and_computes, &pid);
	uint64_t begin;

	await(STALLED);
	begin = net_ms();
	read_all(fd);
	took(__func__, begin);
	kill(pid, SIGKILL);
	net_expect_eof(fd);
}

static int fills_and_stops(void *arg)
{
	send_pattern(client_end(), UINT64_MAX, MSG_DONTWAIT);
	stall(false);
}

/* The peer's window has closed over what send() took; nobody asks again. */
static void closed_window(void)
{
	pid_t pid;
	int fd = start(fills_and_stops, &pid);
	uint64_t begin;

	await(STALLED);
	usleep(1500000);
	begin = net_ms();
	read_all(fd);
	took(__func__, begin);
	kill(pid, SIGKILL);
	net_expect_eof(fd);
}

static int sends_much(void *arg)
{
	int fd = client_end();

	reach(GO);
	send_pattern(fd, 150ull * BULK, 0);
	reach(STALLED);
	return CHECK_PASS;
}

/* The sender sleeps in send() over a closed window, which opens. */
static void reopened_window(void)
{
	uint64_t begin, pos = 0;
	pid_t pid;
	int fd = start(sends_much, &pid);

	await(GO);
	usleep(1500000);
	EXPECT(atomic_load(&shared->stage) == GO);
	begin = net_ms();
	while (pos < 150ull * BULK) {
		ssize_t n = recv(fd, bulk, BULK, 0);

		EXPECT(n > 0);
		EXPECT_EQ(pattern_right(bulk, n, SEED, pos), n);
		pos += n;
	}
	took(__func__, begin);
	check_wait(pid);
	net_expect_eof(fd);
}

static void shell(const char *variable)
{
	const char *now = getenv("LD_PRELOAD");
	char *preload = now ? strdup(now) : NULL;

	unsetenv("LD_PRELOAD");
	EXPECT_EQ(system(getenv(variable)), 0);
	if (preload)
		setenv("LD_PRELOAD", preload, 1);
	free(preload);
}

static int sends_when_told(void *arg)
{
	int fd = client_end();

	reach(WARM);
	await(GO);
	send_pattern(fd, 1000, 0);
	stall(false);
}

/* Nothing behind the lost segment tells of its loss. */
static void lost_last_segment(void)
{
	uint64_t begin;
	pid_t pid;
	int fd;

	if (!getenv("T_DROP") || !getenv("T_PASS"))
		check_skip("T_DROP and T_PASS are not set");
	fd = start(sends_when_told, &pid);
	await(WARM);
	shell("T_DROP");
	begin = net_ms();
	reach(GO);
	await(STALLED);
	usleep(50000);
	EXPECT(!net_readable(fd, 0));
	shell("T_PASS");
	read_all(fd);
	took(__func__, begin);
	kill(pid, SIGKILL);
	net_expect_eof(fd);
}

static void await_acknowledgement(int fd)
{
	uint64_t end = net_ms() + 10000;
	int left;

	do {
		EXPECT(!ioctl(fd, SIOCOUTQ, &left));
		EXPECT(net_ms() < end);
		usleep(500);
	} while (left);
}

static int reads_and_stops(void *arg)
{
	int fd = client_end();

	reach(WARM);
	net_recv(fd, bulk, 1000);
	stall(false);
}

/* The reader owes an acknowledgement and does nothing any more. */
static void owed_acknowledgement(void)
{
	uint64_t begin;
	pid_t pid;
	int fd = start(reads_and_stops, &pid);

	await(WARM);
	begin = net_ms();
	net_send(fd, bulk, 1000);
	await(STALLED);
	await_acknowledgement(fd);
	took(__func__, begin);
	kill(pid, SIGKILL);
	net_expect_eof(fd);
}

static int only_stops(void *arg)
{
	client_end();
	stall(false);
}

/* Bytes that arrive while the reader is stopped are acknowledged, too. */
static void stopped_reader(void)
{
	uint64_t begin;
	pid_t pid;
	int fd = start(only_stops, &pid);

	await(STALLED);
	usleep(100000);
	begin = net_ms();
	net_send(fd, bulk, 20000);
	await_acknowledgement(fd);
	took(__func__, begin);
}

/* Two leased connections; the second one's server never reads. */
static struct pair neglected;

/* Round trips on the first one until the second one's lease has ended. */
static int serves_one(void *arg)
{
	char byte;

	close(pair.c);
	close(neglected.c);
	warm(pair.s, false);
	atomic_store(&shared->leased, false);
	warm(neglected.s, false);
	reach(WARM);
	while (recv(pair.s, &byte, 1, 0) > 0)
		net_send(pair.s, &byte, 1);
	return CHECK_PASS;
}

static int reclaims(int fd)
{
	struct onload_info info;

	return net_info(fd, &info) ? (int)info.reclaims : 0;
}

/* A process that is busy with one connection has longer for another one; but
 * not for ever.
 */
static void busy_with_another(void)
{
	uint64_t begin, gap = 0, last;
	bool early = false;
	char byte = 'b';
	pid_t pid;
	int before;

	pair = net_pair();
	neglected = net_pair();
	atomic_store(&shared->leased, false);
	reach(BEGIN);
	pid = check_fork(serves_one, NULL);
	/* To ask a socket about its lease is no reason to end it. */
	warm(pair.c, true);
	warm(neglected.c, true);
	await(WARM);
	before = reclaims(neglected.s);
	begin = last = net_ms();
	net_send(neglected.c, &byte, 1);
	while (reclaims(neglected.s) == before) {
		net_send(pair.c, &byte, 1);
		net_recv(pair.c, &byte, 1);
		if (net_ms() - last > gap)
			gap = net_ms() - last;
		last = net_ms();
		EXPECT(last - begin < 30000);
	}
	/* On a machine that is busy itself, the server was not. */
	early = last - begin < 2 * TERM;
	check_note("reclaimed after %llu ms, longest gap %llu ms",
		   (unsigned long long)(last - begin), (unsigned long long)gap);
	EXPECT(!early || gap > TERM / 2);
	shutdown(pair.c, SHUT_WR);
	check_wait(pid);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
static const struct check checks[] = {
	CHECK(stopped_sender),	  CHECK(computing_sender),
	CHECK(closed_window),	  CHECK(reopened_window),
	CHECK(lost_last_segment), CHECK(owed_acknowledgement),
	CHECK(stopped_reader),
};

/* Only of leases, with a term of their own: net.onload.lease_term_ms=TERM */
static const struct check busy[] = {
	CHECK(busy_with_another),
};

int main(int argc, char **argv)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return CHECK_FAIL;
	if (argc > 1 && !strcmp(argv[1], "busy"))
		return check_all(busy, 1, NULL);
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 1 ? argv[1] : NULL);
}
