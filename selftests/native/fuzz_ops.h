/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The language of the fuzzer's inputs: 8 bytes that set the flow up, then
 * instructions of 8 bytes. The mutator, the seeds and the fuzzer share it.
 */
#ifndef FUZZ_OPS_H
#define FUZZ_OPS_H

#include <stdint.h>

struct setup {
	uint8_t flags;	/* ONLOAD_C_* */
	uint8_t wscale; /* low nibble ours, high nibble the peer's, mod 15 */
	uint8_t isn;	/* distance to the wrap, in units of 32 bytes */
	uint8_t cwnd;
	uint16_t mss;
	uint16_t wnd; /* of the peer, unscaled */
};

enum op {
	OP_SEGMENT,  /* the peer sends a bytes in order, acknowledges b % */
	OP_BENT,     /* the same with one field of the header changed */
	OP_SCRIBBLE, /* changes one word of the receive ring */
	OP_RX,
	OP_READ,   /* a bytes, in pieces of b */
	OP_PEEK,   /* same */
	OP_WRITE,  /* same */
	OP_OUTPUT, /* how a, at most b requests */
	OP_CLOCK,  /* a milliseconds */
	OP_FLAGS,  /* a setsockopt of the application */
	OP_STATE,  /* scribbles over the state: from here on, only survive */
	OP_LAST = OP_STATE,
};

/* For OP_BENT */
enum bend {
	BEND_SEQ,
	BEND_ACK,
	BEND_FLAGS,
	BEND_WND,
	BEND_TSVAL,
	BEND_OPT,
	BEND_OPTLEN,
	BEND_GSO,
	BEND_LAST = BEND_GSO,
};

struct insn {
	uint8_t op; /* mod OP_LAST + 1 */
	uint8_t x;  /* enum bend, or a small argument */
	uint16_t a;
	uint32_t b;
};

#endif
