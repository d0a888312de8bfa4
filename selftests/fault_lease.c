// SPDX-License-Identifier: GPL-2.0
/* What a lease asks for, from the first one in a namespace to its end. */
#include <dirent.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi.h"
#include "fault.h"
#include "net.h"
#include "pattern.h"

#define SEED	   42
#define PART	   3000u
#define WATCH_RUNS 24u

static unsigned int fins_lost;

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	EXPECT(!ioctl(fd, SIOCSIFFLAGS, &ifr));
	close(fd);
}

/* Flow, gate, slot, rings: refused, and the next one is given. */
static int first_lease(void *arg)
{
	struct onload_lease l = { .abi = ONLOAD_ABI };
	struct fault_run *run = arg;
	struct pair p;
	struct abi a;
	int ret;

	EXPECT(!unshare(CLONE_NEWNET));
	loopback_up();
	p = net_pair();
	a = abi_open(p.c, 4);
	run->left = UNDER_FAULT(run->n, ret,
				abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)));
	if (ret && l.reason == ONLOAD_R_NOMEM)
		EXPECT_EQ(errno, ENOMEM);
	if (!ret)
		EXPECT(!abi_set(p.c, ONLOAD_DETACH, &l.slot, sizeof(l.slot)));
	abi_lease(p.c, 0);
	EXPECT_EQ(a.slots[0].c.family, AF_INET);
	EXPECT(!abi_set(p.c, ONLOAD_DETACH, &l.slot, sizeof(l.slot)));
	net_exchange(p.c, p.s);
	return CHECK_PASS;
}

static unsigned int one_first_lease(unsigned int n)
{
	return fault_apart(first_lease, n)->left;
}

void fault_first_leases(void)
{
	fault_sweep(one_first_lease);
}

/* A leased connection with everything that a reclaim has to carry over:
 * records processed and unread, records unprocessed, bytes in flight, bytes
 * never sent. The kernel's end of each direction knows how many are due.
 */
struct scene {
	struct pair p;
	struct abi a;
	struct onload_lease l;
	uint32_t begin;	    /* sequence number of the server's first byte */
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

		/* An emulated processor may look like a lost segment. */
		if (ntohl(th->seq) == next->rcv_nxt)
			next->rcv_nxt += len;
		else
			EXPECT((int32_t)(ntohl(th->seq) + len -
					 next->rcv_nxt) <= 0);
		next->rx_proc += ONLOAD_REC_SIZE(rec->len);
	}
	EXPECT(__atomic_compare_exchange_n(&slot->word, &word,
					   ONLOAD_W_NEXT(word), false,
					   __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* Where the stream in the ring ends, read or not */
static uint32_t arrived(const struct scene *s)
{
	uint32_t prod =
		__atomic_load_n(&s->a.slots[0].rx_prod, __ATOMIC_ACQUIRE);
	uint32_t end = s->begin;

	for (uint32_t at = 0; at != prod;) {
		const struct onload_rec *rec =
			(const void *)(abi_rx(&s->a, 0) + at);
		const struct tcphdr *th = (const void *)(rec + 1);
		uint32_t to = ntohl(th->seq) + rec->len - th->doff * 4;

		if ((int32_t)(to - end) > 0)
			end = to;
		at += ONLOAD_REC_SIZE(rec->len);
	}
	return end;
}

static void server_says(struct scene *s, uint32_t len)
{
	uint8_t buf[PART];

	pattern_fill(buf, len, SEED, s->to_client);
	net_send(s->p.s, buf, len);
	s->to_client += len;
	while (arrived(s) != s->begin + s->to_client)
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
	s.begin = committed(&s)->rcv_nxt;
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

/* A small segment alone may need nothing but what the kernel has at hand. */
static unsigned int one_kick(unsigned int n)
{
	struct scene s = scene_open();
	struct onload_seg seg[2];
	unsigned int left;
	int ret;

	seg[0] = client_says(&s, 100);
	seg[1] = client_says(&s, 12000);
	left = UNDER_FAULT(n, ret,
			   abi_set(s.p.c, ONLOAD_KICK, seg, sizeof(seg)));
	scene_whole(&s);
	scene_close(&s);
	return left;
}

void fault_kicks(void)
{
	fault_sweep(one_kick);
}

/* A raw system call takes the lease back, whatever becomes of the call. */
static unsigned int one_reclaim(unsigned int n)
{
	struct scene s = scene_open();
	struct tcp_info info;
	socklen_t len = sizeof(info);
	struct onload_info mine;
	unsigned int left;
	int ret;

	scene_loaded(&s);
	left = UNDER_FAULT(
		n, ret, getsockopt(s.p.c, IPPROTO_TCP, TCP_INFO, &info, &len));
	EXPECT(net_info(s.p.c, &mine));
	EXPECT(!mine.leased);
	scene_whole(&s);
	scene_close(&s);
	return left;
}

void fault_reclaims(void)
{
	fault_sweep(one_reclaim);
}

/* close() with bytes unsent: they arrive, then the end. But tcp_send_fin() of
 * Linux gives up when one of the two parts of its own skb is refused, or the
 * page that a slab needs for one.
 */
static unsigned int one_close(unsigned int n)
{
	struct scene s = scene_open();
	struct onload_seg seg = client_says(&s, 12000);
	unsigned int left;
	int ret;

	EXPECT_EQ(abi_set(s.p.c, ONLOAD_KICK, &seg, sizeof(seg)), 1);
	client_says(&s, PART);
	committed(&s)->snd_nxt -= PART;
	left = UNDER_FAULT(n, ret, close(s.p.c));
	EXPECT(!ret);
	expect_bytes(s.p.s, s.to_server, SEED + 1);
	if (left || net_readable(s.p.s, 3000))
		net_expect_eof(s.p.s);
	else
		fins_lost++;
	scene_close(&s);
	return left;
}

void fault_closes(void)
{
	fault_sweep(one_close);
	check_note("Linux lost %u FINs", fins_lost);
	EXPECT(fins_lost <= 4);
}

/* The lease is not given back but taken, by the watch: in a kworker, which is
 * not known before. So all that can be it get the order.
 */
static unsigned int arm_workers(unsigned int n)
{
	DIR *proc = opendir("/proc");
	unsigned int left = FAULT_NEVER;
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
	if (!left)
		fault_count();
	scene_whole(&s);
	scene_close(&s);
	return left;
}

/* Another worker than ours may have been the one: no run is the last. */
void fault_watches(void)
{
	FILE *term = fopen("/proc/sys/net/onload/lease_term_ms", "w");

	/* Long enough to set the scene */
	EXPECT(term && fputs("300", term) > 0 && !fclose(term));
	for (unsigned int n = 1; n <= WATCH_RUNS; n++)
		one_watch(n);
	fault_report(WATCH_RUNS);
}

/* Out of our hands, for good: or it stays there, and lives. */
static unsigned int one_retirement(unsigned int n)
{
	struct scene s = scene_open();
	unsigned int left;
	int ret;

	client_says(&s, 100);
	left = UNDER_FAULT(n, ret,
			   setsockopt(s.p.c, IPPROTO_TCP, TCP_ULP, "tls", 4));
	scene_whole(&s);
	scene_close(&s);
	return left;
}

void fault_retirements(void)
{
	struct pair p = net_pair();

	if (setsockopt(p.c, IPPROTO_TCP, TCP_ULP, "tls", 4))
		check_skip("a kernel without TLS");
	fault_sweep(one_retirement);
}
