// SPDX-License-Identifier: GPL-2.0
/* What is written to the mapping: noise, and what looks nearly right */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>

#include "hostile.h"

#define STATE_WORDS (sizeof(struct onload_tcp_state) / 4)

struct onload_slot *memory_slot(struct life *l, struct dice *d)
{
	return &l->a.slots[dice_roll(d, l->nslots)];
}

/* A number that was right a moment ago or is so elsewhere, or a bound; itself,
 * or one step beyond.
 */
uint32_t memory_number(struct life *l, struct dice *d)
{
	static const uint32_t bounds[] = {
		0,	    20,		16,	  ONLOAD_SEG_MAX,
		4096,	    UINT16_MAX, 1u << 30, ONLOAD_REC_MAX,
		UINT32_MAX, INT32_MAX,	1u << 31, ONLOAD_KICK_MAX,
		128,	    1460,	1u << 24, ONLOAD_SLOTS_MAX,
	};
	static const int32_t steps[] = { 0, 0, 0, 1, -1, 16, -16, 4, 20, -20 };
	const struct onload_slot *s = memory_slot(l, d);
	const uint32_t *state = (const uint32_t *)s->state;
	uint32_t n;

	switch (dice_roll(d, 7)) {
	case 0:
		return (uint32_t)dice_roll(d, 1ull << 32);
	case 1:
		n = bounds[dice_roll(d, sizeof(bounds) / sizeof(*bounds))];
		break;
	case 2:
		n = dice_roll(d, 2) ? l->a.ctx.rx_size : l->a.ctx.tx_size;
		break;
	case 3:
		n = s->rx_prod;
		break;
	case 4:
		n = ONLOAD_W_GEN(s->word);
		break;
	default:
		n = state[dice_roll(d, 2 * STATE_WORDS)];
	}
	if (!dice_roll(d, 4))
		n += dice_roll(d, 2) ? l->a.ctx.rx_size : -l->a.ctx.tx_size;
	return n +
	       (uint32_t)steps[dice_roll(d, sizeof(steps) / sizeof(*steps))];
}

/* Anything anywhere, ring areas of slots that were never leased included */
static void noise(struct life *l, struct dice *d)
{
	volatile uint8_t *at = l->a.map;
	uint64_t n = 1 + dice_roll(d, 64);

	if (dice_roll(d, 4))
		at += dice_roll(d, l->a.ctx.map_size);
	else
		at += dice_roll(d, l->nslots * sizeof(struct onload_slot));
	while (n-- && at < l->a.map + l->a.ctx.map_size)
		*at++ = (uint8_t)dice_roll(d, 256);
}

static void field(struct life *l, struct dice *d)
{
	struct onload_slot *s = memory_slot(l, d);
	volatile uint32_t *words = (uint32_t *)s;

	if (dice_roll(d, 3))
		words = (uint32_t *)&s->state[s->word & 1] +
			dice_roll(d, STATE_WORDS);
	else
		words += dice_roll(d, sizeof(*s) / 4);
	*words = memory_number(l, d);
}

static void word(struct life *l, struct dice *d)
{
	struct onload_slot *s = memory_slot(l, d);
	uint64_t w = __atomic_load_n(&s->word, __ATOMIC_RELAXED), old = w;

	switch (dice_roll(d, 4)) {
	case 0:
		w ^= ONLOAD_W_USER;
		break;
	case 1:
		w += (1ull << 32) * (dice_roll(d, 3) - 1);
		break;
	case 2:
		w = ONLOAD_W_MAKE(memory_number(l, d), memory_number(l, d));
		break;
	default:
		w ^= 1;
	}
	/* For a moment only: else it would be the end of every lease. */
	__atomic_store_n(&s->word, w, __ATOMIC_RELAXED);
	if (dice_roll(d, 8))
		__atomic_store_n(&s->word, old, __ATOMIC_RELAXED);
}

/* Begins a commit as it should be; false if there is no lease. */
static bool commit_begin(struct onload_slot *s, uint64_t *w,
			 struct onload_tcp_state *st)
{
	*w = __atomic_load_n(&s->word, __ATOMIC_ACQUIRE);
	*st = s->state[*w & 1];
	return *w & ONLOAD_W_USER;
}

static bool commit_end(struct onload_slot *s, uint64_t w,
		       const struct onload_tcp_state *st)
{
	s->state[~w & 1] = *st;
	return __atomic_compare_exchange_n(&s->word, &w, ONLOAD_W_NEXT(w),
					   false, __ATOMIC_RELEASE,
					   __ATOMIC_RELAXED);
}

static void commit(struct life *l, struct dice *d)
{
	struct onload_slot *s = memory_slot(l, d);
	struct onload_tcp_state st;
	uint64_t w;

	if (!commit_begin(s, &w, &st))
		return;
	for (uint64_t n = 1 + dice_roll(d, 2); n; n--)
		((uint32_t *)&st)[dice_roll(d, STATE_WORDS)] =
			memory_number(l, d);
	commit_end(s, w, &st);
}

/* A record somewhere between what is read and what is not yet there */
static uint8_t *record_at(struct life *l, struct dice *d)
{
	uint32_t slot = (uint32_t)dice_roll(d, l->nslots);
	struct onload_slot *s = &l->a.slots[slot];
	const struct onload_tcp_state *st = &s->state[s->word & 1];
	uint32_t pos;

	switch (dice_roll(d, 4)) {
	case 0:
		pos = st->rx_cons;
		break;
	case 1:
		pos = s->rx_prod;
		break;
	default:
		pos = st->rx_proc;
	}
	return abi_rx(&l->a, slot) + (pos & (l->a.ctx.rx_size - 16));
}

static void record(struct life *l, struct dice *d)
{
	uint8_t *at = record_at(l, d);
	volatile struct onload_rec *rec = (void *)at;
	volatile struct tcphdr *th = (void *)(at + sizeof(*rec));

	switch (dice_roll(d, 8)) {
	case 0:
		rec->len = memory_number(l, d);
		break;
	case 1:
		rec->gso_size = (uint16_t)memory_number(l, d);
		rec->dsfield = (uint8_t)dice_roll(d, 256);
		break;
	case 2:
		th->seq = htonl(memory_number(l, d));
		break;
	case 3:
		th->ack_seq = htonl(memory_number(l, d));
		break;
	case 4:
		th->th_flags = (uint8_t)dice_roll(d, 256);
		break;
	case 5:
		th->doff = dice_roll(d, 16);
		break;
	case 6:
		th->window = (uint16_t)memory_number(l, d);
		th->urg_ptr = (uint16_t)memory_number(l, d);
		break;
	default:
		/* Options: where a doff beyond 5 says they are */
		((volatile uint8_t *)(th + 1))[dice_roll(d, 40)] =
			(uint8_t)dice_roll(d, 35);
	}
}

/* To and fro, for a reader who looks twice */
static void flip(struct life *l, struct dice *d)
{
	struct onload_slot *s = memory_slot(l, d);
	volatile uint32_t *at;
	uint32_t old, new;

	if (dice_roll(d, 2))
		at = &((struct onload_rec *)record_at(l, d))->len;
	else
		at = (uint32_t *)&s->state[s->word & 1] +
		     dice_roll(d, STATE_WORDS);
	old = *at;
	new = memory_number(l, d);
	for (uint64_t n = dice_roll(d, 1000); n; n--) {
		*at = new;
		*at = old;
	}
}

/* The head and ring of this process's end of a wire */
static void head(struct life *l, struct dice *d)
{
	uint64_t slot = dice_roll(d, l->nslots);
	struct onload_wire_head *h = (void *)(l->a.map + l->a.ctx.wire_off +
					      slot * l->a.ctx.wire_stride);
	__u64 *at = dice_roll(d, 2) ? &h->tx : &h->rx, old = *at;

	switch (dice_roll(d, 6)) {
	case 0:
		/* Bytes that were never written, as if they had been */
		*at = (old & ~0xffffffffull) |
		      (uint32_t)(old + dice_roll(d, 1 << 18));
		return;
	case 1:
		__atomic_fetch_xor(at, ONLOAD_X_USER, __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n(at,
				 ONLOAD_X_MAKE(ONLOAD_X_GEN(old),
					       dice_roll(d, 128),
					       ONLOAD_X_POS(old)),
				 __ATOMIC_RELAXED);
		break;
	case 3:
		__atomic_store_n(at,
				 (old & ~0xffffffffull) | memory_number(l, d),
				 __ATOMIC_RELAXED);
		break;
	case 4:
		h->wake = (uint32_t)dice_roll(d, 8);
		h->polled = (uint32_t)dice_roll(d, 2);
		h->tx_total = memory_number(l, d);
		return;
	default:
		((volatile uint8_t *)h)[dice_roll(d, l->a.ctx.wire_stride)] =
			(uint8_t)dice_roll(d, 256);
		return;
	}
	if (dice_roll(d, 4))
		__atomic_store_n(at, old, __ATOMIC_RELAXED);
}

static void argument(struct life *l, struct dice *d)
{
	union argument *a = &l->arguments[dice_roll(d, LIFE_CALLERS)];
	volatile uint32_t *at = &a->words[dice_roll(d, 64)];
	uint32_t old = *at;

	*at = memory_number(l, d);
	if (dice_roll(d, 2))
		*at = old;
}

void memory_attack(struct life *l, struct dice *d)
{
	static const struct {
		enum hostile_op op;
		void (*run)(struct life *l, struct dice *d);
		unsigned int weight;
	} attacks[] = {
		{ OP_noise, noise, 1 },	  { OP_field, field, 2 },
		{ OP_word, word, 1 },	  { OP_commit, commit, 2 },
		{ OP_record, record, 4 }, { OP_flip, flip, 4 },
		{ OP_head, head, 1 },	  { OP_argument, argument, 4 },
	};
	uint64_t at = dice_roll(d, 19);

	for (size_t i = 0; i < sizeof(attacks) / sizeof(*attacks); i++) {
		if (at < attacks[i].weight) {
			count(l->tally, attacks[i].op);
			attacks[i].run(l, d);
			return;
		}
		at -= attacks[i].weight;
	}
}

/* As the library would, so that a lease goes on: all records, received, read */
void memory_consume(struct life *l, uint32_t slot)
{
	struct onload_slot *s = &l->a.slots[slot];
	uint32_t prod = __atomic_load_n(&s->rx_prod, __ATOMIC_ACQUIRE);
	struct onload_tcp_state st;
	uint64_t w;

	count(l->tally, OP_consume);
	if (!commit_begin(s, &w, &st))
		return;
	for (int n = 0; n < 64 && (int32_t)(prod - st.rx_proc) > 0; n++) {
		uint8_t *at = abi_rx(&l->a, slot) +
			      (st.rx_proc & (l->a.ctx.rx_size - 1));
		uint32_t seq, ack, len = ((struct onload_rec *)at)->len;
		struct tcphdr th;

		memcpy(&th, at + sizeof(struct onload_rec), sizeof(th));
		if (len < th.doff * 4u || len > ONLOAD_REC_MAX)
			break;
		seq = ntohl(th.seq) + len - th.doff * 4u;
		ack = ntohl(th.ack_seq);
		if ((int32_t)(seq - st.rcv_nxt) > 0)
			st.rcv_nxt = seq;
		if ((int32_t)(ack - st.snd_una) > 0)
			st.snd_una = ack;
		st.rx_proc += ONLOAD_REC_SIZE(len);
	}
	st.copied_seq = st.rcv_nxt;
	st.rx_cons = st.rx_proc;
	commit_end(s, w, &st);
}

/* Commits bytes to be sent; the request that sends them */
struct onload_seg memory_produce(struct life *l, struct dice *d, uint32_t slot)
{
	struct onload_slot *s = &l->a.slots[slot];
	struct onload_seg seg = { .fd = ONLOAD_SEG_SELF, .slot = slot };
	uint32_t len = (uint32_t)dice_size(d, ONLOAD_SEG_MAX);
	uint32_t mask = (1u << (s->c.rcv_wscale & 15)) - 1;
	struct onload_tcp_state st;
	uint64_t w;

	count(l->tally, OP_produce);
	if (!commit_begin(s, &w, &st))
		return seg;
	if (!dice_roll(d, 4))
		len = 0;
	seg.generation = ONLOAD_W_GEN(w);
	seg.seq = st.write_seq;
	seg.len = len;
	seg.ack = st.rcv_nxt;
	seg.wnd = st.rcv_wnd & ~mask;
	seg.tsecr = st.ts_recent;
	if (len)
		*(abi_tx(&l->a, slot) +
		  (st.write_seq & (l->a.ctx.tx_size - 1))) = 'h';
	st.write_seq += len;
	st.snd_nxt = st.write_seq;
	commit_end(s, w, &st);
	return seg;
}
