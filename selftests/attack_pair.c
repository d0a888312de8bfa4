// SPDX-License-Identifier: GPL-2.0
/* Two ends that become a wire, and part again, at the worst of times. */
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi.h"
#include "attack.h"
#include "check.h"
#include "net.h"

#define STORM	 3000 /* ms */
#define PATIENCE 5000 /* ms */
#define SECRET	 0x5ec7e7a11b17e5ull
#define SPOT	 (ONLOAD_WIRE_HEAD + 256)

/* Both mappings */
struct view {
	struct abi a;
	const uint8_t *peers;
};

static struct view view_open(int fd, uint32_t nslots)
{
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = nslots };
	struct view v;

	EXPECT(!abi_get(fd, ONLOAD_CONTEXT, &ctx, sizeof(ctx)));
	v.a.ctx = ctx;
	v.a.map = mmap(NULL, ctx.map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       ctx.fd, 0);
	v.peers = mmap(NULL, nslots * ctx.wire_stride, PROT_READ, MAP_SHARED,
		       ctx.fd, (off_t)ctx.map_size);
	EXPECT(v.a.map != MAP_FAILED && v.peers != MAP_FAILED);
	v.a.slots = (struct onload_slot *)(v.a.map + ctx.slots_off);
	close(ctx.fd);
	return v;
}

/* 0 or errno; then @l says more */
static int ask(int fd, uint32_t slot, struct onload_lease *l)
{
	*l = (struct onload_lease){ .abi = ONLOAD_ABI,
				    .slot = slot,
				    .flags = ONLOAD_L_WIRE | ONLOAD_L_AFTER };
	return abi_get(fd, ONLOAD_LEASE, l, sizeof(*l)) ? errno : 0;
}

static void wire(struct pair p, uint32_t c, uint32_t s)
{
	uint64_t end = net_ms() + PATIENCE;
	struct onload_lease l;

	while (!net_wired(p.c) || !net_wired(p.s)) {
		ask(p.c, c, &l);
		ask(p.s, s, &l);
		EXPECT(net_ms() < end);
	}
}

static void give_back(int fd, uint32_t generation)
{
	struct onload_handback h = { generation, ONLOAD_R_LIBRARY };

	abi_set(fd, ONLOAD_HANDBACK, &h, sizeof(h));
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 at;
	socklen_t len = sizeof(at);

	EXPECT(!getsockname(fd, (void *)&at, &len));
	return at.sin6_port;
}

/* Acknowledgements of nothing, each way in turn, until it is killed */
static int chatter(void *arg)
{
	const struct pair *p = arg;
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_IPV6),
				  .sll_ifindex = (int)if_nametoindex("lo"),
				  .sll_halen = 6 };
	struct {
		uint8_t eth[14];
		struct ip6_hdr ip;
		struct tcphdr th;
	} __attribute__((packed)) k[2] = {};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	EXPECT(fd >= 0);
	for (int i = 0; i < 2; i++) {
		k[i].eth[12] = ETH_P_IPV6 >> 8;
		k[i].eth[13] = ETH_P_IPV6 & 0xff;
		k[i].ip.ip6_vfc = 6 << 4;
		k[i].ip.ip6_plen = htons(sizeof(k[i].th));
		k[i].ip.ip6_nxt = IPPROTO_TCP;
		k[i].ip.ip6_hlim = 64;
		k[i].ip.ip6_src = k[i].ip.ip6_dst = in6addr_loopback;
		k[i].th.source = port_of(i ? p->c : p->s);
		k[i].th.dest = port_of(i ? p->s : p->c);
		k[i].th.doff = 5;
		k[i].th.ack = 1;
		k[i].th.check = attack_checksum(&k[i].th, sizeof(k[i].th));
	}
	for (unsigned int i = 0;; i++)
		EXPECT_EQ(sendto(fd, &k[i & 1], sizeof(k[0]), 0, (void *)&to,
				 sizeof(to)),
			  sizeof(k[0]));
}

/*
 * The gate has a packet for one end while the other is being paired with it:
 * each holds the lock that the other wants, and the guest stands still.
 */
void crossed_locks(void)
{
	struct pair p;
	struct onload_lease c, s;
	unsigned int wires = 0;
	uint64_t end;
	pid_t pid;

	net_ipv6 = true;
	p = net_pair();
	view_open(p.c, 2);
	wire(p, 0, 1);
	pid = check_fork(chatter, &p);
	end = net_ms() + STORM;
	while (net_ms() < end) {
		ask(p.c, 0, &c);
		ask(p.s, 1, &s);
		wires += net_wired(p.c);
		give_back(p.c, c.generation);
		give_back(p.s, s.generation);
	}
	kill(pid, SIGKILL);
	check_note("%u wires", wires);
	EXPECT(wires > 0);
}

struct asker {
	_Atomic int fd;
	atomic_bool over;
};

static void *keep_asking(void *arg)
{
	struct asker *a = arg;
	struct onload_lease l;

	while (!atomic_load(&a->over))
		ask(atomic_load(&a->fd), 0, &l);
	return NULL;
}

/*
 * One end leaves, by close() or DETACH, while the other asks for a wire: it is
 * gone then, and its slot is free.
 */
void closing_ends(void)
{
	struct asker a = {};
	struct onload_lease l;
	struct pair p = net_pair();
	uint64_t end = net_ms() + STORM;
	unsigned int n, busy = 0;
	uint32_t slot = 1;
	pthread_t other;
	int err;

	view_open(p.c, 2);
	a.fd = p.c;
	EXPECT(!pthread_create(&other, NULL, keep_asking, &a));
	for (n = 0; net_ms() < end; n++) {
		struct pair next = net_pair();

		for (int i = 0; i < 20; i++) {
			err = ask(p.s, slot, &l);
			busy += err == EBUSY;
		}
		if (n & 1) {
			EXPECT(!abi_set(p.s, ONLOAD_DETACH, &slot,
					sizeof(slot)) ||
			       errno == ESTALE);
		}
		close(p.s);
		close(atomic_exchange(&a.fd, next.c));
		p = next;
	}
	atomic_store(&a.over, true);
	pthread_join(other, NULL);
	check_note("%u ends", n);
	EXPECT_EQ(busy, 0);
	EXPECT(n > 10);
}

static int new_holder(void *arg)
{
	const int *fd = arg;

	abi_open(*fd, 1);
	abi_lease(*fd, 0);
	return CHECK_PASS;
}

/* The bytes of a connection that went to another process are not the next's. */
void former_bytes(void)
{
	struct pair first = net_pair(), second;
	struct onload_lease l;
	struct view v = view_open(first.c, 3);
	volatile uint64_t *own = (void *)(v.a.map + v.a.ctx.wire_off + SPOT);
	const volatile uint64_t *seen =
		(const void *)(v.peers + 2 * v.a.ctx.wire_stride + SPOT);

	wire(first, 0, 1);
	*own = SECRET;
	ask(first.c, 0, &l);
	give_back(first.c, l.generation);
	check_wait(check_fork(new_holder, &first.c));
	close(first.c);
	second = net_pair();
	wire(second, 0, 2);
	EXPECT_EQ(*seen, 0);
}

/* Without the first mapping the second shows nothing. */
void outlived_mapping(void)
{
	struct pair p = net_pair();
	struct view v = view_open(p.c, 2);
	volatile uint64_t *own = (void *)(v.a.map + v.a.ctx.wire_off + SPOT);
	const uint8_t *seen = v.peers + v.a.ctx.wire_stride + SPOT;
	uint64_t got = 0, end = net_ms() + PATIENCE;
	int tell[2];

	EXPECT(!pipe(tell));
	wire(p, 0, 1);
	*own = SECRET;
	EXPECT_EQ(*(const volatile uint64_t *)seen, SECRET);
	EXPECT(!munmap(v.a.map, v.a.ctx.map_size));
	do {
		EXPECT(net_ms() < end);
		usleep(1000);
		/* A page that is not there any more is no crash this way. */
		if (write(tell[1], seen, sizeof(got)) != sizeof(got))
			return;
		EXPECT(read(tell[0], &got, sizeof(got)) == sizeof(got));
	} while (got == SECRET);
	EXPECT_EQ(got, 0);
}
