/* SPDX-License-Identifier: GPL-2.0 */
/* A stream whose every byte depends on its position, and cheap randomness. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t pattern_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static inline uint8_t pattern_byte(uint64_t seed, uint64_t pos)
{
	return (uint8_t)(pattern_mix(seed ^ pos >> 3) >> (pos & 7) * 8);
}

static inline void pattern_fill(void *buf, size_t len, uint64_t seed,
				uint64_t pos)
{
	uint8_t *b = buf;
	uint64_t word = pattern_mix(seed ^ pos >> 3);

	for (size_t i = 0; i < len; i++, pos++) {
		if (!(pos & 7))
			word = pattern_mix(seed ^ pos >> 3);
		b[i] = (uint8_t)(word >> (pos & 7) * 8);
	}
}

/* Right bytes before the first wrong one: @len if there is none. */
static inline size_t pattern_right(const void *buf, size_t len, uint64_t seed,
				   uint64_t pos)
{
	const uint8_t *b = buf;
	uint64_t word = pattern_mix(seed ^ pos >> 3);

	for (size_t i = 0; i < len; i++, pos++) {
		if (!(pos & 7))
			word = pattern_mix(seed ^ pos >> 3);
		if (b[i] != (uint8_t)(word >> (pos & 7) * 8))
			return i;
	}
	return len;
}

struct dice {
	uint64_t state;
};

static inline uint64_t dice_roll(struct dice *d, uint64_t sides)
{
	return pattern_mix(d->state++) % sides;
}

/* 1 to @max, small ones as likely as large ones. */
static inline size_t dice_size(struct dice *d, size_t max)
{
	size_t top = (size_t)1 << dice_roll(d, 17);

	return 1 + dice_roll(d, top < max ? top : max);
}

#endif
