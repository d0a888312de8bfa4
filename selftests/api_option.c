// SPDX-License-Identifier: GPL-2.0
/* What a socket says of itself, and how it ends. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <unistd.h>

#include "api.h"
#include "net.h"

#ifndef SOL_TCP
#define SOL_TCP 6
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	EXPECT(!getsockopt(fd, level, name, &value, &len));
	return value;
}

static void identity(void)
{
	struct pair p = net_warm_pair();
	int fds[] = { p.c, p.s };

	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(option(fds[i], SOL_SOCKET, SO_DOMAIN),
			  net_ipv6 ? AF_INET6 : AF_INET);
		EXPECT_EQ(option(fds[i], SOL_SOCKET, SO_TYPE), SOCK_STREAM);
		EXPECT_EQ(option(fds[i], SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
		EXPECT_EQ(option(fds[i], SOL_SOCKET, SO_ACCEPTCONN), 0);
		EXPECT_EQ(option(fds[i], SOL_SOCKET, SO_ERROR), 0);
	}
}

static void names(void)
{
	struct pair p = net_warm_pair();
	struct addr a[4];
	int fds[] = { p.c, p.s };

	for (int i = 0; i < 4; i++)
		memset(&a[i], 0, sizeof(a[i]));
	for (int i = 0; i < 2; i++) {
		a[2 * i].len = a[2 * i + 1].len = sizeof(a[0].sa);
		EXPECT(!getsockname(fds[i], (void *)&a[2 * i].sa,
				    &a[2 * i].len));
		EXPECT(!getpeername(fds[i], (void *)&a[2 * i + 1].sa,
				    &a[2 * i + 1].len));
	}
	EXPECT(!memcmp(&a[0], &a[3], sizeof(a[0])));
	EXPECT(!memcmp(&a[1], &a[2], sizeof(a[0])));
	EXPECT_EQ(a[0].sa.ss_family, net_ipv6 ? AF_INET6 : AF_INET);
}

static void mapped_address(void)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct addr at;
	int l, c, off = 0;
	char byte;

	if (!net_ipv6)
		check_skip("IPv6 only");
	l = net_socket(SOCK_STREAM);
	EXPECT(!setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)));
	EXPECT(!bind(l, (void *)&in6, sizeof(in6)) && !listen(l, 1));
	at.len = sizeof(in6);
	EXPECT(!getsockname(l, (void *)&in6, &at.len));
	EXPECT(inet_pton(AF_INET6, "::ffff:127.0.0.1", &in6.sin6_addr) == 1);
	c = net_client_socket();
	EXPECT(!connect(c, (void *)&in6, sizeof(in6)));
	l = accept(l, NULL, NULL);
	EXPECT(l >= 0);
	net_warm(c, l);
	net_send(c, "x", 1);
	net_recv(l, &byte, 1);
}

static void options_stick(void)
{
	struct pair p = net_warm_pair();
	int one = 1, v = 7;

	EXPECT(!setsockopt(p.c, SOL_TCP, TCP_NODELAY, &one, sizeof(one)));
	EXPECT_EQ(option(p.c, SOL_TCP, TCP_NODELAY), 1);
	EXPECT(!setsockopt(p.c, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	EXPECT_EQ(option(p.c, SOL_SOCKET, SO_KEEPALIVE), 1);
	EXPECT(!setsockopt(p.c, SOL_TCP, TCP_KEEPIDLE, &v, sizeof(v)));
	EXPECT_EQ(option(p.c, SOL_TCP, TCP_KEEPIDLE), 7);
	EXPECT(option(p.c, SOL_TCP, TCP_MAXSEG) > 100);
	EXPECT_ERR(setsockopt(p.c, SOL_TCP, TCP_KEEPIDLE, &v, 1), EINVAL);
	EXPECT_ERR(setsockopt(p.c, SOL_TCP, 9999, &v, sizeof(v)), ENOPROTOOPT);
	net_warm(p.c, p.s);
}

static void tcp_info(void)
{
	struct pair p = net_warm_pair();
	struct tcp_info c0, c1, s0, s1;
	socklen_t len = sizeof(c0);
	static char block[10000];

	EXPECT(!getsockopt(p.c, SOL_TCP, TCP_INFO, &c0, &len));
	EXPECT(!getsockopt(p.s, SOL_TCP, TCP_INFO, &s0, &len));
	EXPECT_EQ(c0.tcpi_state, 1 /* established */);
	net_warm(p.c, p.s);
	net_send(p.c, block, sizeof(block));
	net_recv(p.s, block, sizeof(block));
	net_send(p.s, "x", 1);
	net_recv(p.c, block, 1);
	EXPECT(!getsockopt(p.c, SOL_TCP, TCP_INFO, &c1, &len));
	EXPECT(!getsockopt(p.s, SOL_TCP, TCP_INFO, &s1, &len));
	/* The warming bytes come on top. */
	EXPECT(s1.tcpi_bytes_received - s0.tcpi_bytes_received >= 10001);
	EXPECT(s1.tcpi_bytes_received - s0.tcpi_bytes_received < 30000);
	EXPECT(c1.tcpi_bytes_acked - c0.tcpi_bytes_acked >= 10001);
	EXPECT(c1.tcpi_bytes_acked - c0.tcpi_bytes_acked < 30000);
	EXPECT_EQ(c1.tcpi_unacked, 0);
	EXPECT(c1.tcpi_segs_out > c0.tcpi_segs_out);
	EXPECT(s1.tcpi_data_segs_in > s0.tcpi_data_segs_in);
}

static void shutdown_write(void)
{
	struct pair p = net_warm_pair();
	char buf[4];

	net_send(p.c, "end", 3);
	EXPECT(!shutdown(p.c, SHUT_WR));
	EXPECT_ERR(send(p.c, "x", 1, MSG_NOSIGNAL), EPIPE);
	net_recv(p.s, buf, 3);
	net_expect_eof(p.s);
	net_expect_eof(p.s);
	net_send(p.s, "rev", 3);
	net_recv(p.c, buf, 3);
	EXPECT(!memcmp(buf, "rev", 3));
	close(p.s);
	net_expect_eof(p.c);
}

static void shutdown_read(void)
{
	struct pair p = net_warm_pair();
	char byte;

	EXPECT(!shutdown(p.s, SHUT_RD));
	net_expect_eof(p.s);
	net_send(p.s, "x", 1);
	net_recv(p.c, &byte, 1);
	EXPECT_EQ(byte, 'x');
}

/* Unread data makes the close a reset. */
static void close_unread(void)
{
	struct pair p = net_warm_pair();
	struct pollfd end = { .fd = p.c };
	char byte;

	net_send(p.c, "unread", 6);
	EXPECT(net_readable(p.s, 5000));
	close(p.s);
	EXPECT_EQ(poll(&end, 1, 5000), 1);
	EXPECT(end.revents & POLLERR);
	EXPECT_ERR(recv(p.c, &byte, 1, 0), ECONNRESET);
	net_expect_eof(p.c);
}

static void linger_reset(void)
{
	struct pair p = net_warm_pair();
	struct linger lin = { .l_onoff = 1 };
	char byte;

	EXPECT(!setsockopt(p.s, SOL_SOCKET, SO_LINGER, &lin, sizeof(lin)));
	net_warm(p.c, p.s);
	close(p.s);
	EXPECT(net_readable(p.c, 5000));
	EXPECT_ERR(recv(p.c, &byte, 1, 0), ECONNRESET);
	EXPECT_ERR(send(p.c, "x", 1, MSG_NOSIGNAL), EPIPE);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	pipes++;
}

static void broken_pipe(void)
{
	struct pair p = net_warm_pair();
	struct sigaction sa = { .sa_handler = on_pipe };
	char byte;

	EXPECT(!sigaction(SIGPIPE, &sa, NULL));
	close(p.s);
	net_expect_eof(p.c);
	/* Answered by a reset: from then on it is broken. */
	EXPECT_EQ(send(p.c, "x", 1, 0), 1);
	for (int i = 0; i < 500 && !option(p.c, SOL_SOCKET, SO_ERROR); i++)
		usleep(10000);
	EXPECT_EQ(pipes, 0);
	EXPECT_ERR(send(p.c, "x", 1, 0), EPIPE);
	EXPECT_EQ(pipes, 1);
	EXPECT_ERR(write(p.c, "x", 1), EPIPE);
	EXPECT_EQ(pipes, 2);
	EXPECT_ERR(send(p.c, "x", 1, MSG_NOSIGNAL), EPIPE);
	EXPECT_EQ(pipes, 2);
	EXPECT_EQ(recv(p.c, &byte, 1, 0), 0);
}

static void refused_types(void)
{
	if (!net_family_onload)
		check_skip("of AF_ONLOAD only");
	EXPECT_ERR(socket(AF_ONLOAD, SOCK_RAW, IPPROTO_TCP), ESOCKTNOSUPPORT);
	EXPECT_ERR(socket(AF_ONLOAD, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	EXPECT_ERR(socket(AF_ONLOAD, SOCK_STREAM, IPPROTO_UDP),
		   EPROTONOSUPPORT);
	EXPECT_ERR(socket(AF_ONLOAD, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
}

/* Dissolves the association; the socket can be used again. */
static void disconnect(void)
{
	struct pair p = net_warm_pair();
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct addr at;
	int l, s;
	char byte;

	EXPECT(!connect(p.c, &none, sizeof(none)));
	EXPECT(net_readable(p.s, 20000));
	EXPECT(recv(p.s, &byte, 1, 0) <= 0);
	EXPECT_ERR(send(p.c, "x", 1, MSG_NOSIGNAL), ECONNRESET);
	EXPECT_ERR(send(p.c, "x", 1, MSG_NOSIGNAL), EPIPE);
	l = net_listen(&at);
	EXPECT(!connect(p.c, (void *)&at.sa, at.len));
	s = accept(l, NULL, NULL);
	EXPECT(s >= 0);
	net_exchange(p.c, s);
}

static void tls_key(int fd, int direction)
{
	struct tls12_crypto_info_aes_gcm_128 key = {
		.info.version = TLS_1_2_VERSION,
		.info.cipher_type = TLS_CIPHER_AES_GCM_128,
	};

	EXPECT(!setsockopt(fd, SOL_TLS, direction, &key, sizeof(key)));
}

static void kernel_tls(void)
{
	struct pair p = net_warm_pair();
	struct onload_info info;
	bool ours = net_info(p.c, &info);
	char buf[16];

	if (setsockopt(p.c, SOL_TCP, TCP_ULP, "tls", 4)) {
		EXPECT_EQ(errno, ENOENT);
		check_skip("no kernel TLS");
	}
	EXPECT(!setsockopt(p.s, SOL_TCP, TCP_ULP, "tls", 4));
	tls_key(p.c, TLS_TX);
	tls_key(p.s, TLS_RX);
	net_send(p.c, "secret", 6);
	EXPECT_EQ(recv(p.s, buf, 16, 0), 6);
	EXPECT(!memcmp(buf, "secret", 6));
	/* Put back to Linux: it does not know our level any more. */
	if (ours)
		EXPECT(!net_info(p.c, &info));
	close(p.c);
	EXPECT(net_readable(p.s, 5000));
}

/* How much is left comes with what was received. */
static void inq(void)
{
	struct pair p = net_warm_pair();
	char buf[4], control[256];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int on = 1, left;

	EXPECT(!setsockopt(p.s, SOL_TCP, TCP_INQ, &on, sizeof(on)));
	net_exchange(p.c, p.s);
	net_send(p.c, "0123456789", 10);
	EXPECT(net_readable(p.s, 5000));
	EXPECT_EQ(recvmsg(p.s, &msg, 0), 4);
	c = CMSG_FIRSTHDR(&msg);
	EXPECT(c && c->cmsg_level == SOL_TCP && c->cmsg_type == TCP_CM_INQ);
	memcpy(&left, CMSG_DATA(c), sizeof(left));
	EXPECT_EQ(left, 6);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
const struct check api_option[] = {
	CHECK(identity),      CHECK(names),	   CHECK(mapped_address),
	CHECK(options_stick), CHECK(tcp_info),	   CHECK(shutdown_write),
	CHECK(shutdown_read), CHECK(close_unread), CHECK(linger_reset),
	CHECK(broken_pipe),   CHECK(disconnect),   CHECK(refused_types),
	CHECK(kernel_tls),    CHECK(inq),
};
const size_t api_option_count = sizeof(api_option) / sizeof(*api_option);
