// SPDX-License-Identifier: GPL-2.0
/*
 * kill [-n DEATHS] [-s SEED] [-w DEATHS]
 *
 * A process sends, and counts in memory that outlives it what send() returned
 * for. It dies at a random instant: by kill -9, by exec, by _exit, by a fault,
 * by unmapping what it shares with the kernel. Its peer must get at least
 * those bytes, right, and then the end of the stream.
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "net.h"
#include "pattern.h"

#define BATCH	    8
#define LIFE_US	    40000
#define MESSAGE_MAX 20000
#define WARM	    10
#define WARM_MAX    1000 /* ms, where a lease needs some ten */

enum death { KILL, EXEC, EXIT, FAULT, UNMAP, DEATHS };
static const char *const names[DEATHS] = { "kill", "exec", "exit", "fault",
					   "unmap" };

static unsigned int deaths = 1000, want_wired;
static uint64_t seed = 1;

static struct victim {
	_Atomic uint64_t sent;
	_Atomic uint32_t path;
} * victims;

struct life {
	enum death how;
	uint64_t us;
};

/* What the library shares with the kernel, if there is a library */
static void unmap_contexts(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "[onload]") &&
		    sscanf(line, "%lx-%lx", &from, &to) == 2)
			munmap((void *)from, to - from);
	usleep(2000);
}

static void *reaper(void *arg)
{
	volatile int *volatile nowhere = NULL;
	struct life *life = arg;

	usleep(life->us);
	switch (life->how) {
	case EXEC:
		execl("/bin/true", "true", (char *)NULL);
		break;
	case EXIT:
		_exit(0);
	case FAULT:
		*nowhere = 0;
		break;
	case UNMAP:
		unmap_contexts();
		break;
	default:
		break;
	}
	kill(getpid(), SIGKILL);
	return NULL;
}

/* By turns at first: a lease needs a quiet connection, and a grace period. */
static void warm(int fd)
{
	struct onload_info info = { 0 };
	char byte = 'w';

	for (int i = 0; byte == 'w'; i++) {
		if (i >= WARM) {
			if (!net_preloaded() || i > WARM_MAX ||
			    (net_info(fd, &info) && info.leased))
				byte = 'x';
			else
				usleep(1000);
		}
		net_send(fd, &byte, 1);
		net_recv(fd, &byte, 1);
	}
}

static _Noreturn void live(int fd, unsigned int index, struct life life)
{
	struct victim *v = &victims[index];
	struct dice d = { seed << 32 | index };
	uint64_t pos = 0, ops = 0;
	static char buf[MESSAGE_MAX];
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	warm(fd);
	if (life.how != KILL)
		EXPECT(!pthread_create(&t, NULL, reaper, &life));
	for (;; ops++) {
		size_t len = dice_size(&d, MESSAGE_MAX);
		struct onload_info info;
		ssize_t n;

		pattern_fill(buf, len, index, pos);
		n = send(fd, buf, len, 0);
		EXPECT(n > 0);
		pos += n;
		atomic_store(&v->sent, pos);
		memset(buf, 0, len);
		if (!(ops % 4) && net_info(fd, &info))
			atomic_store(&v->path, info.leased);
		if (!dice_roll(&d, 3))
			usleep(dice_roll(&d, 3000));
	}
}

struct watched {
	unsigned int index;
	int fd;
	pid_t pid;
	uint64_t got;
	enum death how;
	uint64_t end_ms; /* when KILL strikes */
};

static void read_some(struct watched *w, size_t len, int flags)
{
	static char buf[65536];
	ssize_t n = recv(w->fd, buf, len, flags);

	if (n < 0 && errno == EAGAIN)
		return;
	/* No plain socket would be reset: its process had nothing to read. */
	if (n < 0)
		check_fail(__FILE__, __LINE__,
			   "%u (%s): %s after %llu bytes of %llu", w->index,
			   names[w->how], strerrorname_np(errno),
			   (unsigned long long)w->got,
			   (unsigned long long)victims[w->index].sent);
	if (pattern_right(buf, n, w->index, w->got) != (size_t)n)
		check_fail(__FILE__, __LINE__,
			   "%u (%s): wrong byte among %zd from %llu", w->index,
			   names[w->how], n, (unsigned long long)w->got);
	w->got += n;
	if (!n) {
		close(w->fd);
		w->fd = -1;
	}
}

static void start(struct watched *w, unsigned int index, struct dice *d)
{
	struct life life = { .how = index % DEATHS,
			     .us = dice_roll(d, LIFE_US) };
	struct pair p = net_pair();
	char byte;

	*w = (struct watched){ .index = index, .fd = p.s, .how = life.how };
	w->pid = fork();
	EXPECT(w->pid >= 0);
	if (!w->pid) {
		close(p.s);
		live(p.c, index, life);
	}
	close(p.c);
	do {
		net_recv(p.s, &byte, 1);
		net_send(p.s, &byte, 1);
	} while (byte == 'w');
	w->end_ms = net_ms() + life.us / 1000;
}

static void attend(struct watched *w, unsigned int n, struct dice *d)
{
	unsigned int alive = n, open = n;
	uint64_t late = net_ms() + 30000;

	while (alive || open) {
		usleep(500);
		for (unsigned int i = 0; i < n; i++) {
			if (w[i].pid && w[i].how == KILL &&
			    net_ms() >= w[i].end_ms)
				kill(w[i].pid, SIGKILL);
			if (w[i].pid && waitpid(w[i].pid, NULL, WNOHANG)) {
				w[i].pid = 0;
				alive--;
			}
			if (w[i].fd < 0 || dice_roll(d, 2))
				continue;
			read_some(&w[i], dice_size(d, 65536), MSG_DONTWAIT);
			open -= w[i].fd < 0;
		}
		if (net_ms() > late)
			check_fail(__FILE__, __LINE__,
				   "%u alive and %u open after 30 s", alive,
				   open);
	}
}

static void run(void)
{
	struct watched w[BATCH];
	struct dice d = { seed };
	unsigned int leased = 0, wired = 0;
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < deaths;) {
		unsigned int n = deaths - i < BATCH ? deaths - i : BATCH;

		for (unsigned int k = 0; k < n; k++)
			start(&w[k], i + k, &d);
		attend(w, n, &d);
		for (unsigned int k = 0; k < n; k++) {
			struct victim *v = &victims[i + k];

			if (w[k].got < v->sent)
				check_fail(__FILE__, __LINE__,
					   "%u (%s): got %llu, sent %llu",
					   w[k].index, names[w[k].how],
					   (unsigned long long)w[k].got,
					   (unsigned long long)v->sent);
			leased += v->path != ONLOAD_PATH_KERNEL;
			wired += v->path == ONLOAD_PATH_WIRE;
			bytes += v->sent;
		}
		i += n;
	}
	check_note(
		"%u deaths, %u with a lease, %u of them on a wire, %llu bytes",
		deaths, leased, wired, (unsigned long long)bytes);
	if (net_preloaded())
		EXPECT(leased >= deaths / 8);
	EXPECT(wired >= want_wired);
}

int main(int argc, char **argv)
{
	char name[64];
	int opt;

	while ((opt = getopt(argc, argv, "n:s:w:")) != -1) {
		switch (opt) {
		case 'n':
			deaths = strtoul(optarg, NULL, 0);
			break;
		case 'w': /* at least so many on a wire */
			want_wired = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		default:
			return CHECK_FAIL;
		}
	}
	victims = mmap(NULL, deaths * sizeof(*victims), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (victims == MAP_FAILED)
		return CHECK_FAIL;
	snprintf(name, sizeof(name), "%u deaths lose nothing", deaths);
	return check_one(name, run, 900);
}
