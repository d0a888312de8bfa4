/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The other side of userlib/tcp.c for tests: rings as the kernel maps them, a
 * gate that files records, and a link between two flows.
 *
 * Each byte of a stream is a function of its sequence number, so that a
 * reader can be checked without a copy of what was sent.
 */
#ifndef PEER_H
#define PEER_H

#include "../../userlib/tcp.h"

#define TH_FIN 0x01
#define TH_SYN 0x02
#define TH_RST 0x04
#define TH_PSH 0x08
#define TH_ACK 0x10
#define TH_URG 0x20
#define TH_ECE 0x40
#define TH_CWR 0x80
#define TH_NS  0x100 /* the lowest reserved bit */

/* One leased flow: what slot, rings and kernel hold of it */
struct flow {
	struct onload_tcp_state st;
	struct onload_flow_const c;
	struct ol_rings r;
	uint8_t *rx; /* as r.rx, but writable */
	uint32_t prod;
	struct ol_clock now;
};

/* A segment as it would arrive from the network */
struct wire {
	uint32_t seq;
	uint32_t ack;
	uint32_t tsval;
	uint32_t tsecr;
	uint32_t len;
	uint16_t wnd; /* as in the header, unscaled */
	uint16_t flags;
	uint16_t gso_size;
	uint8_t optlen;
	uint8_t opt[40];
	const uint8_t *payload; /* NULL: the pattern */
};

/* Guard pages surround the rings: an overrun is a fault. */
void flow_open(struct flow *f, uint32_t rx_size, uint32_t tx_size);
void flow_close(struct flow *f);
/* An idle established flow; @isn is next in both directions. */
void flow_reset(struct flow *f, uint32_t flags, uint32_t isn);
void flow_advance(struct flow *f, uint32_t ms);
/* NULL, or the invariant of the ABI that does not hold */
const char *flow_broken(const struct flow *f);

uint8_t pattern_byte(uint32_t seq);
void pattern_fill(uint8_t *to, uint32_t seq, size_t len);
bool pattern_holds(const uint8_t *at, uint32_t seq, size_t len);

/* What a well-behaved peer would send next: in order, acknowledging all. */
struct wire wire_next(const struct flow *f, uint32_t len);
void wire_timestamps(struct wire *w);
/* Files the record as the gate does; false if the ring is full. */
bool flow_arrive(struct flow *f, const struct wire *w);

enum onload_reason flow_rx(struct flow *f);
/* Writes @len bytes of the pattern. */
size_t flow_write(struct flow *f, size_t len);
/* Reads at most @len bytes; SIZE_MAX also if they are not the pattern. */
size_t flow_read(struct flow *f, size_t len, bool peek);
int flow_output(struct flow *f, unsigned int how, struct onload_seg *segs,
		int max);

#endif
