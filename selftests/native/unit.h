/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the unit tests of userlib/tcp.c share: one flow, and small steps. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "peer.h"

#define RX_SIZE 262144u
#define TX_SIZE 262144u
#define ISN	1000u

static struct flow f;
static struct onload_seg segs[ONLOAD_KICK_MAX];

static inline int open_rings(void **state)
{
	(void)state;
	flow_open(&f, RX_SIZE, TX_SIZE);
	return 0;
}

static inline int close_rings(void **state)
{
	(void)state;
	flow_close(&f);
	return 0;
}

static inline int plain(void **state)
{
	(void)state;
	flow_reset(&f, 0, ISN);
	return 0;
}

static inline int stamped(void **state)
{
	(void)state;
	flow_reset(&f, ONLOAD_C_TSTAMP, ISN);
	return 0;
}

static inline int sound(void **state)
{
	const char *broken = flow_broken(&f);

	(void)state;
	if (broken)
		print_error("broken: %s\n", broken);
	return broken ? -1 : 0;
}

/* The record is refused for this reason, and the state is as it was. */
static inline void assert_refused(const struct wire *w,
				  enum onload_reason reason)
{
	struct onload_tcp_state was = f.st;
	uint32_t prod = f.prod;

	assert_true(flow_arrive(&f, w));
	assert_int_equal(flow_rx(&f), reason);
	assert_memory_equal(&f.st, &was, sizeof(was));
	f.prod = prod;
}

static inline void assert_taken(const struct wire *w)
{
	assert_true(flow_arrive(&f, w));
	assert_int_equal(flow_rx(&f), ONLOAD_R_NONE);
	assert_int_equal(f.st.rx_proc, f.prod);
}

static inline void arrive(uint32_t len)
{
	struct wire w = wire_next(&f, len);

	assert_taken(&w);
}

/* Puts @len bytes in flight. */
static inline void send_bytes(uint32_t len)
{
	assert_int_equal(flow_write(&f, len), len);
	while (f.st.snd_nxt != f.st.write_seq)
		assert_true(flow_output(&f, 0, segs, ONLOAD_KICK_MAX) > 0);
}

static inline void acknowledge(uint32_t ack)
{
	struct wire w = wire_next(&f, 0);

	w.ack = ack;
	assert_taken(&w);
}

#define T(name, setup) cmocka_unit_test_setup_teardown(name, setup, sound)
/* For tests that leave nonsense behind */
#define T_NONSENSE(name, setup) cmocka_unit_test_setup(name, setup)

#endif
