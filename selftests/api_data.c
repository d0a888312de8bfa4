// SPDX-License-Identifier: GPL-2.0
/* Moving bytes. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "api.h"
#include "net.h"
#include "pattern.h"

#define BULK 300000

static char bulk[BULK];

/* Reads BULK bytes of the pattern, in a process of its own. */
static int read_bulk(void *arg)
{
	net_recv(*(int *)arg, bulk, sizeof(bulk));
	EXPECT_EQ(pattern_right(bulk, sizeof(bulk), 1, 0), BULK);
	return CHECK_PASS;
}

static int bulk_file(void)
{
	int fd = memfd_create("bulk", MFD_CLOEXEC);

	pattern_fill(bulk, sizeof(bulk), 1, 0);
	EXPECT(fd >= 0 && write(fd, bulk, sizeof(bulk)) == sizeof(bulk));
	return fd;
}

static void sendfile_whole(void)
{
	struct pair p = net_warm_pair();
	pid_t reader = check_fork(read_bulk, &p.s);
	int fd = bulk_file();
	off_t off = 0;

	while (off < BULK)
		EXPECT(sendfile(p.c, fd, &off, BULK - off) > 0);
	check_wait(reader);
}

static void splice_in(void)
{
	struct pair p = net_warm_pair();
	pid_t reader = check_fork(read_bulk, &p.s);
	loff_t off = 0;
	int fd = bulk_file(), pipes[2];

	EXPECT(!pipe(pipes));
	while (off < BULK) {
		ssize_t n = splice(fd, &off, pipes[1], NULL, 30000, 0);

		EXPECT(n > 0);
		while (n) {
			ssize_t m = splice(pipes[0], NULL, p.c, NULL, n, 0);

			EXPECT(m > 0);
			n -= m;
		}
	}
	check_wait(reader);
}

static void splice_out(void)
{
	struct pair p = net_warm_pair();
	size_t got = 0;
	int pipes[2];

	pattern_fill(bulk, 50000, 1, 0);
	net_send(p.c, bulk, 50000);
	EXPECT(!pipe(pipes));
	memset(bulk, 0, sizeof(bulk));
	while (got < 50000) {
		ssize_t n = splice(p.s, NULL, pipes[1], NULL, 50000 - got, 0);

		EXPECT(n > 0);
		while (n) {
			ssize_t m = read(pipes[0], bulk + got, n);

			EXPECT(m > 0);
			got += m;
			n -= m;
		}
	}
	EXPECT_EQ(pattern_right(bulk, 50000, 1, 0), 50000);
}

static void peek(void)
{
	struct pair p = net_warm_pair();
	char buf[16];

	net_send(p.c, "hello world", 11);
	EXPECT_EQ(recv(p.s, buf, 5, MSG_PEEK | MSG_WAITALL), 5);
	EXPECT(!memcmp(buf, "hello", 5));
	EXPECT_EQ(recv(p.s, buf, 11, MSG_PEEK | MSG_WAITALL), 11);
	EXPECT(!memcmp(buf, "hello world", 11));
	net_recv(p.s, buf, 6);
	EXPECT_EQ(recv(p.s, buf, 16, MSG_PEEK | MSG_DONTWAIT), 5);
	EXPECT_EQ(recv(p.s, buf, 16, 0), 5);
	EXPECT(!memcmp(buf, "world", 5));
	EXPECT_ERR(recv(p.s, buf, 16, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
}

static void *send_thrice(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < 3; i++) {
		usleep(50000);
		net_send(fd, "abcde", 5);
	}
	return NULL;
}

static long sleeps(void)
{
	struct rusage usage;

	EXPECT(!getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_nvcsw;
}

static void waitall(void)
{
	struct pair p = net_warm_pair();
	long before = sleeps();
	pthread_t writer;
	char buf[16];

	EXPECT(!pthread_create(&writer, NULL, send_thrice, &p.c));
	EXPECT_EQ(recv(p.s, buf, 15, MSG_WAITALL), 15);
	EXPECT(!memcmp(buf, "abcdeabcdeabcde", 15));
	/* Not only for the first part of it; one may have come too soon. */
	EXPECT(sleeps() - before >= 2);
	EXPECT(!pthread_join(writer, NULL));
	/* The end of the stream cuts it short. */
	net_send(p.c, "xyz", 3);
	close(p.c);
	EXPECT_EQ(recv(p.s, buf, 15, MSG_WAITALL), 3);
	net_expect_eof(p.s);
}

/* What a call left is there for the next one, whatever was sent in between. */
static void left_unread(void)
{
	struct pair p = net_warm_pair();
	char sent[128], half[64];

	for (int i = 0; i < 20; i++) {
		memset(sent, 'a' + i, sizeof(sent));
		net_send(p.c, sent, sizeof(sent));
		EXPECT(net_readable(p.s, 5000));
		for (int n = 0; n < 2; n++) {
			EXPECT_EQ(recv(p.s, half, sizeof(half), 0),
				  sizeof(half));
			EXPECT(!memcmp(half, sent, sizeof(half)));
			net_send(p.s, half, sizeof(half));
		}
		net_recv(p.c, sent, sizeof(sent));
	}
}

static void out_of_band(void)
{
	struct pair p = net_warm_pair();
	struct pollfd pri = { .fd = p.s, .events = POLLPRI };
	char buf[16];
	int at = 0;

	net_send(p.c, "ab", 2);
	EXPECT_EQ(send(p.c, "c!", 2, MSG_OOB), 2);
	net_send(p.c, "de", 2);
	EXPECT_EQ(poll(&pri, 1, 5000), 1);
	EXPECT(pri.revents & POLLPRI);
	EXPECT_EQ(recv(p.s, buf, 1, MSG_OOB), 1);
	EXPECT_EQ(buf[0], '!');
	EXPECT_EQ(recv(p.s, buf, 16, 0), 3);
	EXPECT(!memcmp(buf, "abc", 3));
	EXPECT(!ioctl(p.s, SIOCATMARK, &at));
	EXPECT_EQ(at, 1);
	net_recv(p.s, buf, 2);
	EXPECT(!memcmp(buf, "de", 2));
	EXPECT_ERR(recv(p.s, buf, 1, MSG_OOB), EINVAL);
}

static void out_of_band_inline(void)
{
	struct pair p = net_warm_pair();
	int one = 1;
	char buf[4];

	EXPECT(!setsockopt(p.s, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)));
	net_send(p.c, "ab", 2);
	EXPECT_EQ(send(p.c, "!", 1, MSG_OOB), 1);
	net_recv(p.s, buf, 2);
	net_recv(p.s, buf + 2, 1);
	EXPECT(!memcmp(buf, "ab!", 3));
}

static void queue_lengths(void)
{
	struct pair p = net_warm_pair();
	uint64_t end = net_ms() + 5000;
	char buf[1000];
	int n = -1;

	EXPECT(!ioctl(p.s, FIONREAD, &n));
	EXPECT_EQ(n, 0);
	net_send(p.c, buf, 1000);
	EXPECT(net_readable(p.s, 5000));
	while (n != 1000 && net_ms() < end)
		EXPECT(!ioctl(p.s, FIONREAD, &n));
	EXPECT_EQ(n, 1000);
	net_recv(p.s, buf, 400);
	EXPECT(!ioctl(p.s, FIONREAD, &n));
	EXPECT_EQ(n, 600);
	/* Acknowledged in the end, with nobody calling. */
	while (n && net_ms() < end)
		EXPECT(!ioctl(p.c, SIOCOUTQ, &n));
	EXPECT_EQ(n, 0);
}

static void scatter(void)
{
	struct pair p = net_warm_pair();
	char a[3], b[1], c[100], name[128];
	struct iovec out[] = { { "one", 3 }, { "", 0 }, { "-two-", 5 } };
	struct iovec in[] = { { a, 3 }, { b, 1 }, { c, 100 } };
	struct msghdr msg = { .msg_iov = out, .msg_iovlen = 3 };

	EXPECT_EQ(writev(p.c, out, 3), 8);
	EXPECT_EQ(readv(p.s, in, 3), 8);
	EXPECT(!memcmp(a, "one", 3) && b[0] == '-' && !memcmp(c, "two-", 4));
	EXPECT_EQ(sendmsg(p.c, &msg, 0), 8);
	msg = (struct msghdr){ .msg_iov = in,
			       .msg_iovlen = 3,
			       .msg_flags = -1,
			       .msg_name = name,
			       .msg_namelen = sizeof(name) };
	EXPECT_EQ(recvmsg(p.s, &msg, 0), 8);
	EXPECT_EQ(msg.msg_namelen, 0);
	EXPECT_EQ(msg.msg_controllen, 0);
	EXPECT_EQ(msg.msg_flags, 0);
	EXPECT(!memcmp(a, "one", 3) && b[0] == '-' && !memcmp(c, "two-", 4));
}

#define ROUNDS 10
#define WARM   100

static int send_pieces(void *arg)
{
	struct dice d = { 11 };
	int fd = *(int *)arg;

	/* By turns at first, as a lease needs a quiet connection. */
	for (int i = 0; i < WARM; i++) {
		net_recv(fd, bulk, 1);
		net_send(fd, bulk, 1);
	}
	pattern_fill(bulk, BULK, 1, 0);
	for (int i = 0; i < ROUNDS; i++) {
		for (size_t n, pos = 0; pos < BULK; pos += n) {
			n = dice_size(&d, 300);
			if (n > BULK - pos)
				n = BULK - pos;
			net_send(fd, bulk + pos, n);
		}
	}
	return CHECK_PASS;
}

static size_t receive_pieces(int fd, struct dice *d, char *buf, size_t len)
{
	size_t half = dice_size(d, len);
	struct iovec iov[] = { { buf, half }, { buf + half, len - half } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	switch (dice_roll(d, 3)) {
	case 0:
		n = recv(fd, buf, half, MSG_WAITALL);
		EXPECT_EQ(n, half);
		return n;
	case 1:
		n = readv(fd, iov, 2);
		break;
	default:
		n = recvmsg(fd, &msg, 0);
	}
	EXPECT(n > 0);
	return n;
}

/* More arrives while a call is collecting what is there. */
static void scatter_in_flight(void)
{
	struct pair p = net_pair();
	pid_t writer = check_fork(send_pieces, &p.c);
	struct dice d = { 12 };

	close(p.c);
	for (int i = 0; i < WARM; i++) {
		net_send(p.s, bulk, 1);
		net_recv(p.s, bulk, 1);
	}
	for (int i = 0; i < ROUNDS; i++) {
		for (size_t got = 0; got < BULK;)
			got += receive_pieces(p.s, &d, bulk + got, BULK - got);
		EXPECT_EQ(pattern_right(bulk, BULK, 1, 0), BULK);
		memset(bulk, 0, BULK);
	}
	check_wait(writer);
}

static void many_messages(void)
{
	struct pair p = net_warm_pair();
	struct iovec out[] = { { "abc", 3 }, { "defg", 4 } };
	struct mmsghdr msgs[2] = {
		{ .msg_hdr = { .msg_iov = &out[0], .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_iov = &out[1], .msg_iovlen = 1 } },
	};
	char buf[8];

	EXPECT_EQ(sendmmsg(p.c, msgs, 2, 0), 2);
	EXPECT_EQ(msgs[1].msg_len, 4);
	net_recv(p.s, buf, 7);
	EXPECT(!memcmp(buf, "abcdefg", 7));
	net_send(p.c, "hij", 3);
	out[0] = (struct iovec){ buf, sizeof(buf) };
	EXPECT_EQ(recvmmsg(p.s, msgs, 1, 0, NULL), 1);
	EXPECT_EQ(msgs[0].msg_len, 3);
}

static void empty(void)
{
	struct pair p = net_warm_pair();
	char byte;

	EXPECT_EQ(send(p.c, "", 0, 0), 0);
	EXPECT_EQ(write(p.c, "", 0), 0);
	net_send(p.c, "x", 1);
	EXPECT(net_readable(p.s, 5000));
	EXPECT_EQ(recv(p.s, &byte, 0, 0), 0);
	EXPECT_EQ(read(p.s, &byte, 0), 0);
	net_recv(p.s, &byte, 1);
	EXPECT_EQ(byte, 'x');
}

static void truncate_stream(void)
{
	struct pair p = net_warm_pair();
	char buf[8];

	net_send(p.c, "abcdef", 6);
	EXPECT(net_readable(p.s, 5000));
	EXPECT_EQ(recv(p.s, NULL, 4, MSG_TRUNC), 4);
	net_recv(p.s, buf, 2);
	EXPECT(!memcmp(buf, "ef", 2));
}

static void fill_and_drain(void)
{
	struct pair p = net_warm_pair();
	uint64_t sent = 0, got = 0;
	ssize_t n;

	net_nonblock(p.c);
	EXPECT_ERR(recv(p.c, bulk, 1, 0), EAGAIN);
	for (;;) {
		pattern_fill(bulk, 7777, 2, sent);
		n = send(p.c, bulk, 7777, 0);
		if (n < 0)
			break;
		sent += n;
	}
	EXPECT_EQ(errno, EAGAIN);
	while (got < sent) {
		n = recv(p.s, bulk, 5000, 0);
		EXPECT(n > 0);
		EXPECT_EQ(pattern_right(bulk, n, 2, got), n);
		got += n;
	}
	EXPECT_ERR(recv(p.s, bulk, 1, MSG_DONTWAIT), EAGAIN);
}

/* Linux lets go of what is held back after 200 ms; a busy machine may need
 * that long to look. Then the attempt says nothing.
 */
#define HELD_MS 200

static bool held(int fd, uint64_t since)
{
	if (!net_readable(fd, 50))
		return true;
	EXPECT(net_ms() - since >= HELD_MS);
	return false;
}

static bool whole(int fd, uint64_t since)
{
	char buf[16];
	bool six = recv(fd, buf, 16, 0) == 6;

	EXPECT(six || net_ms() - since >= HELD_MS);
	return six;
}

static bool cork_holds(void)
{
	struct pair p = net_warm_pair();
	uint64_t begin = net_ms();
	int on = 1, off = 0;

	EXPECT(!setsockopt(p.c, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)));
	net_send(p.c, "abc", 3);
	if (!held(p.s, begin))
		return false;
	net_send(p.c, "def", 3);
	EXPECT(!setsockopt(p.c, IPPROTO_TCP, TCP_CORK, &off, sizeof(off)));
	return whole(p.s, begin);
}

static bool more_holds(void)
{
	struct pair p = net_warm_pair();
	uint64_t begin = net_ms();

	EXPECT_EQ(send(p.c, "abc", 3, MSG_MORE), 3);
	if (!held(p.s, begin))
		return false;
	EXPECT_EQ(send(p.c, "def", 3, 0), 3);
	return whole(p.s, begin);
}

static void cork(void)
{
	for (int i = 0; !cork_holds(); i++)
		EXPECT(i < 20);
}

static void more(void)
{
	for (int i = 0; !more_holds(); i++)
		EXPECT(i < 20);
}

static void zerocopy(void)
{
	struct pair p = net_warm_pair();
	struct pollfd err = { .fd = p.c };
	char control[128];
	struct msghdr msg = { .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int one = 1;

	EXPECT(!setsockopt(p.c, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
	pattern_fill(bulk, 20000, 3, 0);
	EXPECT_EQ(send(p.c, bulk, 20000, MSG_ZEROCOPY), 20000);
	net_recv(p.s, bulk + 50000, 20000);
	EXPECT_EQ(pattern_right(bulk + 50000, 20000, 3, 0), 20000);
	EXPECT_EQ(poll(&err, 1, 5000), 1);
	EXPECT(err.revents & POLLERR);
	EXPECT_EQ(recvmsg(p.c, &msg, MSG_ERRQUEUE), 0);
	EXPECT(CMSG_FIRSTHDR(&msg));
}

static void named_send(void)
{
	struct pair p = net_warm_pair();
	struct addr a = { .len = sizeof(a.sa) };
	char buf[4];

	/* Linux's TCP does not look at the address. */
	EXPECT(!getpeername(p.c, (void *)&a.sa, &a.len));
	EXPECT_EQ(sendto(p.c, "abc", 3, 0, (void *)&a.sa, a.len), 3);
	a.len = sizeof(a.sa);
	EXPECT_EQ(recvfrom(p.s, buf, 3, MSG_WAITALL, (void *)&a.sa, &a.len), 3);
	EXPECT_EQ(a.len, 0);
}

static void datagrams(void)
{
	int a = net_socket(SOCK_DGRAM), b = net_socket(SOCK_DGRAM);
	struct addr at, from = { .len = sizeof(from.sa) };
	char buf[16];

	net_address(&at);
	EXPECT(!bind(a, (void *)&at.sa, at.len));
	EXPECT(!getsockname(a, (void *)&at.sa, &at.len));
	EXPECT_EQ(sendto(b, "hello", 5, 0, (void *)&at.sa, at.len), 5);
	EXPECT_EQ(recvfrom(a, buf, 16, 0, (void *)&from.sa, &from.len), 5);
	EXPECT_EQ(from.sa.ss_family, at.sa.ss_family);
	EXPECT(!connect(b, (void *)&at.sa, at.len));
	EXPECT_EQ(send(b, "world", 5, 0), 5);
	EXPECT_EQ(recv(a, buf, 2, MSG_TRUNC), 5);
	EXPECT_ERR(recv(a, buf, 2, MSG_DONTWAIT), EAGAIN);
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
const struct check api_data[] = {
	CHECK(sendfile_whole),
	CHECK(splice_in),
	CHECK(splice_out),
	CHECK(peek),
	CHECK(waitall),
	CHECK(left_unread),
	CHECK(out_of_band),
	CHECK(queue_lengths),
	CHECK(out_of_band_inline),
	CHECK(scatter),
	CHECK(many_messages),
	CHECK(empty),
	CHECK(truncate_stream),
	CHECK(fill_and_drain),
	CHECK(cork),
	CHECK(more),
	CHECK(zerocopy),
	CHECK(named_send),
	CHECK(datagrams),
	CHECK(scatter_in_flight),
};
const size_t api_data_count = sizeof(api_data) / sizeof(*api_data);
