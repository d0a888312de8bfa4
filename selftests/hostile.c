// SPDX-License-Identifier: GPL-2.0
/*
 * A storm of hostile processes, one life after the other, each with leased
 * connections, threads that scribble over the mapping and threads that call.
 *
 *   -s SEED	what chance decides follows from it; default: random. The
 *		first line of the output says it.
 *   -t SECONDS	how long; default 20
 *   -l LIFE	only this life, again and again
 *   -w		wires: the other ends are hostile, too
 *   -6		IPv6
 *
 * Meanwhile, in a process of its own, a well-behaved pair under the library
 * must not lose a byte; and in the namespace of the other ends, nothing may be
 * seen but segments of these connections. What the kernel thinks of it all is
 * in its log.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "hostile.h"

#define LIVES	 2     /* at a time, of each kind */
#define LIFE_MAX 10000 /* ms, then it is killed */
#define PATIENCE 60000 /* ms, for the witness before and after the storm */

static struct storm storm = { .seconds = 20 };
static long only = -1;
static const char *self;

static struct tally *tally_open(int *fd)
{
	struct tally *t;

	if (*fd < 0) {
		*fd = memfd_create("tally", 0);
		EXPECT(*fd >= 0 && !ftruncate(*fd, sizeof(*t)));
	}
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	EXPECT(t != MAP_FAILED);
	return t;
}

static int witness_exec(void *arg)
{
	char seed[32], memory[16];

	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)storm.seed);
	snprintf(memory, sizeof(memory), "%d", storm.memory);
	execlp("onload", "onload", self, "-W", memory, "-s", seed,
	       net_ipv6 ? "-6" : (char *)NULL, (char *)NULL);
	check_fail(__FILE__, __LINE__, "cannot run onload: %s",
		   strerror(errno));
}

struct nursery {
	pid_t pid;
	uint64_t until;
	bool accepts;
};

static void born(struct nursery *n, unsigned int number)
{
	n->until = net_ms() + LIFE_MAX;
	n->pid = fork();
	EXPECT(n->pid >= 0);
	if (!n->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		life_run(&storm, only < 0 ? number : (unsigned int)only,
			 n->accepts);
	}
}

/* How a life ends says nothing, unless a check of its own failed. */
static void died(pid_t pid, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHECK_FAIL)
		check_fail(__FILE__, __LINE__, "life %d failed", (int)pid);
}

static unsigned int live(void)
{
	uint64_t end = net_ms() + storm.seconds * 1000ull;
	struct nursery all[2 * LIVES] = {};
	size_t kinds = storm.wire ? 2 : 1;
	unsigned int lives = 0;
	int status;

	while (net_ms() < end) {
		for (size_t i = 0; i < LIVES * kinds; i++) {
			struct nursery *n = &all[i];

			if (n->pid && net_ms() > n->until)
				kill(n->pid, SIGKILL);
			if (n->pid &&
			    waitpid(n->pid, &status, WNOHANG) == n->pid) {
				died(n->pid, status);
				n->pid = 0;
			}
			n->accepts = i >= LIVES;
			if (!n->pid)
				born(n, lives++);
		}
		usleep(5000);
	}
	for (size_t i = 0; i < LIVES * kinds; i++) {
		kill(all[i].pid, SIGKILL);
		waitpid(all[i].pid, &status, 0);
	}
	return lives;
}

static void report(const struct tally *t, unsigned int lives)
{
	static const char *const names[] = {
#define X(name) #name,
		HOSTILE_OPS(X)
#undef X
	};
	char text[400] = "";
	unsigned long sum = 0;

	for (int i = 0; i < OP_MAX; i++) {
		size_t at = strlen(text);

		sum += t->ops[i];
		snprintf(text + at, sizeof(text) - at, " %s %lu", names[i],
			 t->ops[i]);
	}
	check_note("operations:%s", text);
	check_note("total: %lu hostile operations", sum);
	check_note("in %u lives, %lu leases, %lu packets captured, %lu not "
		   "(seed %llu)",
		   lives, t->leases, t->captured, t->dropped,
		   (unsigned long long)storm.seed);
}

/* A poor user's context: there is room only if nothing has been left charged. */
static int again(void *arg)
{
	struct rlimit locked = { 80 * 4096, 80 * 4096 };
	struct pair p = net_pair();

	EXPECT(!setrlimit(RLIMIT_MEMLOCK, &locked));
	EXPECT(!setresuid(65534, 65534, 65534));
	abi_open(p.c, 1);
	abi_lease(p.c, 0);
	net_exchange(p.c, p.s);
	return CHECK_PASS;
}

static void storm_check(void)
{
	pid_t witness, peer = 0, capture;
	struct tally *t = storm.tally;
	uint64_t end;
	unsigned int lives;
	int status;

	storm.listener = net_listen(&storm.at);
	/* Pending connections of the dead must not keep the living waiting. */
	EXPECT(!fcntl(storm.listener, F_SETFL, O_NONBLOCK));
	capture = check_fork(capture_run, &storm);
	witness = check_fork(witness_exec, NULL);
	if (!storm.wire)
		peer = check_fork(peer_run, &storm);
	end = net_ms() + PATIENCE;
	while (!atomic_load(&t->ready)) {
		EXPECT(net_ms() < end && !waitpid(witness, &status, WNOHANG));
		usleep(10000);
	}
	lives = live();
	atomic_store(&t->over, true);

	end = net_ms() + PATIENCE;
	while (!waitpid(witness, &status, WNOHANG)) {
		EXPECT(net_ms() < end);
		usleep(10000);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		check_fail(__FILE__, __LINE__, "the witness: status %d",
			   status);
	if (peer)
		check_wait(peer);
	check_wait(capture);
	report(t, lives);
	EXPECT_EQ(t->alien, 0);
	EXPECT(t->captured && t->leases);
	close(storm.listener);
	check_wait(check_fork(again, NULL));
}

int main(int argc, char **argv)
{
	struct timespec now;
	int opt, memory = -1;

	clock_gettime(CLOCK_REALTIME, &now);
	storm.seed = (uint64_t)now.tv_nsec / 1000;
	self = argv[0];
	while ((opt = getopt(argc, argv, "s:t:l:W:w6")) != -1) {
		switch (opt) {
		case 's':
			storm.seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			storm.seconds = (unsigned int)atoi(optarg);
			break;
		case 'l':
			only = atol(optarg);
			break;
		case 'w':
			storm.wire = true;
			break;
		case '6':
			net_ipv6 = true;
			break;
		case 'W':
			memory = atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (memory >= 0)
		return witness_run(tally_open(&memory), storm.seed);
	net_family_onload = true;
	check_note("seed %llu", (unsigned long long)storm.seed);
	storm.memory = -1;
	storm.tally = tally_open(&storm.memory);
	return check_one("storm", storm_check, storm.seconds + 120);
}
