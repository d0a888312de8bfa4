// SPDX-License-Identifier: GPL-2.0
/*
 * One hostile process: connections, a mapping, threads that write to it and
 * threads that call, and after a while one of the ways that a process ends.
 */
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "hostile.h"

#define NOBODY	     65534
#define SCRIBBLERS   2
#define ACT	     1500 /* operations, at most, between what befalls all */
#define FORKED_CALLS 50

static _Thread_local sigjmp_buf fault;
static _Thread_local volatile sig_atomic_t armed;

static void on_fault(int sig)
{
	if (armed)
		siglongjmp(fault, sig);
	_exit(CHECK_PASS);
}

/* The mapping may go while a thread is at it. */
static void attempt(struct life *l, struct dice *d, union argument *arg)
{
	atomic_fetch_add_explicit(&l->done, 1, memory_order_relaxed);
	if (!sigsetjmp(fault, 0)) {
		armed = 1;
		if (arg)
			call_attack(l, d, arg);
		else
			memory_attack(l, d);
	}
	armed = 0;
}

struct actor {
	struct life *l;
	unsigned int number;
};

static _Noreturn void *act(void *arg)
{
	struct actor *a = arg;
	struct dice d = { pattern_mix(a->l->seed + a->number) };
	union argument *argument = NULL;

	if (a->number < LIFE_CALLERS)
		argument = &a->l->arguments[a->number];
	for (;;) {
		attempt(a->l, &d, argument);
		/* Processors are few, and others have to do the leasing. */
		if (!argument && !dice_roll(&d, 16))
			usleep((useconds_t)dice_roll(&d, 2000));
	}
}

/* A connection that is known as ours before its first segment leaves, or -1 */
int hostile_dial(struct tally *t, const struct addr *to)
{
	struct sockaddr_storage own = { .ss_family = to->sa.ss_family };
	struct sockaddr_in *in = (void *)&own;
	socklen_t len = sizeof(own);
	int fd = net_client_socket();

	EXPECT(!bind(fd, (void *)&own, to->len));
	EXPECT(!getsockname(fd, (void *)&own, &len));
	/* IPv6's port is at the same place. */
	atomic_store(&t->ours[ntohs(in->sin_port)], 1);
	if (!connect(fd, (const void *)&to->sa, to->len))
		return fd;
	close(fd);
	return -1;
}

/* A connection's end, or -1 */
int life_connect(struct life *l)
{
	struct pollfd p = { .fd = l->storm->listener, .events = POLLIN };

	if (!l->accepts)
		return hostile_dial(l->tally, &l->storm->at);
	if (poll(&p, 1, 100) != 1)
		return -1;
	return accept4(p.fd, NULL, NULL, SOCK_NONBLOCK);
}

/* A context and its mappings; false if that was refused */
bool life_map(struct life *l, struct dice *d)
{
	struct onload_context ctx = { .abi = ONLOAD_ABI };
	uint8_t *map;

	ctx.nslots = l->nslots;
	count(l->tally, OP_context);
	for (int i = 0; i < LIFE_CONNS; i++)
		if (!abi_get(atomic_load(&l->fd[i]), ONLOAD_CONTEXT, &ctx,
			     sizeof(ctx)))
			break;
	if (!ctx.map_size)
		return false;
	map = mmap(NULL, ctx.map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   ctx.fd, 0);
	if (map == MAP_FAILED) {
		close(ctx.fd);
		return false;
	}
	l->peers = NULL;
	if (dice_roll(d, 8))
		l->peers = mmap(NULL, ctx.nslots * ctx.wire_stride, PROT_READ,
				MAP_SHARED, ctx.fd, (off_t)ctx.map_size);
	/* Kept open, it keeps a context without a mapping. */
	if (dice_roll(d, 8))
		close(ctx.fd);
	l->a.ctx = ctx;
	l->a.map = map;
	l->a.slots = (struct onload_slot *)(map + ctx.slots_off);
	return true;
}

/* What munmap() and its kin make of a mapping that cannot be taken apart */
static void remap(struct life *l, struct dice *d)
{
	uint64_t size = l->a.ctx.map_size;
	uint64_t at = dice_roll(d, size >> 12) << 12;
	static const int advices[] = { MADV_DONTNEED, MADV_DOFORK,
				       MADV_DODUMP,   MADV_FREE,
				       MADV_REMOVE,   MADV_COLD,
				       MADV_PAGEOUT,  MADV_WIPEONFORK };

	count(l->tally, OP_map);
	switch (dice_roll(d, 6)) {
	case 0:
		munmap(l->a.map + at, 4096);
		break;
	case 1:
		mremap(l->a.map, size, size + 4096, MREMAP_MAYMOVE);
		break;
	case 2:
		madvise(l->a.map, size, advices[dice_roll(d, 8)]);
		break;
	case 3:
		mprotect(l->a.map, size, PROT_READ);
		mprotect(l->a.map, size, PROT_READ | PROT_WRITE);
		break;
	case 4:
		if (l->peers)
			munmap(l->peers, l->nslots * l->a.ctx.wire_stride);
		l->peers = NULL;
		break;
	default:
		/* The end of every lease, and a new beginning */
		munmap(l->a.map, size);
		life_map(l, d);
	}
}

/* A child has the sockets and not the mapping; it may make its own. */
static void beget(struct life *l, struct dice *d)
{
	pid_t pid;

	count(l->tally, OP_fork);
	pid = fork();
	if (pid)
		return;
	if (dice_roll(d, 2))
		life_map(l, d);
	for (int i = 0; i < FORKED_CALLS; i++)
		attempt(l, d, &l->arguments[0]);
	if (dice_roll(d, 2))
		execl("/bin/true", "true", (char *)NULL);
	_exit(CHECK_PASS);
}

static _Noreturn void finish(struct life *l, struct dice *d)
{
	count(l->tally, OP_end);
	switch (dice_roll(d, 6)) {
	case 0:
		munmap(l->a.map, l->a.ctx.map_size);
		usleep(dice_roll(d, 20000));
		break;
	case 1:
		execl("/bin/true", "true", (char *)NULL);
		break;
	case 2:
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		munmap(l->a.map, l->a.ctx.map_size);
		usleep(20000);
		break;
	case 3:
		for (int i = 0; i < LIFE_CONNS; i++)
			close(atomic_load(&l->fd[i]));
		break;
	case 4:
		_exit(CHECK_PASS);
	}
	kill(getpid(), SIGKILL);
	_exit(CHECK_PASS);
}

/* Most lives are those of a user without rights, some of a poor one. */
static void become(struct dice *d)
{
	struct rlimit none = { 0, 0 }, locked;

	setrlimit(RLIMIT_CORE, &none);
	if (!dice_roll(d, 4))
		return;
	locked.rlim_cur = (rlim_t)dice_roll(d, 8) << 20 | 1 << 20;
	locked.rlim_max = locked.rlim_cur;
	setrlimit(RLIMIT_MEMLOCK, &locked);
	EXPECT(!setgroups(0, NULL));
	EXPECT(!setresgid(NOBODY, NOBODY, NOBODY));
	EXPECT(!setresuid(NOBODY, NOBODY, NOBODY));
	/* Else /proc/self and with it much of what can go wrong is root's. */
	prctl(PR_SET_DUMPABLE, 1);
}

/* For good: without rights nobody enters a namespace. */
static void settle(const char *variable)
{
	const char *name = getenv(variable);
	char path[256];
	int fd;

	if (name) {
		snprintf(path, sizeof(path), "/run/netns/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		EXPECT(fd >= 0 && !setns(fd, CLONE_NEWNET));
		close(fd);
	}
	unsetenv("T_CLIENT_NS");
	unsetenv("T_SERVER_NS");
}

void life_run(const struct storm *s, unsigned int number, bool accepts)
{
	struct dice d = { pattern_mix(s->seed ^ pattern_mix(number)) };
	struct sigaction sa = { .sa_handler = on_fault,
				.sa_flags = SA_NODEFER };
	static struct actor actors[LIFE_CALLERS + SCRIBBLERS];
	static struct life l;
	pthread_t thread;

	settle(accepts ? "T_SERVER_NS" : "T_CLIENT_NS");
	become(&d);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	l = (struct life){
		.storm = s,
		.tally = s->tally,
		.seed = d.state,
		.accepts = accepts,
		.nslots = 1 + (uint32_t)dice_roll(&d, LIFE_SLOTS),
	};
	l.arguments = mmap(NULL, LIFE_CALLERS * sizeof(*l.arguments),
			   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			   -1, 0);
	EXPECT(l.arguments != MAP_FAILED);
	for (int i = 0; i < LIFE_CONNS; i++)
		atomic_store(&l.fd[i], life_connect(&l));
	if (!life_map(&l, &d))
		_exit(CHECK_PASS);
	call_leases(&l);
	for (unsigned int i = 0; i < LIFE_CALLERS + SCRIBBLERS; i++) {
		actors[i] = (struct actor){ &l, i };
		EXPECT(!pthread_create(&thread, NULL, act, &actors[i]));
	}
	for (uint64_t n = 1 + dice_roll(&d, 6); n; n--) {
		unsigned long until = l.done + dice_roll(&d, ACT);

		while (atomic_load(&l.done) < until)
			usleep(1000);
		if (!dice_roll(&d, 3))
			remap(&l, &d);
		if (!dice_roll(&d, 5))
			beget(&l, &d);
	}
	finish(&l, &d);
}
