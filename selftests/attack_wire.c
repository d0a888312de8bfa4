// SPDX-License-Identifier: GPL-2.0
/* What arrives for a leased flow, and must not pass it by. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi.h"
#include "attack.h"
#include "check.h"
#include "net.h"

#define PAYLOAD 3000

struct packet {
	struct virtio_net_hdr vnet;
	uint8_t eth[14];
	struct ip6_hdr ip;
	uint8_t rest[8192];
} __attribute__((packed));

static uint32_t sum16(uint32_t sum, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
	return sum;
}

uint16_t attack_checksum(const void *segment, size_t len)
{
	uint32_t sum;

	sum = sum16(IPPROTO_TCP + (uint32_t)len, &in6addr_loopback, 16);
	sum = sum16(sum16(sum, &in6addr_loopback, 16), segment, len);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* A segment from the peer, in order as the state has it; its length */
static size_t segment(uint8_t *to, struct pair p,
		      const struct onload_tcp_state *st)
{
	struct sockaddr_in6 from, at;
	socklen_t len = sizeof(at);
	struct tcphdr th = { .doff = 5, .ack = 1 };
	size_t size = sizeof(th) + PAYLOAD;

	EXPECT(!getsockname(p.c, (void *)&at, &len));
	EXPECT(!getpeername(p.c, (void *)&from, &len));
	th.source = from.sin6_port;
	th.dest = at.sin6_port;
	th.seq = htonl(st->rcv_nxt);
	th.ack_seq = htonl(st->snd_una);
	th.window = htons(512);
	memset(to, 'f', size);
	memcpy(to, &th, sizeof(th));
	th.check = attack_checksum(to, size);
	memcpy(to, &th, sizeof(th));
	return size;
}

/* Only the fixed header is in the linear part, as of a device that splits */
static void transmit(struct packet *k, uint8_t next, size_t rest)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_IPV6),
				  .sll_ifindex = (int)if_nametoindex("lo"),
				  .sll_halen = 6 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;
	size_t len = offsetof(struct packet, rest) + rest;

	EXPECT(fd >= 0);
	EXPECT(!setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)));
	memset(k, 0, offsetof(struct packet, rest));
	k->vnet.hdr_len = sizeof(k->eth) + sizeof(k->ip);
	k->eth[12] = ETH_P_IPV6 >> 8;
	k->eth[13] = ETH_P_IPV6 & 0xff;
	k->ip.ip6_vfc = 6 << 4;
	k->ip.ip6_plen = htons((uint16_t)rest);
	k->ip.ip6_nxt = next;
	k->ip.ip6_hlim = 64;
	k->ip.ip6_src = in6addr_loopback;
	k->ip.ip6_dst = in6addr_loopback;
	EXPECT_EQ(sendto(fd, k, len, 0, (void *)&to, sizeof(to)), len);
	close(fd);
}

static struct onload_tcp_state current(const struct onload_slot *s)
{
	return s->state[s->word & 1];
}

/* Headers before TCP's, longer than what is linear */
void extension_headers(void)
{
	struct onload_tcp_state st;
	struct onload_lease l = { .abi = ONLOAD_ABI };
	static struct packet k;
	uint64_t end;
	struct pair p;
	struct abi a;
	size_t opt = 2048;

	net_ipv6 = true;
	p = net_pair();
	a = abi_open(p.c, 1);
	abi_lease(p.c, 0);
	st = current(&a.slots[0]);
	/* Destination options: one PadN after another */
	k.rest[0] = IPPROTO_TCP;
	k.rest[1] = (uint8_t)(opt / 8 - 1);
	for (size_t at = 2; at < opt; at += 2 + k.rest[at + 1]) {
		size_t pad = opt - at - 2 > 253 ? 250 : opt - at - 2;

		k.rest[at] = 1;
		k.rest[at + 1] = (uint8_t)(pad > 253 ? 253 : pad);
	}
	transmit(&k, IPPROTO_DSTOPTS, opt + segment(k.rest + opt, p, &st));
	/* It is Linux's to say whether that is an honest segment. */
	end = net_ms() + 5000;
	while (__atomic_load_n(&a.slots[0].word, __ATOMIC_ACQUIRE) &
	       ONLOAD_W_USER) {
		EXPECT(net_ms() < end);
		usleep(1000);
	}
	EXPECT_EQ(a.slots[0].reason, ONLOAD_R_FILTER);
	net_exchange(p.c, p.s);
	/* And it stays Linux's, as the next may look like this one. */
	EXPECT_ERR(abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l)), EOPNOTSUPP);
	EXPECT_EQ(l.reason, ONLOAD_R_POLICY);
}

static void fragment(const uint8_t *bytes, size_t from, size_t to, size_t len)
{
	struct ip6_frag f = { .ip6f_nxt = IPPROTO_TCP,
			      .ip6f_offlg =
				      htons((uint16_t)(from | (to < len))),
			      .ip6f_ident = htonl(0x6f6c6431) };
	static struct packet k;

	memcpy(k.rest, &f, sizeof(f));
	memcpy(k.rest + sizeof(f), bytes + from, to - from);
	transmit(&k, IPPROTO_FRAGMENT, sizeof(f) + to - from);
}

/* The last fragment of a segment comes when the flow has been leased. */
void late_fragment(void)
{
	struct onload_tcp_state st;
	static uint8_t bytes[8192];
	struct onload_handback h;
	struct onload_lease l;
	uint32_t prod;
	uint64_t end;
	struct pair p;
	struct abi a;
	char byte;
	size_t len;

	net_ipv6 = true;
	p = net_pair();
	a = abi_open(p.c, 1);
	l = abi_lease(p.c, 0);
	st = current(&a.slots[0]);
	len = segment(bytes, p, &st);
	h = (struct onload_handback){ l.generation, ONLOAD_R_LIBRARY };
	EXPECT(!abi_set(p.c, ONLOAD_HANDBACK, &h, sizeof(h)));
	fragment(bytes, 0, 1600, len);
	l = abi_lease(p.c, 0);
	prod = a.slots[0].rx_prod;
	fragment(bytes, 1600, len, len);
	/* A whole segment, so it takes the road of all segments. */
	end = net_ms() + 2000;
	while (__atomic_load_n(&a.slots[0].rx_prod, __ATOMIC_ACQUIRE) == prod) {
		EXPECT(net_ms() < end);
		usleep(1000);
	}
	for (size_t got = 0; got < PAYLOAD; got++) {
		net_recv(p.c, &byte, 1);
		EXPECT_EQ(byte, 'f');
	}
}

static int socket_in(const char *ns)
{
	int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	char path[256];
	int there, fd;

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	there = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(here >= 0 && there >= 0 && !setns(there, CLONE_NEWNET));
	fd = net_socket(SOCK_STREAM);
	EXPECT(!setns(here, CLONE_NEWNET));
	close(there);
	close(here);
	return fd;
}

/* 192.0.2.2:4660 in @ns to 192.0.2.1:22136 by @device: always the same tuple */
static struct pair tuple_pair(const char *ns, const char *device)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(22136),
				  .sin_addr.s_addr = htonl(0xc0000201) };
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_port = htons(4660) };
	int l = socket_in(getenv("T_TWIN_SERVER"));
	struct pair p = { .c = socket_in(ns) };

	EXPECT(!setsockopt(l, SOL_SOCKET, SO_BINDTODEVICE, device,
			   (socklen_t)strlen(device)));
	EXPECT(!bind(l, (void *)&at, sizeof(at)) && !listen(l, 1));
	EXPECT(!bind(p.c, (void *)&from, sizeof(from)));
	EXPECT(!connect(p.c, (void *)&at, sizeof(at)));
	p.s = accept(l, NULL, NULL);
	EXPECT(p.s >= 0);
	close(l);
	return p;
}

/* Two leased flows of one tuple, told apart by the devices they are bound to */
void same_tuple(void)
{
	const char *names[2] = { getenv("T_TWIN_A"), getenv("T_TWIN_B") };
	const char *devices[2] = { "veth", "twin" };
	struct pair p[2];
	struct abi a = { 0 };

	EXPECT(names[0] && names[1]);
	for (int i = 0; i < 2; i++) {
		p[i] = tuple_pair(names[i], devices[i]);
		if (!i)
			a = abi_open(p[i].s, 2);
		abi_lease(p[i].s, i);
	}
	for (int i = 0; i < 2; i++) {
		uint32_t prod = a.slots[i].rx_prod;
		uint64_t end = net_ms() + 5000;

		net_send(p[i].c, "x", 1);
		while (__atomic_load_n(&a.slots[i].rx_prod, __ATOMIC_ACQUIRE) ==
		       prod)
			EXPECT(net_ms() < end);
	}
}
