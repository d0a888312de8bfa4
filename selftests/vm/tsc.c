// SPDX-License-Identifier: GPL-2.0
/*
 * Print the rate of this machine's time-stamp counter in kHz. An emulated
 * processor has the same, which a guest on a busy machine measures wrongly.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct sample {
	uint64_t ticks;
	uint64_t ns;
};

/* Of many, the one that was least disturbed */
static struct sample sample(void)
{
	struct sample best = { 0, 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		struct timespec ts;
		uint64_t before = __rdtsc(), after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		after = __rdtsc();
		if (after - before >= least)
			continue;
		least = after - before;
		best.ticks = before + least / 2;
		best.ns =
			(uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	}
	return best;
}

int main(void)
{
	struct timespec wait = { .tv_nsec = 100 * 1000 * 1000 };
	struct sample from = sample(), to;

	nanosleep(&wait, NULL);
	to = sample();
	printf("%.0f\n", 1e6 * (double)(to.ticks - from.ticks) /
				 (double)(to.ns - from.ns));
	return 0;
}
