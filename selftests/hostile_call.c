// SPDX-License-Identifier: GPL-2.0
/* Calls by the owner of the mapping, right ones and wrong ones */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile.h"

#define CHUNK	 20000
#define PATIENCE 300 /* ms */

static int any_conn(struct dice *d)
{
	return (int)dice_roll(d, LIFE_CONNS);
}

static int any_fd(struct life *l, struct dice *d)
{
	return atomic_load(&l->fd[any_conn(d)]);
}

/* Connection n usually has slot n; and not always. */
static uint32_t any_slot(struct life *l, struct dice *d, int conn)
{
	switch (dice_roll(d, 24)) {
	case 0:
		return memory_number(l, d);
	case 1:
		return (uint32_t)dice_roll(d, l->nslots + 2);
	default:
		return (uint32_t)conn % l->nslots;
	}
}

static socklen_t any_length(struct dice *d, socklen_t right)
{
	static const int steps[] = { -1, 1, -4, 4, 4096, INT32_MIN };

	if (dice_roll(d, 16))
		return right;
	return right + (socklen_t)steps[dice_roll(d, 6)];
}

/* Where the argument lies: in memory that changes, in the mapping, nowhere */
static void *any_place(struct life *l, struct dice *d, void *arg, size_t len)
{
	switch (dice_roll(d, 24)) {
	case 0:
		return (void *)16;
	case 1:
	case 2: {
		uint8_t *at = (uint8_t *)memory_slot(l, d) + 128;

		memcpy(at, arg, len < 384 ? len : 384);
		return at;
	}
	default:
		return arg;
	}
}

/* Asks until it is given, or for as long as the gate may take to be set up */
static void ask(struct life *l, int fd, void *req, socklen_t len)
{
	uint64_t end = net_ms() + PATIENCE;
	struct onload_info info;

	while (abi_get(fd, ONLOAD_LEASE, req, len)) {
		if (errno != EAGAIN || !net_info(fd, &info) ||
		    info.reason != ONLOAD_R_ATTACH || net_ms() > end)
			return;
		usleep(3000);
	}
	atomic_fetch_add_explicit(&l->tally->leases, 1, memory_order_relaxed);
}

/* The first leases, before the storm makes them unlikely */
void call_leases(struct life *l)
{
	for (uint32_t i = 0; i < LIFE_CONNS; i++) {
		struct onload_lease req = {
			.abi = ONLOAD_ABI,
			.slot = i % l->nslots,
			.flags = ONLOAD_L_WIRE | ONLOAD_L_AFTER,
		};

		ask(l, atomic_load(&l->fd[i]), &req, sizeof(req));
	}
}

static void call_lease(struct life *l, struct dice *d, union argument *arg)
{
	struct onload_lease *req = &arg->lease;
	int conn = any_conn(d);
	void *at;

	req->abi = dice_roll(d, 50) ? ONLOAD_ABI : memory_number(l, d);
	req->slot = any_slot(l, d, conn);
	req->flags = dice_roll(d, 8) ? ONLOAD_L_WIRE | ONLOAD_L_AFTER
				     : memory_number(l, d);
	if (!l->storm->wire && dice_roll(d, 2))
		req->flags = 0;
	at = any_place(l, d, req, sizeof(*req));
	ask(l, atomic_load(&l->fd[conn]), at, any_length(d, sizeof(*req)));
}

static void call_context(struct life *l, struct dice *d, union argument *arg)
{
	struct onload_context *req = &arg->context;

	req->abi = ONLOAD_ABI;
	req->nslots = memory_number(l, d);
	if (!abi_get(any_fd(l, d), ONLOAD_CONTEXT, req, sizeof(*req)))
		close(req->fd);
}

static void call_handback(struct life *l, struct dice *d, union argument *arg)
{
	int conn = any_conn(d);
	struct onload_slot *s = &l->a.slots[(uint32_t)conn % l->nslots];

	arg->handback.generation = ONLOAD_W_GEN(s->word);
	arg->handback.reason = dice_roll(d, 4)
				       ? (uint32_t)dice_roll(d, ONLOAD_R_MAX)
				       : memory_number(l, d);
	abi_set(atomic_load(&l->fd[conn]), ONLOAD_HANDBACK,
		any_place(l, d, arg, sizeof(arg->handback)),
		any_length(d, sizeof(arg->handback)));
}

static void call_detach(struct life *l, struct dice *d, union argument *arg)
{
	int conn = any_conn(d);

	arg->number = any_slot(l, d, conn);
	abi_set(atomic_load(&l->fd[conn]), ONLOAD_DETACH, &arg->number,
		any_length(d, sizeof(arg->number)));
}

static void spoil(struct life *l, struct dice *d, struct onload_seg *seg)
{
	uint32_t *words = (uint32_t *)seg;

	words[dice_roll(d, sizeof(*seg) / 4)] = memory_number(l, d);
}

static void call_kick(struct life *l, struct dice *d, union argument *arg)
{
	size_t n = dice_roll(d, 8) ? 1 : dice_roll(d, ONLOAD_KICK_MAX + 2);
	int conn = 0;

	for (size_t i = 0; i < n; i++) {
		conn = any_conn(d);
		arg->segs[i] = memory_produce(l, d, (uint32_t)conn % l->nslots);
		if (n > 1 || !dice_roll(d, 8))
			arg->segs[i].fd = atomic_load(&l->fd[conn]);
		if (!dice_roll(d, 4))
			spoil(l, d, &arg->segs[i]);
	}
	abi_set(atomic_load(&l->fd[conn]), ONLOAD_KICK,
		any_place(l, d, arg->segs, n * sizeof(*arg->segs)),
		any_length(d, (socklen_t)(n * sizeof(*arg->segs))));
}

static void call_wait(struct life *l, struct dice *d, union argument *arg)
{
	int conn = any_conn(d);
	uint32_t slot = any_slot(l, d, conn);
	struct onload_slot *s = &l->a.slots[slot % l->nslots];
	struct onload_wait req = {
		.slot = slot,
		.generation = dice_roll(d, 8) ? ONLOAD_W_GEN(s->word) : 0,
		.events = (uint32_t)(1 + dice_roll(d, 8)),
		.rx_prod = dice_roll(d, 2) ? s->rx_prod : memory_number(l, d),
		.timeout_ns = dice_roll(d, 5000000),
	};

	abi_set(atomic_load(&l->fd[conn]), ONLOAD_WAIT, &req,
		any_length(d, sizeof(req)));
}

static void call_wire(struct life *l, struct dice *d, union argument *arg)
{
	int conn = any_conn(d);

	arg->number = ONLOAD_W_GEN(l->a.slots[(uint32_t)conn % l->nslots].word);
	abi_set(atomic_load(&l->fd[conn]),
		dice_roll(d, 8) ? ONLOAD_WAKE : ONLOAD_GROW, &arg->number,
		any_length(d, sizeof(arg->number)));
}

static void call_send(struct life *l, struct dice *d, union argument *arg)
{
	static const int flags[] = {
		0, 0, 0, 0, 0, MSG_OOB, MSG_MORE, MSG_EOR
	};
	static const char bytes[CHUNK];

	send(any_fd(l, d), bytes, dice_size(d, CHUNK),
	     MSG_DONTWAIT | MSG_NOSIGNAL | flags[dice_roll(d, 8)]);
}

static void call_recv(struct life *l, struct dice *d, union argument *arg)
{
	static const int flags[] = {
		0, 0, 0, 0, MSG_PEEK, MSG_TRUNC, MSG_OOB, MSG_ERRQUEUE
	};
	/* Plain memory, or the mapping: the kernel copies to itself. */
	static _Thread_local char buf[CHUNK];
	char *to = dice_roll(d, 16) ? buf : (char *)l->a.slots;

	recv(any_fd(l, d), to,
	     to == buf ? dice_size(d, CHUNK) : dice_size(d, 512),
	     MSG_DONTWAIT | flags[dice_roll(d, 8)]);
}

static void call_poll(struct life *l, struct dice *d, union argument *arg)
{
	struct pollfd p[LIFE_CONNS];

	for (int i = 0; i < LIFE_CONNS; i++)
		p[i] = (struct pollfd){ .fd = atomic_load(&l->fd[i]),
					.events = (short)dice_roll(d, 0x40) };
	poll(p, LIFE_CONNS, (int)dice_roll(d, 3));
}

static void call_set(struct life *l, struct dice *d, int fd)
{
	static const struct {
		int level;
		int name;
	} options[] = {
		{ SOL_SOCKET, SO_RCVLOWAT },
		{ SOL_SOCKET, SO_RCVBUF },
		{ SOL_SOCKET, SO_SNDBUF },
		{ SOL_SOCKET, SO_KEEPALIVE },
		{ SOL_SOCKET, SO_OOBINLINE },
		{ SOL_SOCKET, SO_TIMESTAMP },
		{ SOL_SOCKET, SO_PEEK_OFF },
		{ SOL_SOCKET, SO_BUSY_POLL },
		{ SOL_SOCKET, SO_PRIORITY },
		{ SOL_SOCKET, SO_ZEROCOPY },
		{ IPPROTO_TCP, TCP_NODELAY },
		{ IPPROTO_TCP, TCP_CORK },
		{ IPPROTO_TCP, TCP_QUICKACK },
		{ IPPROTO_TCP, TCP_MAXSEG },
		{ IPPROTO_TCP, TCP_KEEPIDLE },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT },
		{ IPPROTO_TCP, TCP_WINDOW_CLAMP },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT },
		{ IPPROTO_IP, IP_TOS },
		{ IPPROTO_IP, IP_RECVERR },
		{ IPPROTO_IP, IP_TTL },
		{ IPPROTO_IP, IP_MINTTL },
	};
	size_t i = dice_roll(d, sizeof(options) / sizeof(*options));
	uint32_t value = dice_roll(d, 2) ? (uint32_t)dice_roll(d, 2)
					 : memory_number(l, d) >> 8;

	setsockopt(fd, options[i].level, options[i].name, &value,
		   sizeof(value));
}

static void call_option(struct life *l, struct dice *d, union argument *arg)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd = any_fd(l, d), n;
	struct tcp_info info;
	socklen_t len = sizeof(info);
	struct onload_info ours;

	switch (dice_roll(d, 8)) {
	case 0:
		getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
		break;
	case 1:
		ioctl(fd, dice_roll(d, 2) ? SIOCINQ : SIOCOUTQ, &n);
		break;
	case 2:
		sendfile(fd, l->storm->memory, NULL, dice_size(d, CHUNK));
		break;
	case 3:
		if (!dice_roll(d, 8))
			shutdown(fd, (int)dice_roll(d, 3));
		break;
	case 4:
		if (!dice_roll(d, 8))
			connect(fd, &none, sizeof(none));
		break;
	case 5:
		/* Gives the socket back to Linux for good. */
		if (!dice_roll(d, 16))
			setsockopt(fd, IPPROTO_TCP, TCP_ULP, "none", 4);
		break;
	case 6:
		net_info(fd, &ours);
		break;
	default:
		call_set(l, d, fd);
	}
}

/* Another connection, or another file under the number of one */
static void call_dial(struct life *l, struct dice *d, union argument *arg)
{
	int conn = any_conn(d), fd;

	if (!dice_roll(d, 8)) {
		dup2(any_fd(l, d), atomic_load(&l->fd[conn]));
		return;
	}
	fd = life_connect(l);
	if (fd >= 0)
		close(atomic_exchange(&l->fd[conn], fd));
}

static void call_consume(struct life *l, struct dice *d, union argument *arg)
{
	memory_consume(l, (uint32_t)dice_roll(d, l->nslots));
}

void call_attack(struct life *l, struct dice *d, union argument *arg)
{
	static const struct {
		enum hostile_op op;
		void (*run)(struct life *l, struct dice *d,
			    union argument *arg);
		unsigned int weight;
	} calls[] = {
		{ OP_lease, call_lease, 8 },
		{ OP_context, call_context, 1 },
		{ OP_kick, call_kick, 8 },
		{ OP_handback, call_handback, 1 },
		{ OP_detach, call_detach, 1 },
		{ OP_wait, call_wait, 4 },
		{ OP_wire, call_wire, 2 },
		{ OP_send, call_send, 2 },
		{ OP_recv, call_recv, 2 },
		{ OP_poll, call_poll, 3 },
		{ OP_option, call_option, 2 },
		{ OP_dial, call_dial, 2 },
		{ OP_consume, call_consume, 8 },
	};
	uint64_t at = dice_roll(d, 44);

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (at < calls[i].weight) {
			if (calls[i].op != OP_consume)
				count(l->tally, calls[i].op);
			calls[i].run(l, d, arg);
			return;
		}
		at -= calls[i].weight;
	}
}
