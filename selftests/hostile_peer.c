// SPDX-License-Identifier: GPL-2.0
/*
 * The other side: a server of plain sockets that answers, stalls or closes,
 * and whoever watches what arrives there.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "hostile.h"

#define PEERS 256
#define TICK  5 /* ms */

enum temper { ECHO, SINK, SOURCE, STALL, LEAVE, ABORT, URGENT, TEMPERS };

struct peer {
	enum temper temper;
	uint64_t until; /* net_ms() */
};

static void enter_server(void)
{
	const char *name = getenv("T_SERVER_NS");
	char path[256];
	int fd;

	if (!name)
		return;
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(fd >= 0 && !setns(fd, CLONE_NEWNET));
	close(fd);
}

/* False when it is over with the connection */
static bool peer_tick(struct dice *d, int fd, const struct peer *p)
{
	struct linger linger = { .l_onoff = 1 };
	static char buf[32768];
	ssize_t n = 0;

	if (net_ms() > p->until) {
		if (p->temper == ABORT)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
				   sizeof(linger));
		if (p->temper == LEAVE)
			shutdown(fd, SHUT_WR);
		else
			return false;
	}
	if (p->temper != STALL)
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (!n && p->temper != STALL)
		return false;
	if (n < 0 && errno != EAGAIN)
		return false;
	if (n > 0 && p->temper == ECHO)
		send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (p->temper == SOURCE || p->temper == ABORT)
		send(fd, buf, dice_size(d, sizeof(buf)),
		     MSG_DONTWAIT | MSG_NOSIGNAL);
	if (p->temper == URGENT && !dice_roll(d, 4))
		send(fd, buf, 1, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_OOB);
	return p->temper != LEAVE || net_ms() < p->until + 100;
}

int peer_run(void *arg)
{
	const struct storm *s = arg;
	struct pollfd fds[PEERS + 1] = { { .fd = s->listener,
					   .events = POLLIN } };
	struct dice d = { pattern_mix(s->seed ^ 0x5045) };
	static struct peer peers[PEERS + 1];
	nfds_t n = 1;

	while (!atomic_load(&s->tally->over)) {
		/* Who only sends, or waits, goes by the clock. */
		poll(fds, n, TICK);
		for (nfds_t i = 1; i < n; i++) {
			if (peer_tick(&d, fds[i].fd, &peers[i]))
				continue;
			close(fds[i].fd);
			fds[i] = fds[--n];
			peers[i--] = peers[n];
		}
		if (fds[0].revents & POLLIN && n <= PEERS) {
			int fd =
				accept4(s->listener, NULL, NULL, SOCK_NONBLOCK);

			if (fd < 0)
				continue;
			fds[n] = (struct pollfd){ .fd = fd };
			peers[n].until = net_ms() + dice_roll(&d, 1000);
			peers[n].temper = (enum temper)dice_roll(&d, TEMPERS);
			if (peers[n].temper == ECHO || peers[n].temper == SINK)
				fds[n].events = POLLIN;
			n++;
		}
	}
	return CHECK_PASS;
}

/* What is captured of a packet: as much as tells whose it is */
struct frame {
	struct ethhdr eth;
	union {
		struct {
			struct iphdr ip;
			struct tcphdr tcp;
		} __attribute__((packed)) v4;
		struct {
			struct ip6_hdr ip;
			struct tcphdr tcp;
		} __attribute__((packed)) v6;
		uint8_t bytes[100];
	};
} __attribute__((packed));

static bool ours(const struct storm *s, uint16_t port)
{
	return atomic_load(&s->tally->ours[ntohs(port)]);
}

/* Neither of the kernel's own (ARP, neighbours, multicast) nor of us */
static bool frame_alien(const struct storm *s, const struct frame *f,
			size_t len)
{
	uint16_t here = ((const struct sockaddr_in *)&s->at.sa)->sin_port;
	uint16_t witness = htons(atomic_load(&s->tally->witness));
	uint16_t from, to;

	switch (ntohs(f->eth.h_proto)) {
	case ETH_P_ARP:
		return false;
	case ETH_P_IP:
		if (f->v4.ip.protocol != IPPROTO_TCP || f->v4.ip.ihl != 5 ||
		    len < sizeof(f->eth) + sizeof(f->v4) ||
		    f->v4.ip.frag_off & htons(0x3fff))
			return true;
		from = f->v4.tcp.source;
		to = f->v4.tcp.dest;
		break;
	case ETH_P_IPV6:
		if (f->v6.ip.ip6_nxt == IPPROTO_ICMPV6 || !f->v6.ip.ip6_nxt)
			return false;
		if (f->v6.ip.ip6_nxt != IPPROTO_TCP ||
		    len < sizeof(f->eth) + sizeof(f->v6))
			return true;
		from = f->v6.tcp.source;
		to = f->v6.tcp.dest;
		break;
	default:
		return true;
	}
	/* A client's port may have a server's number, in the other namespace. */
	return !((to == here || to == witness) && ours(s, from)) &&
	       !((from == here || from == witness) && ours(s, to));
}

static bool addresses_alien(const struct storm *s, const struct frame *f)
{
	const struct sockaddr_in6 *in6 = (const void *)&s->at.sa;
	const struct sockaddr_in *in = (const void *)&s->at.sa;

	/* One of them is the server's; the link has but two. */
	if (f->eth.h_proto == htons(ETH_P_IP))
		return f->v4.ip.saddr != in->sin_addr.s_addr &&
		       f->v4.ip.daddr != in->sin_addr.s_addr;
	if (f->eth.h_proto == htons(ETH_P_IPV6) &&
	    f->v6.ip.ip6_nxt == IPPROTO_TCP)
		return memcmp(&f->v6.ip.ip6_src, &in6->sin6_addr, 16) &&
		       memcmp(&f->v6.ip.ip6_dst, &in6->sin6_addr, 16);
	return false;
}

static int capture_open(void)
{
	const char *device = getenv("T_SERVER_NS") ? "veth" : "lo";
	struct sock_filter heads =
		BPF_STMT(BPF_RET | BPF_K, sizeof(struct frame));
	struct sock_fprog program = { 1, &heads };
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), room = 16 << 20;

	EXPECT(fd >= 0);
	EXPECT(!setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
			   sizeof(program)));
	EXPECT(!setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room,
			   sizeof(room)));
	at.sll_ifindex = (int)if_nametoindex(device);
	EXPECT(!bind(fd, (void *)&at, sizeof(at)));
	return fd;
}

static void alien(const struct frame *f, size_t len)
{
	char text[3 * sizeof(*f) + 1];

	for (size_t i = 0; i < len; i++)
		sprintf(text + 3 * i, "%02x ", ((const uint8_t *)f)[i]);
	check_note("not of our connections: %s", text);
}

int capture_run(void *arg)
{
	const struct storm *s = arg;
	struct tally *t = s->tally;
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);
	struct frame f;
	int fd;

	enter_server();
	fd = capture_open();
	/* Until all is quiet after the end */
	while (net_readable(fd, 300) || !atomic_load(&t->over)) {
		ssize_t n = recv(fd, &f, sizeof(f), MSG_DONTWAIT);

		if (n < (ssize_t)sizeof(f.eth))
			continue;
		atomic_fetch_add(&t->captured, 1);
		if (!frame_alien(s, &f, (size_t)n) && !addresses_alien(s, &f))
			continue;
		if (atomic_fetch_add(&t->alien, 1) < 10)
			alien(&f, (size_t)n);
	}
	EXPECT(!getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len));
	atomic_store(&t->dropped, stats.tp_drops);
	return CHECK_PASS;
}
