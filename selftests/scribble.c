// SPDX-License-Identifier: GPL-2.0
/*
 * Nonsense in the memory that is shared with the kernel: whatever is written
 * there, the connection it is of is reset or lives, and nobody else notices.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "abi.h"
#include "check.h"
#include "net.h"
#include "pattern.h"

#define ROUNDS 60

/* The connection is reset, or it works as if nothing had been. */
static void survive_or_reset(struct pair p)
{
	char byte;

	EXPECT(send(p.s, "x", 1, MSG_NOSIGNAL) == 1 || errno == ECONNRESET ||
	       errno == EPIPE);
	if (net_readable(p.c, 1000) && recv(p.c, &byte, 1, MSG_DONTWAIT) < 0)
		EXPECT(errno == ECONNRESET || errno == ECONNABORTED ||
		       errno == EPIPE || errno == EAGAIN || errno == ETIMEDOUT);
	close(p.c);
	close(p.s);
}

static void scribbled(uint8_t value)
{
	struct abi a;

	for (int what = 0; what < 4; what++) {
		struct pair p = net_pair();
		struct onload_slot *s;

		if (!what)
			a = abi_open(p.c, 4);
		s = &a.slots[what];
		abi_lease(p.c, what);
		if (what == 0)
			memset(s->state, value, sizeof(s->state));
		else if (what == 1)
			memset(s, value, sizeof(*s));
		else if (what == 2)
			memset(&s->word, value, sizeof(s->word));
		else
			memset(abi_rx(&a, what), value, a.ctx.rx_size);
		survive_or_reset(p);
	}
}

static void all_ones(void)
{
	scribbled(0xff);
}

static void all_zeroes(void)
{
	scribbled(0);
}

/* A word of a state becomes anything, while the other end sends. */
static void random_states(void)
{
	struct dice d = { getpid() };
	struct abi a;

	for (int round = 0; round < ROUNDS; round++) {
		struct pair p = net_pair();
		uint32_t *words;

		if (!round)
			a = abi_open(p.c, ROUNDS);
		abi_lease(p.c, round);
		words = (uint32_t *)a.slots[round].state;
		for (uint64_t n = 1 + dice_roll(&d, 4); n; n--) {
			uint32_t *w = &words[dice_roll(&d, 64)];

			*w = dice_roll(&d, 2)
				     ? *w + (uint32_t)dice_roll(&d, 1 << 20)
				     : (uint32_t)dice_roll(&d, 1ull << 32);
		}
		survive_or_reset(p);
	}
}

struct scribbler {
	struct abi a;
	uint32_t slot;
	atomic_bool done;
};

static void *scribble(void *arg)
{
	struct scribbler *s = arg;
	uint8_t *slot = (uint8_t *)&s->a.slots[s->slot];
	uint8_t *rings = abi_rx(&s->a, s->slot);
	struct dice d = { 11 };

	while (!atomic_load(&s->done)) {
		slot[dice_roll(&d, sizeof(struct onload_slot))] =
			(uint8_t)dice_roll(&d, 256);
		rings[dice_roll(&d, s->a.ctx.rx_size)] =
			(uint8_t)dice_roll(&d, 256);
	}
	return NULL;
}

/* All the time, all over the place, through leases and reclaims */
static void storm(void)
{
	struct pair witness = net_pair();
	struct scribbler s = { .a = abi_open(witness.c, 2), .slot = 1 };

	/* Nobody else is disturbed. */
	for (int round = 0; round < ROUNDS; round++) {
		struct onload_lease l = { .abi = ONLOAD_ABI, .slot = 1 };
		uint64_t end = net_ms() + 50;
		struct pair p = net_pair();
		uint32_t slot = 1;
		pthread_t t;

		abi_lease(p.c, 1);
		atomic_store(&s.done, false);
		EXPECT(!pthread_create(&t, NULL, scribble, &s));
		while (net_ms() < end) {
			char buf[64];

			send(p.s, buf, sizeof(buf),
			     MSG_NOSIGNAL | MSG_DONTWAIT);
			recv(p.c, buf, sizeof(buf), MSG_DONTWAIT);
			send(p.c, buf, sizeof(buf),
			     MSG_NOSIGNAL | MSG_DONTWAIT);
			recv(p.s, buf, sizeof(buf), MSG_DONTWAIT);
			abi_get(p.c, ONLOAD_LEASE, &l, sizeof(l));
		}
		atomic_store(&s.done, true);
		pthread_join(t, NULL);
		abi_set(p.c, ONLOAD_DETACH, &slot, sizeof(slot));
		close(p.c);
		close(p.s);
		net_exchange(witness.c, witness.s);
	}
}

#define CHECK(name)            \
	{                      \
#name, name, 0 \
	}
static const struct check checks[] = {
	CHECK(all_ones),
	CHECK(all_zeroes),
	CHECK(random_states),
	CHECK(storm),
};

int main(int argc, char **argv)
{
	net_family_onload = true;
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 1 ? argv[1] : NULL);
}
