// SPDX-License-Identifier: LGPL-2.1-or-later
/* Writes the fuzzer's first inputs: conversations that go well. */
#include <err.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userlib/tcp.h"
#include "fuzz_ops.h"

/* Tables */
/* clang-format off */
#define PLAIN(f)	{ .flags = (f), .wscale = 0x77, .isn = 2, .cwnd = 10, \
			  .mss = 1448, .wnd = 512 }
#define SEG(len, ack)	{ OP_SEGMENT, 0, len, ack }
#define BENT(f, len, v)	{ OP_BENT, f, len, v }
#define RX		{ OP_RX, 0, 0, 0 }
#define READ(n)		{ OP_READ, 0, n, 100 }
#define PEEK(n)		{ OP_PEEK, 0, n, 7 }
#define WRITE(n)	{ OP_WRITE, 0, n, 1000 }
#define OUTPUT(how)	{ OP_OUTPUT, 0, how, 8 }
#define CLOCK(ms)	{ OP_CLOCK, 0, ms, 0 }
#define FLAGS(fl)	{ OP_FLAGS, 0, fl, 0 }

struct seed {
	const char *name;
	struct setup setup;
	struct insn insn[24];
};

static const struct seed seeds[] = {
	{ "ping-pong", PLAIN(ONLOAD_C_TSTAMP), {
		SEG(64, 100), RX, READ(64), WRITE(64), OUTPUT(0),
		SEG(64, 100), RX, READ(64), WRITE(64), OUTPUT(0), CLOCK(50),
		SEG(64, 100), RX, READ(64), WRITE(64), OUTPUT(0) } },
	{ "bulk-in", PLAIN(0), {
		SEG(30000, 100), SEG(20000, 100), RX, OUTPUT(0), READ(9999),
		SEG(14480, 100), RX, PEEK(20000), READ(50000), OUTPUT(0),
		SEG(10000, 100), SEG(0, 100), RX, READ(50000), OUTPUT(2) } },
	{ "bulk-out", PLAIN(ONLOAD_C_TSTAMP), {
		WRITE(60000), OUTPUT(0), CLOCK(3), SEG(0, 40), RX, OUTPUT(0),
		SEG(0, 100), RX, OUTPUT(0), WRITE(60000), OUTPUT(1), CLOCK(1),
		SEG(10, 50), RX, OUTPUT(0), SEG(0, 100), RX, OUTPUT(0) } },
	{ "small-writes", PLAIN(0), {
		WRITE(10), OUTPUT(0), WRITE(10), OUTPUT(0), SEG(0, 100), RX,
		OUTPUT(0), FLAGS(ONLOAD_C_NODELAY), WRITE(10), OUTPUT(0),
		FLAGS(ONLOAD_C_CORK), WRITE(2000), OUTPUT(0), CLOCK(250),
		FLAGS(0), OUTPUT(0), SEG(0, 100), RX } },
	{ "zero-window", PLAIN(0), {
		WRITE(5000), OUTPUT(0), BENT(BEND_WND, 0, 0), RX, OUTPUT(0),
		WRITE(5000), OUTPUT(0), BENT(BEND_WND, 0, 9), RX, OUTPUT(0) } },
	{ "bad-sequence", PLAIN(ONLOAD_C_TSTAMP), {
		SEG(100, 100), BENT(BEND_SEQ, 10, 1), RX, READ(100) } },
	{ "bad-ack", PLAIN(0), {
		WRITE(10), OUTPUT(0), BENT(BEND_ACK, 10, 1), RX } },
	{ "fin", PLAIN(0), { BENT(BEND_FLAGS, 10, 0x11), RX } },
	{ "stale", PLAIN(ONLOAD_C_TSTAMP), {
		SEG(1, 100), RX, BENT(BEND_TSVAL, 1, 0x80000000), RX } },
	{ "aggregate", PLAIN(ONLOAD_C_TSTAMP), {
		BENT(BEND_GSO, 43440, 1448), RX, OUTPUT(0), READ(50000),
		OUTPUT(0) } },
	{ "options", PLAIN(ONLOAD_C_TSTAMP), {
		BENT(BEND_OPT, 10, 0x0502), RX, BENT(BEND_OPTLEN, 10, 4), RX } },
	{ "scribble", PLAIN(0), {
		SEG(100, 100), { OP_SCRIBBLE, 0, 0, 65595 }, RX } },
	{ "scribble-late", PLAIN(0), {
		SEG(100, 100), RX, { OP_SCRIBBLE, 0, 4, 0xf0 }, READ(100) } },
	{ "state", PLAIN(ONLOAD_C_TSTAMP), {
		SEG(100, 100), { OP_STATE, 6, 0, 0x80000000 }, RX, READ(100),
		WRITE(100), OUTPUT(0) } },
};
/* clang-format on */

static void write_seed(const char *dir, const struct seed *s)
{
	static const struct insn none;
	char path[4096];
	size_t n = 0;
	FILE *out;

	while (n < sizeof(s->insn) / sizeof(s->insn[0]) &&
	       memcmp(&s->insn[n], &none, sizeof(none)))
		n++;
	snprintf(path, sizeof(path), "%s/%s", dir, s->name);
	out = fopen(path, "wb");
	if (!out || fwrite(&s->setup, sizeof(s->setup), 1, out) != 1 ||
	    fwrite(s->insn, sizeof(s->insn[0]), n, out) != n || fclose(out))
		err(1, "%s", path);
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc != 2)
		errx(2, "usage: seeds DIRECTORY");
	for (i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
		write_seed(argv[1], &seeds[i]);
	return 0;
}
