// SPDX-License-Identifier: GPL-2.0
/*
 * The ABI, asked directly and wrongly: each mistake has the errno that
 * linux/onload.h states, and does no harm.
 */
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "abi.h"
#include "check.h"
#include "net.h"

#define BAD ((void *)8)

static void plain_socket(void)
{
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 1 };
	struct pair p;

	net_family_onload = false;
	p = net_pair();
	for (int option = 0; option <= ONLOAD_INFO + 1; option++) {
		/* getsockopt() of Linux says it in another way. */
		EXPECT(abi_get(p.c, option, &ctx, sizeof(ctx)) < 0);
		EXPECT(errno == ENOPROTOOPT || errno == EOPNOTSUPP);
		EXPECT_ERR(abi_set(p.c, option, &ctx, sizeof(ctx)),
			   ENOPROTOOPT);
	}
}

static void unknown_option(void)
{
	struct pair p = net_pair();
	char buf[256] = { 0 };

	EXPECT_ERR(abi_get(p.c, 0, buf, sizeof(buf)), ENOPROTOOPT);
	EXPECT_ERR(abi_get(p.c, ONLOAD_KICK, buf, sizeof(buf)), ENOPROTOOPT);
	EXPECT_ERR(abi_get(p.c, 99, buf, sizeof(buf)), ENOPROTOOPT);
	EXPECT_ERR(abi_set(p.c, ONLOAD_INFO, buf, sizeof(buf)), ENOPROTOOPT);
	EXPECT_ERR(abi_set(p.c, -1, buf, sizeof(buf)), ENOPROTOOPT);
}

static void datagram_socket(void)
{
	int fd = net_socket(SOCK_DGRAM);
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 1 };
	struct onload_lease lease = { .abi = ONLOAD_ABI };
	struct onload_info info;

	EXPECT_ERR(abi_get(fd, ONLOAD_CONTEXT, &ctx, sizeof(ctx)), EOPNOTSUPP);
	EXPECT_ERR(abi_get(fd, ONLOAD_LEASE, &lease, sizeof(lease)),
		   EOPNOTSUPP);
	EXPECT_ERR(abi_get(fd, ONLOAD_INFO, &info, sizeof(info)), EOPNOTSUPP);
}

static void context_arguments(void)
{
	int fd = net_client_socket();
	struct onload_context ctx = { .abi = ONLOAD_ABI + 1, .nslots = 1 };
	socklen_t len = sizeof(ctx);

	EXPECT_ERR(abi_get(fd, ONLOAD_CONTEXT, &ctx, len), EPROTO);
	ctx.abi = ONLOAD_ABI;
	EXPECT_ERR(abi_get(fd, ONLOAD_CONTEXT, &ctx, len - 1), EINVAL);
	EXPECT_ERR(abi_get(fd, ONLOAD_CONTEXT, &ctx, 0), EINVAL);
	EXPECT_ERR(abi_get(fd, ONLOAD_CONTEXT, BAD, len), EFAULT);
	EXPECT_ERR(getsockopt(fd, SOL_ONLOAD, ONLOAD_CONTEXT, &ctx, BAD),
		   EFAULT);
	ctx.nslots = 0;
	EXPECT_ERR(abi_get(fd, ONLOAD_CONTEXT, &ctx, len), EINVAL);
	ctx.nslots = ONLOAD_SLOTS_MAX + 1;
	EXPECT_ERR(abi_get(fd, ONLOAD_CONTEXT, &ctx, len), EINVAL);
	ctx.nslots = UINT32_MAX;
	EXPECT_ERR(abi_get(fd, ONLOAD_CONTEXT, &ctx, len), EINVAL);
	abi_open(fd, 1);
	ctx.nslots = 1;
	EXPECT_ERR(abi_get(fd, ONLOAD_CONTEXT, &ctx, len), EBUSY);
}

static void mapping(void)
{
	static const int rw = PROT_READ | PROT_WRITE;
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 4 };
	int fd = net_client_socket();
	uint64_t size;
	void *map;

#define EXPECT_REFUSED(size, prot, flags, off, err)                  \
	do {                                                         \
		EXPECT(mmap(NULL, size, prot, flags, ctx.fd, off) == \
		       MAP_FAILED);                                  \
		EXPECT_EQ(errno, err);                               \
	} while (0)

	EXPECT(!abi_get(fd, ONLOAD_CONTEXT, &ctx, sizeof(ctx)));
	size = ctx.map_size;
	EXPECT(size && !(size & 4095));
	EXPECT_REFUSED(size - 4096, rw, MAP_SHARED, 0, EINVAL);
	EXPECT_REFUSED(size + 4096, rw, MAP_SHARED, 0, EINVAL);
	EXPECT_REFUSED(4096, rw, MAP_SHARED, 0, EINVAL);
	EXPECT_REFUSED(size, rw, MAP_SHARED, 4096, EINVAL);
	EXPECT_REFUSED(size, PROT_READ, MAP_SHARED, 0, EINVAL);
	EXPECT_REFUSED(size, PROT_WRITE, MAP_SHARED, 0, EINVAL);
	EXPECT_REFUSED(size, PROT_NONE, MAP_SHARED, 0, EINVAL);
	EXPECT_REFUSED(size, rw | PROT_EXEC, MAP_SHARED, 0, EINVAL);
	EXPECT_REFUSED(size, rw, MAP_PRIVATE, 0, EINVAL);
	map = mmap(NULL, size, rw, MAP_SHARED, ctx.fd, 0);
	EXPECT(map != MAP_FAILED);
	EXPECT_REFUSED(size, rw, MAP_SHARED, 0, EBUSY);
#undef EXPECT_REFUSED
	EXPECT(munmap(map, 4096) < 0);
	EXPECT(munmap((char *)map + 4096, 4096) < 0);
	EXPECT(mremap(map, size, size + 4096, MREMAP_MAYMOVE) == MAP_FAILED);
	EXPECT(mprotect(map, size, rw | PROT_EXEC) < 0);
	EXPECT(!munmap(map, size));
	close(ctx.fd);
	/* Its end is the end of the context: another may be made. */
	abi_open(fd, 1);
}

static sigjmp_buf fault;

static void on_bus(int sig)
{
	siglongjmp(fault, sig);
}

static void unleased_ring(void)
{
	struct abi a = abi_open(net_client_socket(), 2);
	struct sigaction sa = { .sa_handler = on_bus };

	EXPECT(!sigaction(SIGBUS, &sa, NULL));
	if (!sigsetjmp(fault, 1)) {
		*(volatile uint8_t *)(a.map + a.ctx.rings_off) = 1;
		check_fail(__FILE__, __LINE__, "no SIGBUS");
	}
}

static void lease_arguments(void)
{
	struct pair p = net_pair(), q = net_pair();
	struct onload_lease l = { .abi = ONLOAD_ABI };
	struct addr at;
	struct abi a;

	EXPECT_ERR(abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)), ENXIO);
	a = abi_open(p.c, 2);
	EXPECT_ERR(abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l) - 1), EINVAL);
	EXPECT_ERR(abi_get(p.c, ONLOAD_LEASE, BAD, sizeof(l)), EFAULT);
	l.abi = ONLOAD_ABI + 1;
	EXPECT_ERR(abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)), EPROTO);
	l = (struct onload_lease){ .abi = ONLOAD_ABI, .slot = 2 };
	EXPECT_ERR(abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)), EINVAL);
	l.slot = UINT32_MAX;
	EXPECT_ERR(abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)), EINVAL);
	l.slot = 0;
	EXPECT_ERR(abi_get(net_client_socket(), ONLOAD_LEASE, &l, sizeof(l)),
		   ENOTCONN);
	EXPECT_EQ(l.reason, ONLOAD_R_NOTCONN);
	EXPECT_ERR(abi_get(net_listen(&at), ONLOAD_LEASE, &l, sizeof(l)),
		   ENOTCONN);

	l = abi_lease(p.c, 0);
	EXPECT(l.generation && a.slots[0].word & ONLOAD_W_USER);
	EXPECT_EQ(ONLOAD_W_GEN(a.slots[0].word), l.generation);
	EXPECT_ERR(abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)), EALREADY);
	EXPECT_ERR(abi_get(q.c, ONLOAD_LEASE, &l, sizeof(l)), EBUSY);
	l = abi_lease(q.c, 1);
	close(p.s);
	EXPECT(net_readable(p.c, 5000));
	net_expect_eof(p.c);
	l.slot = 0;
	EXPECT_ERR(abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)), ENOTCONN);
}

static void context_unmapped(void)
{
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 1);
	struct onload_lease l = abi_lease(p.c, 0);

	EXPECT(!munmap(a.map, a.ctx.map_size));
	EXPECT_ERR(abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)), ENXIO);
	net_exchange(p.c, p.s);
}

static int asks_for_lease(void *arg)
{
	int fd = *(int *)arg;
	struct onload_lease l = { .abi = ONLOAD_ABI };
	uint64_t end = net_ms() + 5000;

	abi_open(fd, 1);
	while (abi_get(fd, ONLOAD_LEASE, &l, sizeof(l))) {
		if (errno == EOPNOTSUPP) {
			EXPECT_EQ(l.reason, ONLOAD_R_FOREIGN);
			return CHECK_PASS;
		}
		EXPECT_EQ(errno, EAGAIN);
		EXPECT(net_ms() < end);
	}
	check_note("leased what another process holds");
	return CHECK_FAIL;
}

static void foreign_lease(void)
{
	struct pair p = net_pair();

	abi_open(p.c, 1);
	abi_lease(p.c, 0);
	check_wait(check_fork(asks_for_lease, &p.c));
	net_exchange(p.c, p.s);
}

static void expect_refused(int fd, int err, int reason)
{
	uint64_t end = net_ms() + 5000;
	struct onload_lease l;

	do {
		l = (struct onload_lease){ .abi = ONLOAD_ABI };
		EXPECT(abi_get(fd, ONLOAD_LEASE, &l, sizeof(l)) < 0);
		EXPECT(net_ms() < end);
	} while (errno == EAGAIN && l.reason == ONLOAD_R_ATTACH);
	EXPECT_EQ(errno, err);
	EXPECT_EQ(l.reason, reason);
}

static void unread_socket(void)
{
	struct pair p = net_pair();
	static char block[60000];
	int n = 0;

	abi_open(p.c, 1);
	net_send(p.s, block, sizeof(block));
	while (n < 50000)
		EXPECT(!ioctl(p.c, FIONREAD, &n));
	expect_refused(p.c, EAGAIN, ONLOAD_R_UNREAD);
}

struct sleeper {
	int fd;
	pid_t tid; /* atomic */
};

static void *sleeps_in_recv(void *arg)
{
	struct sleeper *me = arg;
	char byte;

	__atomic_store_n(&me->tid, gettid(), __ATOMIC_RELEASE);
	net_recv(me->fd, &byte, 1);
	return NULL;
}

static bool asleep(const struct sleeper *who)
{
	pid_t tid = __atomic_load_n(&who->tid, __ATOMIC_ACQUIRE);
	char path[64], where[64] = "";
	FILE *f;

	if (!tid)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/wchan", tid);
	f = fopen(path, "r");
	EXPECT(f);
	EXPECT(fgets(where, sizeof(where), f) || !ferror(f));
	fclose(f);
	return !strcmp(where, "wait_woken");
}

/* A thread that sleeps since before there was anything to count it in by */
static void sleeping_thread(void)
{
	struct pair p = net_pair();
	struct sleeper who = { .fd = p.c };
	uint64_t end = net_ms() + 20000;
	pthread_t t;

	EXPECT(!pthread_create(&t, NULL, sleeps_in_recv, &who));
	while (!asleep(&who)) {
		EXPECT(net_ms() < end);
		usleep(1000);
	}
	abi_open(p.c, 1);
	expect_refused(p.c, EAGAIN, ONLOAD_R_BUSY);
	net_send(p.s, "x", 1);
	pthread_join(t, NULL);
	abi_lease(p.c, 0);
	net_exchange(p.c, p.s);
}

/* A little is taken along, and comes back with the lease. */
static void unread_byte(void)
{
	struct pair p = net_pair();
	char byte = 0;

	abi_open(p.c, 1);
	net_send(p.s, "x", 1);
	EXPECT(net_readable(p.c, 5000));
	abi_lease(p.c, 0);
	EXPECT(net_readable(p.c, 0));
	net_recv(p.c, &byte, 1);
	EXPECT_EQ(byte, 'x');
}

static void optioned_socket(void)
{
	struct pair p = net_pair();
	int on = 1;

	abi_open(p.c, 1);
	EXPECT(!setsockopt(p.c, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)));
	expect_refused(p.c, EOPNOTSUPP, ONLOAD_R_OPTIONS);
}

static void tls_socket(void)
{
	struct onload_lease l = { .abi = ONLOAD_ABI };
	struct pair p = net_pair();

	abi_open(p.s, 1);
	if (setsockopt(p.c, IPPROTO_TCP, TCP_ULP, "tls", 4)) {
		EXPECT_EQ(errno, ENOENT);
		check_skip("no kernel TLS");
	}
	/* It is Linux's alone by then. */
	EXPECT(abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)) < 0);
	EXPECT(errno == ENOPROTOOPT || errno == EOPNOTSUPP);
	net_exchange(p.c, p.s);
}

static void signed_socket(void)
{
	struct tcp_md5sig md5 = { .tcpm_keylen = 3, .tcpm_key = "key" };
	struct addr at;
	int l = net_listen(&at), c = net_client_socket();

	memcpy(&md5.tcpm_addr, &at.sa, at.len);
	abi_open(c, 1);
	if (setsockopt(l, IPPROTO_TCP, TCP_MD5SIG, &md5, sizeof(md5)))
		check_skip("no TCP MD5 signatures");
	EXPECT(!setsockopt(c, IPPROTO_TCP, TCP_MD5SIG, &md5, sizeof(md5)));
	EXPECT(!connect(c, (void *)&at.sa, at.len));
	expect_refused(c, EOPNOTSUPP, ONLOAD_R_NOT_STOCK);
}

static void handback_detach(void)
{
	struct pair p = net_pair();
	struct onload_handback h = { .generation = 1 };
	uint32_t slot = 0;
	struct onload_lease l;

	abi_open(p.c, 2);
	EXPECT_ERR(abi_set(p.c, ONLOAD_HANDBACK, &h, sizeof(h)), ESTALE);
	EXPECT_ERR(abi_set(p.c, ONLOAD_DETACH, &slot, sizeof(slot)), ESTALE);
	l = abi_lease(p.c, 0);
	h.generation = l.generation + 1;
	EXPECT_ERR(abi_set(p.c, ONLOAD_HANDBACK, &h, sizeof(h)), ESTALE);
	h.generation = l.generation;
	EXPECT_ERR(abi_set(p.c, ONLOAD_HANDBACK, &h, sizeof(h) - 1), EINVAL);
	EXPECT_ERR(abi_set(p.c, ONLOAD_HANDBACK, BAD, sizeof(h)), EFAULT);
	h.reason = UINT32_MAX;
	EXPECT(!abi_set(p.c, ONLOAD_HANDBACK, &h, sizeof(h)));
	EXPECT_ERR(abi_set(p.c, ONLOAD_HANDBACK, &h, sizeof(h)), ESTALE);

	EXPECT_ERR(abi_set(p.c, ONLOAD_DETACH, &slot, 3), EINVAL);
	EXPECT_ERR(abi_set(p.c, ONLOAD_DETACH, BAD, sizeof(slot)), EFAULT);
	slot = 1;
	EXPECT_ERR(abi_set(p.c, ONLOAD_DETACH, &slot, sizeof(slot)), EINVAL);
	slot = 0;
	EXPECT(!abi_set(p.c, ONLOAD_DETACH, &slot, sizeof(slot)));
	EXPECT_ERR(abi_set(p.c, ONLOAD_DETACH, &slot, sizeof(slot)), ESTALE);
	abi_lease(p.c, 1);
	net_exchange(p.c, p.s);
}

static void expect_kick(struct onload_seg seg, int err)
{
	EXPECT_ERR(abi_set(seg.fd, ONLOAD_KICK, &seg, sizeof(seg)), err);
}

static void kick_arguments(void)
{
	struct onload_seg good, bad, many[ONLOAD_KICK_MAX + 1];
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 2);
	struct onload_lease l = abi_lease(p.c, 0);
	char buf[8];

	good = abi_segment(&a, p.c, &l, "hello", 5);
	memset(many, 0, sizeof(many));
	EXPECT_ERR(abi_set(p.c, ONLOAD_KICK, &good, 0), EINVAL);
	EXPECT_ERR(abi_set(p.c, ONLOAD_KICK, &good, sizeof(good) - 1), EINVAL);
	EXPECT_ERR(abi_set(p.c, ONLOAD_KICK, many, sizeof(many)), EINVAL);
	EXPECT_ERR(abi_set(p.c, ONLOAD_KICK, BAD, sizeof(good)), EFAULT);
#define WRONG(field, value, err)                                               \
	do {                                                                   \
		bad = good;                                                    \
		bad.field = value;                                             \
		EXPECT_ERR(abi_set(p.c, ONLOAD_KICK, &bad, sizeof(bad)), err); \
	} while (0)
	WRONG(len, ONLOAD_SEG_MAX + 1, EINVAL);
	WRONG(len, UINT32_MAX, EINVAL);
	WRONG(seq, good.seq + 1, EINVAL);
	WRONG(seq, good.seq - 1, EINVAL);
	WRONG(seq, good.seq + (1u << 31), EINVAL);
	WRONG(reserved, 1, EINVAL);
	WRONG(flags, ~0u, EINVAL);
	WRONG(flags, 2, EINVAL);
	WRONG(ack, good.ack - 1, EINVAL);
	WRONG(ack, good.ack + (1u << 30), EINVAL);
	WRONG(wnd, UINT32_MAX, EINVAL);
	EXPECT(a.slots[0].c.rcv_wscale);
	WRONG(wnd, good.wnd + 1, EINVAL);
	WRONG(generation, l.generation + 1, ESTALE);
	WRONG(slot, 1, ESTALE);
	WRONG(slot, UINT32_MAX, ESTALE);
	WRONG(fd, INT_MIN, EBADF);
	WRONG(fd, INT_MAX, EBADF);
	WRONG(fd, open("/dev/null", O_RDWR), EBADF);
	net_family_onload = false;
	WRONG(fd, net_socket(SOCK_STREAM), EBADF);
	net_family_onload = true;
#undef WRONG
	/* Another flow's bytes by this flow's descriptor, and no harm done. */
	EXPECT_EQ(abi_set(p.c, ONLOAD_KICK, &good, sizeof(good)), 1);
	net_recv(p.s, buf, 5);
	EXPECT(!memcmp(buf, "hello", 5));
	/* What has been sent cannot be sent again. */
	expect_kick(good, EINVAL);
}

static void wait_arguments(void)
{
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 2);
	struct onload_lease l = abi_lease(p.c, 0);
	struct onload_wait good = { .generation = l.generation,
				    .events = ONLOAD_WAIT_IN,
				    .rx_prod = a.slots[0].rx_prod,
				    .timeout_ns = 1000000 },
			   bad;

	EXPECT_ERR(abi_set(p.c, ONLOAD_WAIT, &good, sizeof(good) - 1), EINVAL);
	EXPECT_ERR(abi_set(p.c, ONLOAD_WAIT, BAD, sizeof(good)), EFAULT);
	bad = good;
	bad.slot = 1;
	EXPECT_ERR(abi_set(p.c, ONLOAD_WAIT, &bad, sizeof(bad)), ESTALE);
	bad = good;
	bad.generation++;
	EXPECT_ERR(abi_set(p.c, ONLOAD_WAIT, &bad, sizeof(bad)), ESTALE);
	bad = good;
	bad.events = 0;
	EXPECT_ERR(abi_set(p.c, ONLOAD_WAIT, &bad, sizeof(bad)), EINVAL);
	bad.events = ONLOAD_WAIT_RESTART;
	EXPECT_ERR(abi_set(p.c, ONLOAD_WAIT, &bad, sizeof(bad)), EINVAL);
	bad.events = ~0u;
	EXPECT_ERR(abi_set(p.c, ONLOAD_WAIT, &bad, sizeof(bad)), EINVAL);
	EXPECT_ERR(abi_set(p.c, ONLOAD_WAIT, &good, sizeof(good)), ETIMEDOUT);
	net_send(p.s, "x", 1);
	good.timeout_ns = ONLOAD_WAIT_FOREVER;
	EXPECT(!abi_set(p.c, ONLOAD_WAIT, &good, sizeof(good)) ||
	       errno == ESTALE);
}

static void info_arguments(void)
{
	int fd = net_client_socket();
	struct onload_info info;

	memset(&info, 0xff, sizeof(info));
	EXPECT(!abi_get(fd, ONLOAD_INFO, &info, sizeof(info)));
	EXPECT(!info.leased && !info.reason && !info.leases && !info.rx_all);
	EXPECT_ERR(abi_get(fd, ONLOAD_INFO, &info, sizeof(info) - 1), EINVAL);
	EXPECT_ERR(abi_get(fd, ONLOAD_INFO, BAD, sizeof(info)), EFAULT);
}

static void locked_memory(void)
{
	struct rlimit none = { 0 };
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 1 };
	struct pair p = net_pair();

	EXPECT(!setrlimit(RLIMIT_MEMLOCK, &none));
	EXPECT(!setresuid(65534, 65534, 65534));
	if (abi_get(p.c, ONLOAD_CONTEXT, &ctx, sizeof(ctx))) {
		EXPECT_EQ(errno, ENOBUFS);
		return;
	}
	EXPECT(mmap(NULL, ctx.map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    ctx.fd, 0) != MAP_FAILED);
	expect_refused(p.c, ENOBUFS, ONLOAD_R_MEMLOCK);
	net_exchange(p.c, p.s);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
static const struct check checks[] = {
	CHECK(plain_socket),	CHECK(unknown_option),
	CHECK(datagram_socket), CHECK(context_arguments),
	CHECK(mapping),		CHECK(unleased_ring),
	CHECK(lease_arguments), CHECK(context_unmapped),
	CHECK(foreign_lease),	CHECK(unread_socket),
	CHECK(unread_byte),	CHECK(optioned_socket),
	CHECK(tls_socket),	CHECK(signed_socket),
	CHECK(handback_detach), CHECK(kick_arguments),
	CHECK(wait_arguments),	CHECK(info_arguments),
	CHECK(locked_memory),	CHECK(sleeping_thread),
};

int main(int argc, char **argv)
{
	net_family_onload = true;
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 1 ? argv[1] : NULL);
}
