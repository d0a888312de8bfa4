/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of wires share: a stream whose every byte is known. */
#ifndef UNIT_WIRE_H
#define UNIT_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "twin.h"

#define RING_SHIFT     12
#define RING_MAX_SHIFT 15
#define CHUNK	       65536u

/* One end of a connection that is walked at random; of one thread */
struct walker {
	int fd;
	int dir; /* of what it sends: 0 or 1 */
	uint32_t seed;
	uint64_t total; /* bytes in either direction */
	uint64_t sent;
	uint64_t received;
	uint32_t reclaims; /* of 1024 steps so many begin with one */
	const char *failed;
	uint8_t buf[CHUNK];
};

/* From @pos on, CHUNK bytes of direction @dir */
const uint8_t *stream_at(int dir, uint64_t pos);

/* Sends and receives at random until both totals are reached. */
void walk(struct walker *w);

/* Exchanges bytes until both ends are on a wire; both in this thread. */
void pair_up(const int fds[2]);

/* A new connection on a wire */
void open_wire(int fds[2]);
void close_both(const int fds[2]);

int make_twin(void **state);

#endif
