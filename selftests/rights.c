// SPDX-License-Identifier: GPL-2.0
/*
 * Documentation/rights.rst, sentence by sentence: who may do what, and how
 * much. Run as root.
 */
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
#include "check.h"
#include "net.h"

#define NOBODY 65534
#define OTHER  65533

/* Pages of one slot's rings and of what else a context of few slots costs */
#define RINGS	48
#define CONTEXT 3

static void become(uid_t uid, rlim_t locked)
{
	struct rlimit limit = { locked, locked };

	EXPECT(!setrlimit(RLIMIT_MEMLOCK, &limit));
	EXPECT(!setgroups(0, NULL));
	EXPECT(!setresgid(uid, uid, uid));
	EXPECT(!setresuid(uid, uid, uid));
}

/* The answer to a request for a lease that can be given by now, or its errno */
static int ask(int fd, uint32_t slot, struct onload_lease *l)
{
	uint64_t end = net_ms() + 5000;

	do {
		*l = (struct onload_lease){ .abi = ONLOAD_ABI, .slot = slot };
		if (!abi_get(fd, ONLOAD_LEASE, l, sizeof(*l)))
			return 0;
		usleep(2000);
	} while (errno == EAGAIN && net_ms() < end);
	return errno;
}

static bool leased(int fd)
{
	struct onload_info info;

	EXPECT(net_info(fd, &info));
	return info.leased;
}

static void expect_plain(struct pair p)
{
	EXPECT(!leased(p.c));
	net_exchange(p.c, p.s);
}

/* Two ends of a pipe for turns: this process's and its child's */
struct turns {
	int here[2];
	int there[2];
};

static void turns_open(struct turns *t)
{
	EXPECT(!pipe(t->here) && !pipe(t->there));
}

static void turn_give(const struct turns *t, bool child)
{
	EXPECT_EQ(write(child ? t->here[1] : t->there[1], "", 1), 1);
}

static void turn_wait(const struct turns *t, bool child)
{
	char byte;

	EXPECT_EQ(read(child ? t->there[0] : t->here[0], &byte, 1), 1);
}

static void unprivileged(void)
{
	struct pair p = net_pair();
	struct onload_lease l;

	become(NOBODY, (CONTEXT + RINGS) * 4096);
	abi_open(p.c, 1);
	EXPECT_EQ(ask(p.c, 0, &l), 0);
	EXPECT(leased(p.c));
	net_exchange(p.c, p.s);
}

static void memlock_rings(void)
{
	struct pair p = net_pair();
	struct onload_lease l;

	become(NOBODY, (CONTEXT + RINGS - 3) * 4096);
	abi_open(p.c, 1);
	EXPECT_EQ(ask(p.c, 0, &l), ENOBUFS);
	EXPECT_EQ(l.reason, ONLOAD_R_MEMLOCK);
	expect_plain(p);
}

static void memlock_context(void)
{
	struct onload_context ctx = { .abi = ONLOAD_ABI,
				      .nslots = ONLOAD_SLOTS_MAX };
	struct pair p = net_pair();

	become(NOBODY, 64 * 4096);
	EXPECT_ERR(abi_get(p.c, ONLOAD_CONTEXT, &ctx, sizeof(ctx)), ENOBUFS);
	expect_plain(p);
}

struct sharer {
	struct pair p;
	struct turns t;
};

static int sharer_holds(void *arg)
{
	struct sharer *s = arg;
	struct onload_lease l;

	become(NOBODY, (2 * CONTEXT + RINGS) * 4096);
	abi_open(s->p.c, 1);
	EXPECT_EQ(ask(s->p.c, 0, &l), 0);
	turn_give(&s->t, true);
	turn_wait(&s->t, true);
	return CHECK_PASS;
}

/* All processes of a user together; and what has been is forgotten. */
static void memlock_shared(void)
{
	struct sharer s = { .p = net_pair() };
	struct pair p = net_pair();
	struct onload_lease l;
	uint64_t end;
	pid_t pid;
	int err;

	turns_open(&s.t);
	pid = check_fork(sharer_holds, &s);
	turn_wait(&s.t, false);
	become(NOBODY, (2 * CONTEXT + RINGS) * 4096);
	abi_open(p.c, 1);
	EXPECT_EQ(ask(p.c, 0, &l), ENOBUFS);
	EXPECT_EQ(l.reason, ONLOAD_R_MEMLOCK);
	expect_plain(p);
	turn_give(&s.t, false);
	check_wait(pid);
	end = net_ms() + 10000;
	while ((err = ask(p.c, 0, &l))) {
		EXPECT_EQ(err, ENOBUFS);
		EXPECT(net_ms() < end);
		usleep(10000);
	}
}

static void cap_ipc_lock(void)
{
	struct rlimit none = { 0, 0 };
	struct pair p = net_pair();
	struct onload_lease l;

	EXPECT(!setrlimit(RLIMIT_MEMLOCK, &none));
	abi_open(p.c, 1);
	EXPECT_EQ(ask(p.c, 0, &l), 0);
}

/* Of a user namespace of one's own it does not count. */
static void cap_of_namespace(void)
{
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 1 };
	struct pair p = net_pair();

	become(NOBODY, 0);
	if (unshare(CLONE_NEWUSER))
		check_skip("no user namespaces");
	EXPECT_ERR(abi_get(p.c, ONLOAD_CONTEXT, &ctx, sizeof(ctx)), ENOBUFS);
	expect_plain(p);
}

/* rights.sh puts us into a cgroup of 12 MB: more than that is no reason to be
 * killed.
 */
static void memory_cgroup(void)
{
	const char *group = getenv("T_CGROUP");
	struct pair p[80];
	struct onload_lease l;
	char path[256];
	int fd, err = 0, i;

	if (!group)
		check_skip("no memory cgroup");
	for (i = 0; i < 80; i++)
		p[i] = net_pair();
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	fd = open(path, O_WRONLY);
	EXPECT(fd >= 0 && write(fd, "0", 1) == 1);
	close(fd);
	abi_open(p[0].c, 80);
	for (i = 0; i < 80 && !err; i++)
		err = ask(p[i].c, (uint32_t)i, &l);
	EXPECT_EQ(err, ENOMEM);
	EXPECT_EQ(l.reason, ONLOAD_R_NOMEM);
	EXPECT(i > 10);
	expect_plain(p[i - 1]);
}

struct passed {
	int channel[2];
	struct onload_context ctx;
};

/* Another user has the context's descriptor, and a socket of ours. */
static int passed_context(void *arg)
{
	struct passed *s = arg;
	int ctx = net_take_fd(s->channel[1]), fd = net_take_fd(s->channel[1]);
	uint64_t wire = s->ctx.nslots * s->ctx.wire_stride;
	struct onload_lease l;

	become(OTHER, 1 << 20);
	EXPECT(mmap(NULL, s->ctx.map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    ctx, 0) == MAP_FAILED);
	EXPECT_EQ(errno, EPERM);
	EXPECT(mmap(NULL, wire, PROT_READ, MAP_SHARED, ctx,
		    (off_t)s->ctx.map_size) == MAP_FAILED);
	EXPECT_EQ(errno, EPERM);
	EXPECT_EQ(ask(fd, 0, &l), ENXIO);
	/* With a context of its own, and nobody's lease, it may. */
	abi_open(fd, 1);
	EXPECT_EQ(ask(fd, 0, &l), 0);
	return CHECK_PASS;
}

static void context_passed(void)
{
	struct passed s = { .ctx = { .abi = ONLOAD_ABI, .nslots = 1 } };
	struct pair p = net_pair();
	pid_t pid;

	EXPECT(!abi_get(p.c, ONLOAD_CONTEXT, &s.ctx, sizeof(s.ctx)));
	EXPECT(!socketpair(AF_UNIX, SOCK_STREAM, 0, s.channel));
	pid = check_fork(passed_context, &s);
	net_pass_fd(s.channel[0], s.ctx.fd);
	net_pass_fd(s.channel[0], p.c);
	check_wait(pid);
	/* The owner still can. */
	EXPECT(mmap(NULL, s.ctx.map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    s.ctx.fd, 0) != MAP_FAILED);
	net_exchange(p.c, p.s);
}

struct inherited {
	struct pair p;
	struct onload_lease l;
	struct onload_seg seg;
};

static int foreign(void *arg)
{
	struct inherited *s = arg;
	struct onload_handback h = { s->l.generation, ONLOAD_R_LIBRARY };
	struct onload_wait w = { .generation = s->l.generation,
				 .events = ONLOAD_WAIT_IN };
	uint32_t slot = 0;
	char byte;

	become(OTHER, 1 << 20);
	EXPECT_ERR(abi_set(s->p.c, ONLOAD_KICK, &s->seg, sizeof(s->seg)),
		   ESTALE);
	EXPECT_ERR(abi_set(s->p.c, ONLOAD_HANDBACK, &h, sizeof(h)), EPERM);
	EXPECT_ERR(abi_set(s->p.c, ONLOAD_DETACH, &slot, sizeof(slot)), ESTALE);
	EXPECT_ERR(abi_set(s->p.c, ONLOAD_WAIT, &w, sizeof(w)), ESTALE);
	EXPECT(leased(s->p.c));
	/* An ordinary call takes it back, and is Linux's. */
	EXPECT_ERR(recv(s->p.c, &byte, 1, MSG_DONTWAIT), EAGAIN);
	EXPECT(!leased(s->p.c));
	return CHECK_PASS;
}

static void socket_inherited(void)
{
	struct inherited s = { .p = net_pair() };
	struct onload_info info;
	struct abi a;

	a = abi_open(s.p.c, 1);
	s.l = abi_lease(s.p.c, 0);
	s.seg = abi_segment(&a, s.p.c, &s.l, "f", 1);
	check_wait(check_fork(foreign, &s));
	EXPECT(net_info(s.p.c, &info));
	EXPECT_EQ(info.reason, ONLOAD_R_FOREIGN);
	/* What had been committed is sent, as ever. */
	net_recv(s.p.s, &(char){ 0 }, 1);
}

/* The rules are those of the socket's namespace, whoever holds it. */
static void other_namespace(void)
{
	struct pair p = net_pair();
	struct onload_lease l;
	struct onload_seg seg;
	char command[300];
	struct abi a;

	snprintf(command, sizeof(command),
		 "ip netns exec %s nft 'add table inet t; "
		 "add chain inet t output "
		 "{ type filter hook output priority 0; }; "
		 "add rule inet t output tcp flags psh counter'",
		 getenv("T_SERVER_NS"));
	EXPECT(!system(command));
	a = abi_open(p.s, 1);
	l = abi_lease(p.s, 0);
	seg = abi_segment(&a, p.s, &l, "n", 1);
	EXPECT_EQ(abi_set(p.s, ONLOAD_KICK, &seg, sizeof(seg)), 1);
	net_recv(p.c, &(char){ 0 }, 1);
	snprintf(command, sizeof(command),
		 "ip netns exec %s nft list table inet t | "
		 "grep -q 'counter packets 1 '; r=$?; "
		 "ip netns exec %s nft delete table inet t; exit $r",
		 getenv("T_SERVER_NS"), getenv("T_SERVER_NS"));
	EXPECT(!system(command));
}

static void setuid_exec(void)
{
	const char *program = getenv("T_SETUID");
	struct pair p = net_pair();
	char fd[16];
	pid_t pid;

	EXPECT(program);
	snprintf(fd, sizeof(fd), "%d", p.c);
	pid = fork();
	EXPECT(pid >= 0);
	if (!pid) {
		become(NOBODY, 1 << 20);
		abi_open(p.c, 1);
		abi_lease(p.c, 0);
		execl(program, program, "--inherited", fd, (char *)NULL);
		_exit(CHECK_FAIL);
	}
	net_send(p.s, "s", 1);
	net_recv(p.s, &(char){ 0 }, 1);
	check_wait(pid);
}

/* The new program: root's rights, and no way to the old one's memory */
static int setuid_child(int fd)
{
	uint64_t end = net_ms() + 5000;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");

	EXPECT_EQ(geteuid(), 0);
	EXPECT_EQ(getuid(), NOBODY);
	while (fgets(line, sizeof(line), maps))
		EXPECT(!strstr(line, "onload]"));
	fclose(maps);
	while (leased(fd)) {
		EXPECT(net_ms() < end);
		usleep(1000);
	}
	net_recv(fd, line, 1);
	net_send(fd, line, 1);
	return CHECK_PASS;
}

struct tracee {
	struct pair p;
	struct turns t;
	struct abi *a; /* shared */
};

static int tracee(void *arg)
{
	struct tracee *s = arg;

	*s->a = abi_open(s->p.c, 1);
	abi_lease(s->p.c, 0);
	/* A page of the mapping that is there */
	s->a->slots[0].need_wake = 1;
	turn_give(&s->t, true);
	turn_wait(&s->t, true);
	return CHECK_PASS;
}

static void traced(void)
{
	struct tracee s = { .p = net_pair() };
	struct iovec here, there;
	uint64_t word = 0, end;
	char path[64];
	void *slot;
	pid_t pid;
	int fd;

	s.a = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(s.a != MAP_FAILED);
	turns_open(&s.t);
	pid = check_fork(tracee, &s);
	turn_wait(&s.t, false);
	slot = s.a->slots;
	here = (struct iovec){ &word, sizeof(word) };
	there = (struct iovec){ slot, sizeof(word) };

	EXPECT(!ptrace(PTRACE_ATTACH, pid, NULL, NULL));
	EXPECT_EQ(waitpid(pid, NULL, 0), pid);
	errno = 0;
	EXPECT_ERR(ptrace(PTRACE_PEEKDATA, pid, slot, NULL), EIO);
	EXPECT_ERR(ptrace(PTRACE_POKEDATA, pid, slot, NULL), EIO);
	EXPECT_ERR(process_vm_readv(pid, &here, 1, &there, 1, 0), EFAULT);
	EXPECT_ERR(process_vm_writev(pid, &here, 1, &there, 1, 0), EFAULT);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	EXPECT(fd >= 0);
	EXPECT_ERR(pread(fd, &word, sizeof(word), (off_t)(intptr_t)slot), EIO);
	EXPECT_ERR(pwrite(fd, &word, sizeof(word), (off_t)(intptr_t)slot), EIO);

	/* Stopped, it keeps no connection from going on. */
	EXPECT(leased(s.p.c));
	net_send(s.p.s, "t", 1);
	end = net_ms() + 10000;
	while (leased(s.p.c)) {
		EXPECT(net_ms() < end);
		usleep(1000);
	}
	EXPECT(!ptrace(PTRACE_DETACH, pid, NULL, NULL));
	net_recv(s.p.c, &word, 1);
	turn_give(&s.t, false);
	check_wait(pid);
}

/* VM_IO, not inherited, not dumped, does not grow; nor does it come apart. */
static void mapping_flags(void)
{
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 1);
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512], at[32];
	bool ours = false;
	int seen = 0;

	EXPECT(smaps);
	snprintf(at, sizeof(at), "%lx-", (unsigned long)a.map);
	while (fgets(line, sizeof(line), smaps)) {
		if (strstr(line, "-") && strstr(line, "onload]"))
			ours = !strncmp(line, at, strlen(at));
		if (!ours || strncmp(line, "VmFlags:", 8))
			continue;
		EXPECT(strstr(line, " io ") && strstr(line, " dc ") &&
		       strstr(line, " de ") && strstr(line, " dd "));
		seen++;
		ours = false;
	}
	fclose(smaps);
	EXPECT_EQ(seen, 1);
	EXPECT_ERR(munmap(a.map, 4096), EINVAL);
	EXPECT_ERR(madvise(a.map, a.ctx.map_size, MADV_DOFORK), EINVAL);
	EXPECT(mprotect(a.map, a.ctx.map_size, PROT_READ | PROT_EXEC));
	EXPECT_EQ(errno, EACCES);
	abi_lease(p.c, 0);
	net_exchange(p.c, p.s);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
static const struct check checks[] = {
	CHECK(unprivileged),	CHECK(memlock_rings),  CHECK(memlock_context),
	CHECK(memlock_shared),	CHECK(cap_ipc_lock),   CHECK(cap_of_namespace),
	CHECK(memory_cgroup),	CHECK(context_passed), CHECK(socket_inherited),
	CHECK(other_namespace), CHECK(setuid_exec),    CHECK(traced),
	CHECK(mapping_flags),
};

int main(int argc, char **argv)
{
	net_family_onload = true;
	if (argc == 3 && !strcmp(argv[1], "--inherited"))
		return setuid_child(atoi(argv[2]));
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 1 ? argv[1] : NULL);
}
