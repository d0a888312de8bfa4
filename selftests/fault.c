// SPDX-License-Identifier: GPL-2.0
/*
 * fault [CHECK]: takes away, in call after call of the module, each single
 * thing that it asks the kernel for: allocations of slabs and pages, copies
 * from and to the user. By /proc/self/fail-nth, first the first one,
 * then the second, until a call asks for no more. The setting of
 * debugfs that makes all of them eligible is fault.sh's.
 *
 * What a failure may do: refuse a lease, fail the call with an errno that
 * says so. What it may not: take a byte from a stream, or outlast itself.
 *
 * fault load MODULE: the same with the loading of the module.
 */
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
#include "check.h"
#include "net.h"
#include "pattern.h"

#define SEED	   42
#define MANY	   1000000u
#define PART	   3000u
#define WATCH_RUNS 24u

static unsigned int injected;
static unsigned int fins_lost;
static const char *module_path;

static int nth_file(void)
{
	static int fd = -1;
	static pid_t owner;

	if (owner != getpid()) {
		owner = getpid();
		fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	}
	if (fd < 0)
		check_skip("a kernel without fault injection");
	return fd;
}

/* From here on this thread's @n-th request fails. */
static void arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	EXPECT_EQ(pwrite(nth_file(), text, len, 0), len);
}

/* How many requests are left before that; 0: it has failed. The look is itself
 * a copy to the user, and can be the one that fails.
 */
static unsigned int disarm(void)
{
	char text[16] = "";
	unsigned int left;

	left = pread(nth_file(), text, sizeof(text) - 1, 0) < 0 ? 1
								: atoi(text);
	while (pwrite(nth_file(), "0", 1, 0) != 1)
		;
	injected += !left;
	return left;
}

/* What may be said of a request that was not granted */
static bool excuse(int err)
{
	switch (err) {
	case ENOMEM:
	case ENOBUFS:
	case ENFILE:
	case EFAULT:
	case EAGAIN:
		return true;
	default:
		return false;
	}
}

#define EXPECT_EXCUSE(ret)                                                   \
	do {                                                                 \
		if ((ret) < 0 && !excuse(errno))                             \
			check_fail(__FILE__, __LINE__, "%s: errno %s", #ret, \
				   strerrorname_np(errno));                  \
	} while (0)

static void report(unsigned int n)
{
	check_note("%u faults injected in %u runs", injected, n);
	EXPECT(injected > 0);
}

/* Runs @once with its first, second... request failing until none is left. */
static void sweep(unsigned int (*once)(unsigned int n))
{
	unsigned int n = 1;

	while (!once(n))
		n++;
	report(n);
}

static unsigned int one_socket(unsigned int n, int protocol)
{
	unsigned int left;
	int fd, err;

	arm(n);
	fd = socket(AF_ONLOAD, SOCK_STREAM, protocol);
	err = errno;
	left = disarm();
	errno = err;
	EXPECT_EXCUSE(fd);
	if (fd >= 0)
		close(fd);
	return left;
}

static unsigned int one_socket4(unsigned int n)
{
	return one_socket(n, 0);
}

static unsigned int one_socket6(unsigned int n)
{
	return one_socket(n, ONLOADPROTO_TCP6);
}

static void sockets(void)
{
	sweep(one_socket4);
	sweep(one_socket6);
}

/* A context that could not be had, or not be told of, is none. */
static unsigned int one_context(unsigned int n)
{
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 1024 };
	int fd = net_client_socket();
	unsigned int left;
	int next, ret, err;

	nth_file();
	next = dup(fd);
	close(next);
	arm(n);
	ret = abi_get(fd, ONLOAD_CONTEXT, &ctx, sizeof(ctx));
	err = errno;
	left = disarm();
	errno = err;
	EXPECT_EXCUSE(ret);
	/* Made, but the number could not be copied out */
	close(next);
	close(fd);
	return left;
}

static void contexts(void)
{
	sweep(one_context);
}

static unsigned int one_mapping(unsigned int n)
{
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 4 };
	int fd = net_client_socket();
	unsigned int left;
	void *map;
	int err;

	EXPECT(!abi_get(fd, ONLOAD_CONTEXT, &ctx, sizeof(ctx)));
	arm(n);
	map = mmap(NULL, ctx.map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   ctx.fd, 0);
	err = errno;
	left = disarm();
	errno = err;
	if (map == MAP_FAILED)
		EXPECT(excuse(errno));
	else
		EXPECT(!munmap(map, ctx.map_size));
	close(ctx.fd);
	close(fd);
	return left;
}

static void mappings(void)
{
	sweep(one_mapping);
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	EXPECT(!ioctl(fd, SIOCSIFFLAGS, &ifr));
	close(fd);
}

/* Each in a process of its own, which is in no state from the one before.
 * Its exit status says whether something was left, by CHECK_SKIP.
 */
static unsigned int apart(int (*once)(void *), unsigned int *n)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = check_fork(once, n);
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || (WEXITSTATUS(status) != CHECK_PASS &&
				   WEXITSTATUS(status) != CHECK_SKIP))
		check_fail(__FILE__, __LINE__, "request %u: status %#x", *n,
			   status);
	injected += WEXITSTATUS(status) == CHECK_PASS;
	return WEXITSTATUS(status) == CHECK_SKIP;
}

/* The first lease in a namespace: flow, gate, slot, rings. Refused, and the
 * next one is given.
 */
static int first_lease(void *arg)
{
	struct onload_lease l = { .abi = ONLOAD_ABI };
	unsigned int left;
	struct pair p;
	struct abi a;
	int ret, err;

	EXPECT(!unshare(CLONE_NEWNET));
	loopback_up();
	p = net_pair();
	a = abi_open(p.c, 4);
	arm(*(unsigned int *)arg);
	ret = abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l));
	err = errno;
	left = disarm();
	errno = err;
	EXPECT_EXCUSE(ret);
	if (ret && l.reason == ONLOAD_R_NOMEM)
		EXPECT_EQ(err, ENOMEM);
	if (!ret)
		EXPECT(!abi_set(p.c, ONLOAD_DETACH, &l.slot, sizeof(l.slot)));
	abi_lease(p.c, 0);
	EXPECT_EQ(a.slots[0].c.family, AF_INET);
	EXPECT(!abi_set(p.c, ONLOAD_DETACH, &l.slot, sizeof(l.slot)));
	net_exchange(p.c, p.s);
	return left ? CHECK_SKIP : CHECK_PASS;
}

static unsigned int one_first_lease(unsigned int n)
{
	return apart(first_lease, &n);
}

static void first_leases(void)
{
	sweep(one_first_lease);
}

/* A leased connection with everything that a reclaim has to carry over:
 * records processed and unread, records unprocessed, bytes in flight, bytes
 * never sent. The kernel's end of each direction knows how many are due.
 */
struct scene {
	struct pair p;
	struct abi a;
	struct onload_lease l;
	uint32_t to_server; /* bytes that send() has returned for */
	uint32_t to_client;
};

static struct onload_tcp_state *committed(const struct scene *s)
{
	return &s->a.slots[0].state[s->a.slots[0].word & 1];
}

/* What the library does on arrival: in-order payload, acknowledgements. */
static void process(struct scene *s)
{
	struct onload_slot *slot = &s->a.slots[0];
	uint32_t prod = __atomic_load_n(&slot->rx_prod, __ATOMIC_ACQUIRE);
	uint64_t word = __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE);
	struct onload_tcp_state *next = &slot->state[~word & 1];

	*next = slot->state[word & 1];
	while (next->rx_proc != prod) {
		const uint8_t *at = abi_rx(&s->a, 0) +
				    (next->rx_proc & (s->a.ctx.rx_size - 1));
		const struct onload_rec *rec = (const void *)at;
		const struct tcphdr *th = (const void *)(rec + 1);
		uint32_t len = rec->len - th->doff * 4;

		EXPECT(!len || ntohl(th->seq) == next->rcv_nxt);
		next->rcv_nxt += len;
		next->rx_proc += ONLOAD_REC_SIZE(rec->len);
	}
	EXPECT(__atomic_compare_exchange_n(&slot->word, &word,
					   ONLOAD_W_NEXT(word), false,
					   __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static void server_says(struct scene *s, uint32_t len)
{
	uint32_t prod =
		__atomic_load_n(&s->a.slots[0].rx_prod, __ATOMIC_ACQUIRE);
	uint8_t buf[PART];

	pattern_fill(buf, len, SEED, s->to_client);
	net_send(s->p.s, buf, len);
	s->to_client += len;
	while (__atomic_load_n(&s->a.slots[0].rx_prod, __ATOMIC_ACQUIRE) ==
	       prod)
		EXPECT(s->a.slots[0].word & ONLOAD_W_USER);
}

/* Commits, and tells what to kick */
static struct onload_seg client_says(struct scene *s, uint32_t len)
{
	uint8_t buf[16384];

	pattern_fill(buf, len, SEED + 1, s->to_server);
	s->to_server += len;
	return abi_segment(&s->a, ONLOAD_SEG_SELF, &s->l, buf, len);
}

static struct scene scene_open(void)
{
	struct scene s = { .p = net_pair() };

	s.a = abi_open(s.p.c, 1);
	s.l = abi_lease(s.p.c, 0);
	return s;
}

static void scene_loaded(struct scene *s)
{
	struct onload_seg seg;

	server_says(s, PART);
	process(s);
	seg = client_says(s, 12000);
	EXPECT_EQ(abi_set(s->p.c, ONLOAD_KICK, &seg, sizeof(seg)), 1);
	server_says(s, 700);
	client_says(s, PART);
	committed(s)->snd_nxt -= PART;
}

static void expect_bytes(int fd, uint32_t len, uint64_t seed)
{
	uint8_t *buf = malloc(len);

	for (uint32_t have = 0; have < len;) {
		ssize_t n;

		if (!net_readable(fd, 10000))
			check_fail(__FILE__, __LINE__, "%u bytes of %u", have,
				   len);
		n = recv(fd, buf + have, len - have, 0);
		EXPECT(n > 0);
		have += n;
	}
	EXPECT_EQ(pattern_right(buf, len, seed, 0), len);
	free(buf);
}

/* Both streams are whole, and go on, when Linux has them back. */
static void scene_whole(struct scene *s)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	EXPECT(!getsockopt(s->p.c, IPPROTO_TCP, TCP_INFO, &info, &len));
	expect_bytes(s->p.c, s->to_client, SEED);
	expect_bytes(s->p.s, s->to_server, SEED + 1);
	net_exchange(s->p.c, s->p.s);
}

static void scene_close(struct scene *s)
{
	close(s->p.c);
	close(s->p.s);
	EXPECT(!munmap(s->a.map, s->a.ctx.map_size));
}

static unsigned int one_kick(unsigned int n, uint32_t len)
{
	struct scene s = scene_open();
	struct onload_seg seg = client_says(&s, len);
	unsigned int left;
	int ret, err;

	arm(n);
	ret = abi_set(s.p.c, ONLOAD_KICK, &seg, sizeof(seg));
	err = errno;
	left = disarm();
	errno = err;
	EXPECT_EXCUSE(ret);
	scene_whole(&s);
	scene_close(&s);
	return left;
}

static unsigned int one_small_kick(unsigned int n)
{
	return one_kick(n, 100);
}

static unsigned int one_large_kick(unsigned int n)
{
	return one_kick(n, 12000);
}

static void kicks(void)
{
	sweep(one_small_kick);
	sweep(one_large_kick);
}

/* A raw system call takes the lease back, whatever becomes of the call. */
static unsigned int one_reclaim(unsigned int n)
{
	struct scene s = scene_open();
	struct tcp_info info;
	socklen_t len = sizeof(info);
	struct onload_info mine;
	unsigned int left;
	int ret, err;

	scene_loaded(&s);
	arm(n);
	ret = getsockopt(s.p.c, IPPROTO_TCP, TCP_INFO, &info, &len);
	err = errno;
	left = disarm();
	errno = err;
	EXPECT_EXCUSE(ret);
	EXPECT(net_info(s.p.c, &mine));
	EXPECT(!mine.leased);
	scene_whole(&s);
	scene_close(&s);
	return left;
}

static void reclaims(void)
{
	sweep(one_reclaim);
}

/* close() with bytes unsent: they arrive, then the end. But tcp_send_fin() of
 * Linux gives up when one of the two parts of its own skb is refused.
 */
static unsigned int one_close(unsigned int n)
{
	struct scene s = scene_open();
	struct onload_seg seg = client_says(&s, 12000);
	unsigned int left;

	EXPECT_EQ(abi_set(s.p.c, ONLOAD_KICK, &seg, sizeof(seg)), 1);
	client_says(&s, PART);
	committed(&s)->snd_nxt -= PART;
	arm(n);
	EXPECT(!close(s.p.c));
	left = disarm();
	expect_bytes(s.p.s, s.to_server, SEED + 1);
	if (left || net_readable(s.p.s, 1000))
		net_expect_eof(s.p.s);
	else
		fins_lost++;
	scene_close(&s);
	return left;
}

static void closes(void)
{
	sweep(one_close);
	check_note("Linux lost %u FINs", fins_lost);
	EXPECT(fins_lost <= 2);
}

/* The lease is not given back but taken, by the watch: in a kworker, which is
 * not known before. So all that can be it get the order.
 */
static unsigned int arm_workers(unsigned int n)
{
	DIR *proc = opendir("/proc");
	unsigned int left = MANY;
	struct dirent *d;

	EXPECT(proc);
	while ((d = readdir(proc))) {
		char path[300], text[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		f = strspn(d->d_name, "0123456789") ? fopen(path, "r") : NULL;
		if (!f)
			continue;
		if (fgets(text, sizeof(text), f) &&
		    !strncmp(text, "kworker/u", 9)) {
			fclose(f);
			snprintf(path, sizeof(path), "/proc/%s/fail-nth",
				 d->d_name);
			f = fopen(path, "r+");
			if (f && fgets(text, sizeof(text), f) &&
			    strtoul(text, NULL, 10) < left)
				left = strtoul(text, NULL, 10);
			if (f) {
				rewind(f);
				fprintf(f, "%u", n);
			}
		}
		if (f)
			fclose(f);
	}
	closedir(proc);
	return left;
}

static unsigned int one_watch(unsigned int n)
{
	struct scene s = scene_open();
	uint64_t end = net_ms() + 10000;
	unsigned int left;

	scene_loaded(&s);
	arm_workers(n);
	while (__atomic_load_n(&s.a.slots[0].word, __ATOMIC_ACQUIRE) &
	       ONLOAD_W_USER)
		EXPECT(net_ms() < end);
	/* The word ends at once, the work when the socket's lock is free. */
	EXPECT(net_readable(s.p.c, 10000));
	left = arm_workers(0);
	injected += !left;
	scene_whole(&s);
	scene_close(&s);
	return left;
}

/* Another worker than ours may have been the one: no run is the last. */
static void watches(void)
{
	for (unsigned int n = 1; n <= WATCH_RUNS; n++)
		one_watch(n);
	report(WATCH_RUNS);
}

/* Out of our hands, for good: or it stays there, and lives. */
static unsigned int one_retirement(unsigned int n)
{
	struct scene s = scene_open();
	unsigned int left;
	int ret, err;

	client_says(&s, 100);
	arm(n);
	ret = setsockopt(s.p.c, IPPROTO_TCP, TCP_ULP, "tls", 4);
	err = errno;
	left = disarm();
	errno = err;
	EXPECT_EXCUSE(ret);
	scene_whole(&s);
	scene_close(&s);
	return left;
}

static void retirements(void)
{
	struct pair p = net_pair();

	if (setsockopt(p.c, IPPROTO_TCP, TCP_ULP, "tls", 4))
		check_skip("a kernel without TLS");
	sweep(one_retirement);
}

/* What the creation of a namespace asks for last is for the modules', ours
 * the latest.
 */
#define NAMESPACE_LAST 40u

static int one_namespace(void *arg)
{
	unsigned int *shared = arg, left;
	int ret, err;

	arm(*shared);
	ret = unshare(CLONE_NEWNET);
	err = errno;
	left = disarm();
	errno = err;
	EXPECT_EXCUSE(ret);
	if (ret) {
		EXPECT(access("/proc/self/net/dev", R_OK) == 0);
		EXPECT(!unshare(CLONE_NEWNET));
	}
	*shared -= left;
	return left ? CHECK_SKIP : CHECK_PASS;
}

static void namespaces(void)
{
	unsigned int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int all, n;

	EXPECT(shared != MAP_FAILED);
	*shared = MANY;
	EXPECT_EQ(apart(one_namespace, shared), 1);
	all = *shared;
	EXPECT(all > NAMESPACE_LAST);
	for (n = all - NAMESPACE_LAST; n <= all; n++) {
		*shared = n;
		apart(one_namespace, shared);
	}
	report(NAMESPACE_LAST);
}

/* Loaded or not; and if not, with nothing left behind that is in the way of
 * the next attempt.
 */
static unsigned int one_load(unsigned int n)
{
	int fd = open(module_path, O_RDONLY | O_CLOEXEC);
	unsigned int left;
	int ret, err;

	EXPECT(fd >= 0);
	arm(n);
	ret = syscall(SYS_finit_module, fd, "", 0);
	err = errno;
	left = disarm();
	errno = err;
	EXPECT_EXCUSE(ret);
	EXPECT_EQ(access("/proc/sys/net/onload", F_OK), ret);
	if (!ret)
		EXPECT(!syscall(SYS_delete_module, "af_onload", O_NONBLOCK));
	close(fd);
	return left;
}

/* What a load asks for before its last requests is for the loader's own needs,
 * and the kernel's tracing warns when it gets none.
 */
#define LOAD_LAST 60u

static void loads(void)
{
	unsigned int all, n;

	EXPECT(access("/proc/sys/net/onload", F_OK));
	all = MANY - one_load(MANY);
	EXPECT(all > LOAD_LAST);
	for (n = all - LOAD_LAST; n <= all; n++)
		one_load(n);
	report(LOAD_LAST);
}

#define CHECK(name)              \
	{                        \
#name, name, 150 \
	}
static const struct check checks[] = {
	CHECK(sockets),	     CHECK(contexts), CHECK(mappings),
	CHECK(first_leases), CHECK(kicks),    CHECK(reclaims),
	CHECK(closes),	     CHECK(watches),  CHECK(retirements),
	CHECK(namespaces),
};

int main(int argc, char **argv)
{
	net_family_onload = true;
	if (argc == 3 && !strcmp(argv[1], "load")) {
		module_path = argv[2];
		return check_one("loads", loads, 1200);
	}
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 1 ? argv[1] : NULL);
}
