// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "control.h"
#include "stats.h"
#include "wait.h"

/* Looking at the clock costs more than looking at the ring. */
#define LOOKS_PER_CLOCK 16

/* Longer than this is a mistake in the environment. */
#define SPIN_MAX_USEC 1000000

bool ol_wait_self_cancelled;

/* After that many misses in a row, one wait in 2^MISSES_MAX spins. */
#define MISSES_MAX 6

uint64_t ol_wait_spin_ns;

/* On one processor what is waited for cannot happen while we spin. */
static bool alone;

__attribute__((constructor)) static void read_environment(void)
{
	const char *v = secure_getenv("ONLOAD_SPIN_USEC");
	cpu_set_t cpus;

	alone = !sched_getaffinity(0, sizeof(cpus), &cpus) &&
		CPU_COUNT(&cpus) == 1;

	if (v)
		ol_wait_set_spin((unsigned int)strtoul(v, NULL, 10));
}

void ol_wait_set_spin(unsigned int usec)
{
	if (usec > SPIN_MAX_USEC)
		usec = SPIN_MAX_USEC;
	ol_store(&ol_wait_spin_ns, usec * 1000ull);
}

unsigned int ol_wait_get_spin(void)
{
	return (unsigned int)(ol_load(&ol_wait_spin_ns) / 1000);
}

uint64_t ol_wait_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static bool changed(const struct ol_wait *w)
{
	/* The end of the lease changes the word too. */
	if (w->at)
		return ol_load_acquire(w->at) != w->value;
	return ol_load_acquire(&w->slot->rx_prod) != w->seen ||
	       (ol_load(&w->slot->word) & ~(uint64_t)ONLOAD_W_SEQ) != w->lease;
}

/*
 * Has it been in vain lately? Then a growing number of waits goes straight to
 * sleep before the next attempt.
 */
static bool hopeless(struct ol_luck *luck)
{
	uint8_t skip = ol_load(&luck->skip);

	if (!skip)
		return false;
	ol_store(&luck->skip, (uint8_t)(skip - 1));
	return true;
}

static bool won(struct ol_luck *luck)
{
	if (ol_load(&luck->misses))
		ol_store(&luck->misses, 0);
	OL_COUNT(spins, 1);
	return true;
}

static bool missed(struct ol_luck *luck)
{
	uint8_t misses = ol_load(&luck->misses);

	if (misses < MISSES_MAX)
		ol_store(&luck->misses, ++misses);
	ol_store(&luck->skip, (uint8_t)((1u << misses) - 1));
	return false;
}

bool ol_wait_spin_for(const struct ol_wait *w, uint64_t ns, uint64_t until)
{
	uint64_t end;

	if (hopeless(w->luck))
		return false;
	end = ol_wait_clock() + ns;
	if (end > until)
		end = until;
	do {
		for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
			if (changed(w))
				return won(w->luck);
			if (alone)
				sched_yield();
			else
				ol_relax();
		}
	} while (ol_wait_clock() < end);
	return missed(w->luck);
}

int ol_wait_sleep(const struct ol_wait *w, int fd, uint32_t events,
		  uint64_t until_ns)
{
	struct onload_wait req = {
		.slot = w->index,
		.generation = ONLOAD_W_GEN(w->lease),
		.events = events,
		.rx_prod = w->seen,
		.timeout_ns = ONLOAD_WAIT_FOREVER,
	};
	int type;
	int ret;

	if (until_ns != OL_FOREVER) {
		uint64_t now = ol_wait_clock();

		if (now >= until_ns)
			return -ETIMEDOUT;
		req.timeout_ns = until_ns - now;
	}
	OL_COUNT(waits, 1);
	if (ol_likely(!ol_wait_cancellable()))
		return ol_control_set(fd, ONLOAD_WAIT, &req, sizeof(req));
	/*
	 * recv() and send() are cancellation points, setsockopt() is none. To
	 * be cancelled here is harmless: nothing is held, nothing consumed.
	 */
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	ret = ol_control_set(fd, ONLOAD_WAIT, &req, sizeof(req));
	pthread_setcanceltype(type, NULL);
	return ret;
}
