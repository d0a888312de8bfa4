// SPDX-License-Identifier: GPL-2.0
/*
 * What happens around a leased connection, outside of its two processes: each
 * time Linux takes over, for the reason that it shows, and no byte is lost.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi.h"
#include "check.h"
#include "net.h"

/* A command in the namespace of the server or the client; true if it succeeds */
__attribute__((format(printf, 2, 3))) static bool in(const char *ns,
						     const char *command, ...)
{
	char text[512], line[700];
	va_list ap;

	va_start(ap, command);
	vsnprintf(text, sizeof(text), command, ap);
	va_end(ap);
	snprintf(line, sizeof(line), "ip netns exec %s %s", getenv(ns), text);
	check_note("$ %s", line);
	return !system(line);
}

static void expect_reclaim(int fd, uint32_t reason)
{
	uint64_t end = net_ms() + 5000;
	struct onload_info info;

	do {
		EXPECT(net_info(fd, &info));
		if (!info.leased && info.reason == reason)
			return;
		usleep(2000);
	} while (net_ms() < end);
	check_fail(__FILE__, __LINE__, "%s, %s instead of %s",
		   info.leased ? "leased" : "not leased",
		   net_reason(info.reason), net_reason(reason));
}

static void expect_refusal(int fd, uint32_t reason)
{
	struct onload_lease l = { .abi = ONLOAD_ABI };

	EXPECT_ERR(abi_get(fd, ONLOAD_LEASE, &l, sizeof(l)), EOPNOTSUPP);
	if (l.reason != reason)
		check_fail(__FILE__, __LINE__, "refused for %s instead of %s",
			   net_reason(l.reason), net_reason(reason));
}

static in_port_t port_of(int fd)
{
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);

	EXPECT(!getsockname(fd, (void *)&a, &len));
	return ntohs(a.sin6_port);
}

/* The peer's firewall turns a segment of the lease away, with an ICMP error. */
static void icmp(const char *type)
{
	struct pair p = net_pair();
	struct abi a = abi_open(p.c, 1);
	struct onload_lease l = abi_lease(p.c, 0);
	struct onload_seg seg;
	char byte;

	EXPECT(in("T_SERVER_NS", "nft add table inet t"));
	EXPECT(in("T_SERVER_NS", "nft add chain inet t input "
				 "'{ type filter hook input priority 0; }'"));
	EXPECT(in("T_SERVER_NS",
		  "nft add rule inet t input tcp dport %d reject with %s",
		  port_of(p.s), type));
	seg = abi_segment(&a, p.c, &l, "i", 1);
	EXPECT_EQ(abi_set(p.c, ONLOAD_KICK, &seg, sizeof(seg)), 1);
	expect_reclaim(p.c, ONLOAD_R_ICMP);
	EXPECT(in("T_SERVER_NS", "nft delete table inet t"));
	net_recv(p.s, &byte, 1);
	EXPECT_EQ(byte, 'i');
	net_exchange(p.c, p.s);
}

static void icmp4(void)
{
	icmp("icmp type admin-prohibited");
}

static void icmp6(void)
{
	net_ipv6 = true;
	EXPECT(!setenv("T_ADDR", getenv("T_ADDR6"), 1));
	icmp("icmpv6 type admin-prohibited");
}

/* What such an error means at once to a socket that asked for it, Linux alone
 * can say.
 */
static void recverr(void)
{
	struct pair p = net_pair();
	int on = 1;

	abi_open(p.c, 1);
	abi_lease(p.c, 0);
	EXPECT(!setsockopt(p.c, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)));
	expect_refusal(p.c, ONLOAD_R_OPTIONS);
	on = 0;
	EXPECT(!setsockopt(p.c, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)));
	abi_lease(p.c, 0);
	net_exchange(p.c, p.s);
}

static void recverr6(void)
{
	struct pair p;
	int on = 1;

	net_ipv6 = true;
	EXPECT(!setenv("T_ADDR", getenv("T_ADDR6"), 1));
	p = net_pair();
	abi_open(p.c, 1);
	abi_lease(p.c, 0);
	EXPECT(!setsockopt(p.c, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on)));
	expect_refusal(p.c, ONLOAD_R_OPTIONS);
}

static void device_down(void)
{
	struct pair p = net_pair(), other = net_pair();

	abi_open(p.c, 2);
	abi_lease(p.c, 0);
	/* Both know their device. */
	net_exchange(other.c, other.s);
	abi_lease(other.c, 1);
	EXPECT(in("T_CLIENT_NS", "ip link set veth down"));
	expect_reclaim(p.c, ONLOAD_R_DEVICE);
	expect_reclaim(other.c, ONLOAD_R_DEVICE);
	expect_refusal(p.c, ONLOAD_R_DEVICE);
	EXPECT(in("T_CLIENT_NS", "ip link set veth up"));
	net_exchange(p.c, p.s);
	net_exchange(other.c, other.s);
	abi_lease(p.c, 0);
}

/* Of another device nobody takes notice. */
static void other_device(void)
{
	struct pair p = net_pair();
	struct onload_info info;

	abi_open(p.c, 1);
	abi_lease(p.c, 0);
	EXPECT(in("T_CLIENT_NS", "ip link add other type dummy"));
	EXPECT(in("T_CLIENT_NS", "ip link set other up"));
	EXPECT(in("T_CLIENT_NS", "ip link delete other"));
	EXPECT(net_info(p.c, &info));
	EXPECT(info.leased);
}

static void set_tcp_mem(const char *value)
{
	int fd = open("/proc/sys/net/ipv4/tcp_mem", O_WRONLY);

	EXPECT(fd >= 0);
	EXPECT_EQ(write(fd, value, strlen(value)), strlen(value));
	close(fd);
}

/* Linux counts by the megabyte, and notices when a socket takes or gives back. */
static void hoard(int fd)
{
	static char buf[100000];
	int room = 16 << 20;

	EXPECT(!setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room,
			   sizeof(room)));
	while (send(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	EXPECT_EQ(errno, EAGAIN);
}

static void memory_pressure(void)
{
	struct pair p = net_pair(), other = net_pair();
	const char *before = getenv("T_TCP_MEM");

	EXPECT(before);
	abi_open(p.c, 1);
	abi_lease(p.c, 0);
	set_tcp_mem("0 1 1000000");
	hoard(other.c);
	net_send(p.s, "m", 1);
	expect_reclaim(p.c, ONLOAD_R_PRESSURE);
	net_recv(p.c, &(char){ 0 }, 1);
	expect_refusal(p.c, ONLOAD_R_PRESSURE);
	set_tcp_mem(before);
	close(other.s);
	close(other.c);
	abi_lease(p.c, 0);
	net_exchange(p.c, p.s);
}

static int bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int sockmap_open(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_SOCKMAP,
				.key_size = 4,
				.value_size = 4,
				.max_entries = 1 };
	int map = bpf(BPF_MAP_CREATE, &attr);

	if (map < 0 && errno == EINVAL)
		check_skip("the kernel has no sockmaps");
	EXPECT(map >= 0);
	return map;
}

static void sockmap_put(int map, int fd)
{
	uint32_t key = 0;
	union bpf_attr attr = { .map_fd = (uint32_t)map,
				.key = (uintptr_t)&key,
				.value = (uintptr_t)&fd };

	EXPECT(!bpf(BPF_MAP_UPDATE_ELEM, &attr));
}

static void sockmap_remove(int map)
{
	uint32_t key = 0;
	union bpf_attr attr = { .map_fd = (uint32_t)map,
				.key = (uintptr_t)&key };

	EXPECT(!bpf(BPF_MAP_DELETE_ELEM, &attr));
}

/* A sockmap takes over what a lease looks for its own at. */
static void sockmap(void)
{
	int map = sockmap_open();
	struct pair p = net_pair();
	struct onload_lease l;
	struct onload_seg seg;
	struct abi a;
	char buf[7];

	a = abi_open(p.c, 1);
	l = abi_lease(p.c, 0);
	seg = abi_segment(&a, p.c, &l, "s", 1);
	EXPECT_EQ(abi_set(p.c, ONLOAD_KICK, &seg, sizeof(seg)), 1);
	net_send(p.s, "abc", 3);
	sockmap_put(map, p.c);
	net_send(p.s, "def", 3);
	expect_reclaim(p.c, ONLOAD_R_FILTER);
	net_recv(p.c, buf, 6);
	EXPECT(!memcmp(buf, "abcdef", 6));
	net_recv(p.s, buf, 1);
	net_exchange(p.c, p.s);
	expect_refusal(p.c, ONLOAD_R_NOT_STOCK);
	sockmap_remove(map);
	abi_lease(p.c, 0);
	net_exchange(p.c, p.s);
	/* The socket goes while the map has it; and the map after that. */
	sockmap_put(map, p.c);
	close(p.c);
	close(map);
	EXPECT_EQ(recv(p.s, buf, 1, 0), 0);
}

static void sockmap6(void)
{
	net_ipv6 = true;
	EXPECT(!setenv("T_ADDR", getenv("T_ADDR6"), 1));
	sockmap();
}

/* For module.sh, which has the module come and go between: nothing of it is
 * called for a socket that it never saw.
 */
static void sockmap_plain6(void)
{
	int map = sockmap_open();
	char command[100];
	struct pair p;

	net_family_onload = false;
	net_ipv6 = true;
	p = net_pair();
	sockmap_put(map, p.c);
	EXPECT(!system(getenv("T_BETWEEN")));
	snprintf(command, sizeof(command),
		 "ss -6Kt state established dst '[::1]:%d' >/dev/null",
		 port_of(p.s));
	EXPECT(!system(command));
	EXPECT_ERR(recv(p.c, &(char){ 0 }, 1, 0), ECONNABORTED);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
static const struct check checks[] = {
	CHECK(icmp4),		CHECK(icmp6),	    CHECK(recverr),
	CHECK(recverr6),	CHECK(device_down), CHECK(other_device),
	CHECK(memory_pressure), CHECK(sockmap),	    CHECK(sockmap6),
};
static const struct check plain[] = { CHECK(sockmap_plain6) };

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;

	net_family_onload = true;
	if (only && !strcmp(only, plain->name))
		return check_all(plain, 1, only);
	return check_all(checks, sizeof(checks) / sizeof(*checks), only);
}
