// SPDX-License-Identifier: GPL-2.0
/*
 * What an owner of the mapping can try on purpose: each check was a hole once.
 * Most of them end in a report of the kernel, which is the guest's verdict; a
 * guest started with slub_debug=FZP sees freed memory in use at once.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
#include "attack.h"
#include "check.h"
#include "net.h"

/* A page whose first reader waits until it is filled */
struct trap {
	int fd;
	void *page;
};

static struct trap trap_at(void *page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct trap t = { .page = page };

	t.fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (t.fd < 0 && errno == ENOSYS)
		check_skip("no userfaultfd");
	EXPECT(t.fd >= 0 && !ioctl(t.fd, UFFDIO_API, &api));
	reg.range.start = (uintptr_t)t.page;
	reg.range.len = 4096;
	EXPECT(!ioctl(t.fd, UFFDIO_REGISTER, &reg));
	return t;
}

static void *fresh_pages(size_t n)
{
	void *pages = mmap(NULL, n * 4096, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT(pages != MAP_FAILED);
	return pages;
}

static struct trap trap_set(void)
{
	return trap_at(fresh_pages(1));
}

static void trap_sprung(const struct trap *t)
{
	struct uffd_msg msg;

	EXPECT_EQ(read(t->fd, &msg, sizeof(msg)), sizeof(msg));
	EXPECT_EQ(msg.event, UFFD_EVENT_PAGEFAULT);
}

static void trap_open(const struct trap *t, const void *bytes, size_t len)
{
	static char page[4096] __attribute__((aligned(4096)));
	struct uffdio_copy copy = { .dst = (uintptr_t)t->page,
				    .src = (uintptr_t)page,
				    .len = 4096 };

	memcpy(page, bytes, len);
	EXPECT(!ioctl(t->fd, UFFDIO_COPY, &copy));
}

struct call {
	pthread_t thread;
	int fd;
	int option;
	socklen_t len;
	void *arg;
	int ret;
	int err;
};

static void *run_call(void *arg)
{
	struct call *c = arg;

	c->ret = abi_set(c->fd, c->option, c->arg, c->len);
	c->err = errno;
	return NULL;
}

static long module_users(void)
{
	FILE *f = fopen("/sys/module/af_onload/refcnt", "r");
	long n = -1;

	EXPECT(f && fscanf(f, "%ld", &n) == 1);
	fclose(f);
	return n;
}

/* Once the flows of earlier sockets, which wait for a grace period, have gone */
static long module_users_settled(void)
{
	long n = module_users(), before;
	int same = 0;

	while (same < 10) {
		usleep(20000);
		before = n;
		n = module_users();
		same = n == before ? same + 1 : 0;
	}
	return n;
}

/*
 * One thread is inside an option of ours, its argument not there yet, while
 * another gives the socket back to Linux for good: neither the flow nor the
 * module may go from under the first.
 */
static void retired_inside(int option, const void *arg, socklen_t len, int err)
{
	struct pair p = net_pair();
	struct trap t = trap_set();
	struct call c = {
		.fd = p.c, .option = option, .len = len, .arg = t.page
	};
	long users, end;

	abi_open(p.c, 1);
	abi_lease(p.c, 0);
	users = module_users_settled();
	EXPECT(!pthread_create(&c.thread, NULL, run_call, &c));
	trap_sprung(&t);
	EXPECT_ERR(setsockopt(p.c, IPPROTO_TCP, TCP_ULP, "none", 4), ENOENT);
	/* Long enough for a flow that nobody waits for to be freed */
	end = (long)net_ms() + 2000;
	while (module_users() >= users && (long)net_ms() < end)
		usleep(10000);
	EXPECT_EQ(module_users(), users);
	for (int i = 0; i < 3; i++)
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	trap_open(&t, arg, len);
	pthread_join(c.thread, NULL);
	EXPECT_EQ(c.ret, -1);
	EXPECT_EQ(c.err, err);
	net_exchange(p.c, p.s);
	/* Now it may go. */
	end = (long)net_ms() + 30000;
	while (module_users() >= users) {
		EXPECT((long)net_ms() < end);
		usleep(10000);
	}
}

static void retired_kick(void)
{
	struct onload_seg seg = { .fd = ONLOAD_SEG_SELF };

	retired_inside(ONLOAD_KICK, &seg, sizeof(seg), ESTALE);
}

static void retired_handback(void)
{
	struct onload_handback h = { .reason = ONLOAD_R_LIBRARY };

	retired_inside(ONLOAD_HANDBACK, &h, sizeof(h), ESTALE);
}

static void retired_wait(void)
{
	struct onload_wait w = { .events = ONLOAD_WAIT_IN };

	retired_inside(ONLOAD_WAIT, &w, sizeof(w), ESTALE);
}

/* More than the kernel has workers for one purpose */
#define STALLED 300

struct stall {
	int fd;
	const void *page;
};

static void *stall_send(void *arg)
{
	struct stall *s = arg;

	send(s->fd, s->page, 1, MSG_NOSIGNAL);
	return NULL;
}

/* Threads that hold the locks of sockets until the process provides a page, and
 * the end of the mapping, for which all these locks are needed
 */
static int stall(void *arg)
{
	static struct stall all[STALLED];
	struct trap t = trap_set();
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, STALLED);
	int *tell = arg;
	pthread_t thread;

	for (uint32_t i = 0; i < STALLED; i++) {
		struct onload_lease l = { .abi = ONLOAD_ABI, .slot = i };

		p = net_pair();
		/* Given or not, it has the slot. */
		EXPECT(!abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)) ||
		       errno == EAGAIN);
		all[i] = (struct stall){ p.c, t.page };
		EXPECT(!pthread_create(&thread, NULL, stall_send, &all[i]));
		trap_sprung(&t);
	}
	EXPECT(!munmap(a.map, a.ctx.map_size));
	EXPECT_EQ(write(*tell, "", 1), 1);
	pause();
	return CHECK_PASS;
}

/* Whoever is kept waiting by that, it is not the rest of the host. */
static void stalled_workers(void)
{
	struct pair p = net_pair();
	struct onload_info info;
	int tell[2];
	uint64_t end;
	char byte;
	pid_t pid;

	EXPECT(!pipe(tell));
	pid = check_fork(stall, &tell[1]);
	close(tell[1]);
	EXPECT_EQ(read(tell[0], &byte, 1), 1);
	abi_open(p.c, 1);
	abi_lease(p.c, 0);
	/* Nobody reads it: Linux takes over. */
	net_send(p.s, "w", 1);
	end = net_ms() + 10000;
	do {
		EXPECT(net_ms() < end);
		usleep(10000);
		EXPECT(net_info(p.c, &info));
		/* The reason is told a moment after the end. */
	} while (info.leased || info.reason != ONLOAD_R_TERM);
	net_recv(p.c, &byte, 1);
	kill(pid, SIGKILL);
	EXPECT_EQ(waitpid(pid, NULL, 0), pid);
}

static void *hold_lock(void *arg)
{
	struct stall *s = arg;

	/* The first word is copied before the lock is taken, the rest with it. */
	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, s->page,
		   sizeof(struct linger));
	return NULL;
}

struct heir {
	int fd;
	int tell;
	int told;
};

/* When told to takes the lease, and looks at its rings. */
static int inherit(void *arg)
{
	struct heir *h = arg;
	struct abi a = abi_open(h->fd, 1);
	uint8_t *rx = abi_rx(&a, 0);
	char byte;

	EXPECT_EQ(write(h->tell, "", 1), 1);
	EXPECT_EQ(read(h->told, &byte, 1), 1);
	abi_lease(h->fd, 0);
	EXPECT_EQ(write(h->tell, "", 1), 1);
	EXPECT_EQ(read(h->told, &byte, 1), 1);
	*(volatile uint8_t *)rx = 1;
	return CHECK_PASS;
}

/*
 * Who has had the lease says that it is out of its slot, and while it waits for
 * the socket's lock another process gets the lease: its rings are not the
 * former's to give back.
 */
static void late_detach(void)
{
	struct pair p = net_pair();
	/* The call's last word lies on the page that is not there. */
	uint8_t *pages = fresh_pages(2);
	struct trap t = trap_at(pages + 4096);
	struct abi a = abi_open(p.c, 1);
	struct onload_lease l = abi_lease(p.c, 0);
	struct onload_handback back = { .generation = l.generation,
					.reason = ONLOAD_R_LIBRARY };
	struct linger linger = { 0 };
	uint32_t slot = 0;
	struct call c = { .fd = p.c,
			  .option = ONLOAD_DETACH,
			  .len = sizeof(slot),
			  .arg = &slot };
	struct stall s = { p.c, pages + 4096 - sizeof(int) };
	int tell[2], told[2];
	struct heir h = { .fd = p.c };
	pthread_t holder;
	char byte;
	pid_t pid;

	EXPECT(a.map);
	EXPECT(!pipe(tell) && !pipe(told));
	h.tell = tell[1];
	h.told = told[0];
	EXPECT(!abi_set(p.c, ONLOAD_HANDBACK, &back, sizeof(back)));
	pid = check_fork(inherit, &h);
	EXPECT_EQ(read(tell[0], &byte, 1), 1);
	EXPECT(!pthread_create(&holder, NULL, hold_lock, &s));
	trap_sprung(&t);
	EXPECT_EQ(write(told[1], "", 1), 1);
	/*
	 * Time for it to stand in the queue; then we stand behind it. Nothing
	 * tells who stands there, and a guest may be slow.
	 */
	sleep(1);
	EXPECT(!pthread_create(&c.thread, NULL, run_call, &c));
	sleep(1);
	trap_open(&t, &linger.l_linger, sizeof(linger.l_linger));
	pthread_join(holder, NULL);
	pthread_join(c.thread, NULL);
	EXPECT_EQ(read(tell[0], &byte, 1), 1);
	EXPECT_EQ(write(told[1], "", 1), 1);
	check_wait(pid);
	EXPECT_EQ(c.ret, -1);
	EXPECT_EQ(c.err, ESTALE);
}

/* A byte each takes hundreds of the host's memory until it has left. */
static void small_kicks(void)
{
	const int many = 20000;
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 1);
	struct onload_lease l = abi_lease(p.c, 0);
	struct onload_slot *slot = &a.slots[0];
	int i;

	if (system("tc qdisc replace dev lo root tbf rate 8kbit burst 2000 "
		   "limit 100000000"))
		check_skip("no sch_tbf");
	/* Nothing is overdue. */
	slot->state[slot->word & 1].rto_at_ms = (uint32_t)net_ms() + 60000;
	for (i = 0; i < many; i++) {
		struct onload_seg seg =
			abi_segment(&a, ONLOAD_SEG_SELF, &l, "x", 1);

		if (abi_set(p.c, ONLOAD_KICK, &seg, sizeof(seg)) != 1)
			break;
	}
	EXPECT_EQ(errno, ENOBUFS);
	EXPECT(i < many);
	EXPECT(!system("tc qdisc delete dev lo root"));
}

static struct onload_seg empty_segment(struct abi *a, int fd,
				       const struct onload_lease *l)
{
	struct onload_seg seg = abi_segment(a, fd, l, "", 0);

	seg.flags = 0;
	return seg;
}

/* Takes @len more bytes as received and read, but leaves the ring as it is. */
static void swallow(struct abi *a, int fd, const struct onload_lease *l,
		    uint32_t len)
{
	struct onload_slot *s = &a->slots[l->slot];
	struct onload_tcp_state *next = &s->state[~s->word & 1];
	struct onload_seg seg;

	*next = s->state[s->word & 1];
	next->rcv_nxt += len;
	next->copied_seq = next->rcv_nxt;
	s->word = ONLOAD_W_NEXT(s->word);
	seg = empty_segment(a, fd, l);
	seg.wnd = a->ctx.rx_size / 2 & ~((1u << s->c.rcv_wscale) - 1);
	EXPECT_EQ(abi_set(fd, ONLOAD_KICK, &seg, sizeof(seg)), 1);
}

/* Makes a record, whatever is there, that of a bare segment. */
static void forge(uint8_t *at, uint32_t len, uint32_t seq, uint32_t ack)
{
	struct onload_rec rec = { .len = len };
	struct tcphdr th = {
		.seq = htonl(seq), .ack_seq = htonl(ack), .doff = 5, .ack = 1
	};

	memcpy(at, &rec, sizeof(rec));
	memcpy(at + sizeof(rec), &th, sizeof(th));
}

/* A record longer than any skb: what Linux queues must be what it counts. */
static void oversized_record(void)
{
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 1);
	struct onload_lease l = abi_lease(p.c, 0);
	struct onload_slot *s = &a.slots[0];
	static char buf[1 << 20];
	struct onload_tcp_state st;

	while (s->rx_prod < ONLOAD_REC_SIZE(ONLOAD_REC_MAX) + 48) {
		uint32_t prod = s->rx_prod;
		uint64_t end = net_ms() + 5000;

		net_send(p.s, buf, 4000);
		while (*(volatile uint32_t *)&s->rx_prod == prod)
			EXPECT(net_ms() < end);
		swallow(&a, p.c, &l, 4000);
	}
	st = s->state[s->word & 1];
	forge(abi_rx(&a, 0), ONLOAD_REC_MAX, st.rcv_nxt, st.snd_una);
	forge(abi_rx(&a, 0) + ONLOAD_REC_SIZE(ONLOAD_REC_MAX), 21,
	      st.rcv_nxt + ONLOAD_REC_MAX - 20, st.snd_una);
	/* Either they are refused, or these bytes of our own making are there. */
	while (recv(p.c, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

/* No receiver on plain sockets can acknowledge what has not arrived. */
static void early_acknowledgement(void)
{
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 1);
	struct onload_lease l = abi_lease(p.c, 0);
	struct onload_seg seg = empty_segment(&a, p.c, &l);

	seg.ack++;
	seg.wnd -= 1u << a.slots[0].c.rcv_wscale;
	EXPECT_ERR(abi_set(p.c, ONLOAD_KICK, &seg, sizeof(seg)), EINVAL);
	net_exchange(p.c, p.s);
}

/* Nor does Linux, told the same by a reclaim. */
static void early_import(void)
{
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 1);
	struct onload_slot *s = &a.slots[0];
	char byte;

	abi_lease(p.c, 0);
	s->state[0].rcv_nxt += 1000;
	s->state[0].copied_seq += 1000;
	s->state[1] = s->state[0];
	EXPECT_ERR(recv(p.c, &byte, 1, MSG_DONTWAIT), ECONNABORTED);
}

/* The window creeps no further by any number of promises. */
static void creeping_window(void)
{
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 1);
	struct onload_lease l = abi_lease(p.c, 0);
	struct onload_seg seg = empty_segment(&a, p.c, &l);
	uint32_t unit = 1u << a.slots[0].c.rcv_wscale;

	for (int i = 0; i < 10000; i++) {
		seg.wnd += unit;
		if (abi_set(p.c, ONLOAD_KICK, &seg, sizeof(seg)) < 0 &&
		    errno != ENOBUFS)
			break;
	}
	EXPECT_EQ(errno, EINVAL);
	EXPECT(seg.wnd <= a.ctx.rx_size / 2 + 2 * unit);
}

/* A mapping that was asked to move stays, and so does its context. */
static void moved_mapping(void)
{
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 1);
	void *to = mmap(NULL, a.ctx.map_size, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 1 };

	EXPECT(to != MAP_FAILED);
	abi_lease(p.c, 0);
	EXPECT(mremap(a.map, a.ctx.map_size, a.ctx.map_size,
		      MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED);
	EXPECT(a.slots[0].word & ONLOAD_W_USER);
	EXPECT_ERR(abi_get(p.c, ONLOAD_CONTEXT, &ctx, sizeof(ctx)), EBUSY);
	net_exchange(p.c, p.s);
	abi_lease(p.c, 0);
	EXPECT(a.slots[0].word & ONLOAD_W_USER);
}

static sigjmp_buf fault;
static atomic_bool racing;

static void on_bus(int sig)
{
	siglongjmp(fault, sig);
}

static bool touch(volatile uint8_t *at)
{
	if (sigsetjmp(fault, 1))
		return false;
	*at = 1;
	return true;
}

static void *toucher(void *arg)
{
	while (atomic_load(&racing))
		touch(arg);
	return NULL;
}

/* Rings that were given back are out of reach, whoever touches them just then:
 * else they are memory that nobody pays for.
 */
static void detached_page(void)
{
	struct sigaction sa = { .sa_handler = on_bus };
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 1);
	uint64_t end = net_ms() + 10000;
	uint32_t slot = 0;

	EXPECT(!sigaction(SIGBUS, &sa, NULL));
	for (int i = 0; i < 3000 && net_ms() < end; i++) {
		pthread_t t;

		abi_lease(p.c, 0);
		atomic_store(&racing, true);
		EXPECT(!pthread_create(&t, NULL, toucher, abi_tx(&a, 0)));
		for (uint64_t spin = (uint64_t)i % 40 * 100; spin; spin--)
			__asm__ volatile("pause");
		EXPECT(!abi_set(p.c, ONLOAD_DETACH, &slot, sizeof(slot)));
		atomic_store(&racing, false);
		pthread_join(t, NULL);
		EXPECT(!touch(abi_tx(&a, 0)));
	}
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
static const struct check checks[] = {
	CHECK(retired_kick),
	CHECK(retired_handback),
	CHECK(retired_wait),
	CHECK(oversized_record),
	CHECK(early_acknowledgement),
	CHECK(early_import),
	CHECK(creeping_window),
	CHECK(moved_mapping),
	CHECK(stalled_workers),
	CHECK(late_detach),
	CHECK(small_kicks),
	CHECK(detached_page),
	CHECK(extension_headers),
	CHECK(late_fragment),
	CHECK(same_tuple),
	CHECK(crossed_locks),
	CHECK(closing_ends),
	CHECK(former_bytes),
	CHECK(outlived_mapping),
};

int main(int argc, char **argv)
{
	net_family_onload = true;
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 1 ? argv[1] : NULL);
}
