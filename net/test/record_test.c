// SPDX-License-Identifier: GPL-2.0
/*
 * Records of the receive ring: where they lie when offsets and sequence
 * numbers wrap, what room there is, and what is read back from memory that a
 * process may have written.
 */
#include "../record.c"
#include "env.h"

#define RX_SIZE	0x20000u
#define HLEN	32u	/* of the TCP headers here: timestamps */

/* A segment of the stream, in pages unless it is short */
static struct sk_buff *record_segment(struct kunit *test, u32 seq, u32 len)
{
	u32 linear = len <= 256 ? len : len / 3, done = 0;
	struct sk_buff *skb = alloc_skb(HLEN + linear, GFP_KERNEL);
	struct tcphdr th = {
		.seq = htonl(seq), .doff = HLEN / 4, .ack = 1,
	};
	u8 *data;

	KUNIT_ASSERT_NOT_NULL(test, skb);
	memcpy(skb_put_zero(skb, HLEN), &th, sizeof(th));
	data = skb_put(skb, linear);
	for (; done < linear; done++)
		data[done] = onload_env_byte(seq + done);
	while (done < len) {
		u32 n = min_t(u32, len - done, PAGE_SIZE), i;
		struct page *page = alloc_page(GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, page);
		data = page_address(page);
		for (i = 0; i < n; i++)
			data[i] = onload_env_byte(seq + done + i);
		skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, 0, n,
				PAGE_SIZE);
		done += n;
	}
	return skb;
}

static bool record_put(struct kunit *test, struct onload_flow *flow, u32 seq,
		       u32 len)
{
	struct sk_buff *skb = record_segment(test, seq, len);
	bool ok = onload_record_put(flow, skb, 0x28, 61);

	kfree_skb(skb);
	return ok;
}

static void record_begin_at(struct onload_env *env, u32 pos)
{
	struct onload_flow *flow = &env->flow;

	flow->rx_prod = pos;
	flow->rx_cons = pos;
	env->slot.state[0].rx_cons = pos;
	env->slot.state[0].rx_proc = pos;
	WRITE_ONCE(env->slot.word, ONLOAD_W_MAKE(ONLOAD_ENV_GEN, 0));
}

/* What was put lies where the library looks for it, in one piece even where
 * the ring ends.
 */
static void record_put_places(struct kunit *test)
{
	static const u32 lens[] = { 1, 1448, 0, 15, 16, 17, 4096, 65000, 2 };
	struct onload_env *env = onload_env_lease(test, RX_SIZE, PAGE_SIZE);
	struct onload_flow *flow = &env->flow;
	int i, k;

	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		u32 seq = onload_origins[i];
		u32 pos = ALIGN_DOWN(seq, ONLOAD_REC_ALIGN);

		record_begin_at(env, pos);
		for (k = 0; k < 3 * ARRAY_SIZE(lens); k++) {
			u32 len = lens[k % ARRAY_SIZE(lens)];
			const u8 *at = flow->rings->rx + (pos & (RX_SIZE - 1));
			const struct onload_rec *rec = (const void *)at;
			const struct tcphdr *th = (const void *)(rec + 1);

			KUNIT_ASSERT_TRUE(test,
					  record_put(test, flow, seq, len));
			KUNIT_EXPECT_EQ(test, HLEN + len, rec->len);
			KUNIT_EXPECT_EQ(test, 0x28, rec->dsfield);
			KUNIT_EXPECT_EQ(test, 61, rec->ttl);
			KUNIT_EXPECT_EQ(test, 0, rec->gso_size);
			KUNIT_EXPECT_EQ(test, seq, ntohl(th->seq));
			KUNIT_EXPECT_TRUE(test,
					  onload_env_bytes((u8 *)th + HLEN, seq,
							   len));
			pos += ONLOAD_REC_SIZE(HLEN + len);
			seq += len;
			KUNIT_EXPECT_EQ(test, pos, flow->rx_prod);
			KUNIT_EXPECT_EQ(test, pos, env->slot.rx_prod);
			/* The library gives it back at once. */
			env->slot.state[0].rx_cons = pos;
		}
	}
}

static void record_put_aggregate(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, RX_SIZE, PAGE_SIZE);
	struct onload_rec *rec = (void *)env->flow.rings->rx;
	struct sk_buff *skb = record_segment(test, 5, 5000);

	skb_shinfo(skb)->gso_size = 1448;
	skb_shinfo(skb)->gso_segs = 4;
	KUNIT_EXPECT_TRUE(test, onload_record_put(&env->flow, skb, 0, 64));
	KUNIT_EXPECT_EQ(test, 1448, rec->gso_size);
	KUNIT_EXPECT_EQ(test, HLEN + 5000, rec->len);
	kfree_skb(skb);
}

static void record_put_limits(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, RX_SIZE, PAGE_SIZE);
	struct onload_flow *flow = &env->flow;

	KUNIT_EXPECT_FALSE(test, record_put(test, flow, 0,
					    ONLOAD_REC_MAX - HLEN + 1));
	KUNIT_EXPECT_EQ(test, 0, flow->rx_prod);
	KUNIT_EXPECT_TRUE(test, record_put(test, flow, 0,
					   ONLOAD_REC_MAX - HLEN));
	flow->closed = true;
	KUNIT_EXPECT_FALSE(test, record_put(test, flow, 0, 1));
}

/* Room is what was not filled, or what a committed state gives back; and a
 * state that says nonsense gives nothing.
 */
static void record_room(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, RX_SIZE, PAGE_SIZE);
	struct onload_flow *flow = &env->flow;
	struct onload_tcp_state *st = &env->slot.state[0];
	int i;

	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		u32 pos = ALIGN_DOWN(onload_origins[i], ONLOAD_REC_ALIGN);
		u32 full = pos + RX_SIZE;
		const u32 nonsense[] = {
			pos - ONLOAD_REC_ALIGN, full + ONLOAD_REC_ALIGN,
			pos + ONLOAD_REC_ALIGN + 1, full - 1, pos + (1u << 31),
		};
		int k;

		record_begin_at(env, pos);
		KUNIT_EXPECT_TRUE(test, onload_record_room(flow, RX_SIZE));
		KUNIT_EXPECT_FALSE(test, onload_record_room(flow, RX_SIZE + 1));
		flow->rx_prod = full - ONLOAD_REC_ALIGN;
		KUNIT_EXPECT_TRUE(test,
				  onload_record_room(flow, ONLOAD_REC_ALIGN));
		flow->rx_prod = full;
		KUNIT_EXPECT_FALSE(test, onload_record_room(flow, 1));

		for (k = 0; k < ARRAY_SIZE(nonsense); k++) {
			st->rx_cons = nonsense[k];
			KUNIT_EXPECT_FALSE_MSG(test,
					       onload_record_room(flow, 1),
					       "%d at %u", k, pos);
			KUNIT_EXPECT_EQ(test, pos, flow->rx_cons);
		}

		st->rx_cons = pos + 64;
		KUNIT_EXPECT_FALSE(test, onload_record_room(flow, 65));
		KUNIT_EXPECT_EQ(test, pos + 64, flow->rx_cons);
		KUNIT_EXPECT_TRUE(test, onload_record_room(flow, 64));
		st->rx_cons = full;
		KUNIT_EXPECT_TRUE(test, onload_record_room(flow, RX_SIZE));

		/* Not committed, or no lease: nothing is given back. */
		record_begin_at(env, pos);
		flow->rx_prod = full;
		st->rx_cons = full;
		env->slot.word = ONLOAD_W_MAKE(ONLOAD_ENV_GEN, 1);
		env->slot.state[1].rx_cons = pos;
		KUNIT_EXPECT_FALSE(test, onload_record_room(flow, 1));
		env->slot.word = ONLOAD_W_MAKE(ONLOAD_ENV_GEN, 2);
		flow->owner = ONLOAD_FROZEN;
		KUNIT_EXPECT_FALSE(test, onload_record_room(flow, 1));
		flow->owner = ONLOAD_LEASED;
		KUNIT_EXPECT_TRUE(test, onload_record_room(flow, 1));
	}
}

/**
 * struct record_header - a record that user level may have written
 * @name: what is special
 * @len: of the record
 * @doff: of its TCP header
 * @behind: bytes of the ring up to the last record's end, or 0: exactly its own
 * @ok: it is one
 */
struct record_header {
	const char *name;
	u32 len;
	u8 doff;
	u32 behind;
	bool ok;
};

static const struct record_header record_headers[] = {
	{ "no payload", 20, 5, 0, true },
	{ "shorter than a header", 19, 5, 0, false },
	{ "length 0", 0, 5, 0, false },
	{ "length all ones", U32_MAX, 5, 64, false },
	{ "length that rounds up to 0", U32_MAX - 15, 5, 64, false },
	{ "the longest", ONLOAD_REC_MAX, 15, 0, true },
	{ "longer than the longest", ONLOAD_REC_MAX + 1, 15, 0, false },
	{ "header of 16", 100, 4, 0, false },
	{ "header of 0", 100, 0, 0, false },
	{ "header of 60", 60, 15, 0, true },
	{ "header longer than the record", 59, 15, 0, false },
	{ "as much payload as an skb takes", 20 + 16 * PAGE_SIZE, 5, 0, true },
	{ "more payload than an skb takes", 21 + 16 * PAGE_SIZE, 5, 0, false },
	{ "longer than what is there", 48, 5, 48, false },
	{ "just as long as what is there", 48, 5, 64, true },
	{ "less there than the shortest", 20, 5, 32, false },
	{ "nothing there", 20, 5, U32_MAX, false },
};

static void record_desc(const struct record_header *h, char *desc)
{
	strscpy(desc, h->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(record, record_headers, record_desc);

static void record_header(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, RX_SIZE, PAGE_SIZE);
	const struct record_header *h = test->param_value;
	struct tcphdr th = { .doff = h->doff }, got;
	struct onload_rec rec = { .len = h->len }, copy;
	int i;

	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		u32 pos = ALIGN_DOWN(onload_origins[i], ONLOAD_REC_ALIGN);
		u8 *at = env->flow.rings->rx + (pos & (RX_SIZE - 1));
		u32 end = pos + (h->behind ?: ONLOAD_REC_SIZE(h->len));

		if (h->behind == U32_MAX)
			end = pos;
		memcpy(at, &rec, sizeof(rec));
		memcpy(at + sizeof(rec), &th, sizeof(th));
		KUNIT_EXPECT_EQ_MSG(test, h->ok ? 0 : -EBADMSG,
				    onload_record_get(&env->flow, pos, end,
						      &copy, &got),
				    "at %u", pos);
	}
}

/* All bytes of a queue, in order, are those of [seq, end). */
static void record_expect_queue(struct kunit *test, struct sk_buff_head *queue,
				u32 seq, u32 end)
{
	u8 *data = kunit_kmalloc(test, ONLOAD_FRAGS_MAX * PAGE_SIZE,
				 GFP_KERNEL);
	struct sk_buff *skb;

	KUNIT_ASSERT_NOT_NULL(test, data);
	while ((skb = __skb_dequeue(queue))) {
		KUNIT_EXPECT_EQ(test, seq, TCP_SKB_CB(skb)->seq);
		KUNIT_EXPECT_EQ(test, seq + skb->len,
				TCP_SKB_CB(skb)->end_seq);
		KUNIT_EXPECT_LE(test, skb->len, ONLOAD_FRAGS_MAX * PAGE_SIZE);
		KUNIT_EXPECT_GE(test, skb->truesize, skb->len);
		skb_copy_bits(skb, 0, data, skb->len);
		KUNIT_EXPECT_TRUE(test, onload_env_bytes(data, seq, skb->len));
		seq += skb->len;
		kfree_skb(skb);
	}
	KUNIT_EXPECT_EQ(test, end, seq);
}

/* Unread bytes: from within the first record, to within the last; records
 * without payload lie between them.
 */
static void record_unread(struct kunit *test)
{
	static const u32 lens[] = { 1448, 0, 100, 65000, 1, 0, 3000 };
	struct onload_env *env = onload_env_lease(test, RX_SIZE, PAGE_SIZE);
	struct onload_flow *flow = &env->flow;
	int i, k;

	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		u32 from = onload_origins[i] - 2000, seq = from;
		u32 pos = ALIGN_DOWN(seq, ONLOAD_REC_ALIGN);
		struct onload_tcp_state st = { .rx_cons = pos };
		struct sk_buff_head queue;

		__skb_queue_head_init(&queue);
		record_begin_at(env, pos);
		for (k = 0; k < ARRAY_SIZE(lens); k++) {
			KUNIT_ASSERT_TRUE(test, record_put(test, flow, seq,
							   lens[k]));
			seq += lens[k];
		}
		st.rx_proc = flow->rx_prod;

		st.copied_seq = from;
		st.rcv_nxt = seq;
		KUNIT_EXPECT_EQ(test, 0,
				onload_record_unread(flow, &st, &queue));
		record_expect_queue(test, &queue, from, seq);

		st.copied_seq = from + 1447;
		st.rcv_nxt = seq - 2999;
		KUNIT_EXPECT_EQ(test, 0,
				onload_record_unread(flow, &st, &queue));
		record_expect_queue(test, &queue, from + 1447, seq - 2999);

		st.copied_seq = seq;
		st.rcv_nxt = seq;
		KUNIT_EXPECT_EQ(test, 0,
				onload_record_unread(flow, &st, &queue));
		KUNIT_EXPECT_TRUE(test, skb_queue_empty(&queue));

		/* The first record has none of it, or begins beyond it; there
		 * is more than the records hold; they end before.
		 */
		st.copied_seq = from + 1448;
		KUNIT_EXPECT_EQ(test, -EBADMSG,
				onload_record_unread(flow, &st, &queue));
		st.copied_seq = from - 1;
		KUNIT_EXPECT_EQ(test, -EBADMSG,
				onload_record_unread(flow, &st, &queue));
		st.copied_seq = from;
		st.rcv_nxt = seq + 1;
		KUNIT_EXPECT_EQ(test, -EBADMSG,
				onload_record_unread(flow, &st, &queue));
		st.rcv_nxt = seq;
		st.rx_proc -= ONLOAD_REC_SIZE(HLEN + 3000);
		KUNIT_EXPECT_EQ(test, -EBADMSG,
				onload_record_unread(flow, &st, &queue));
		KUNIT_EXPECT_TRUE(test, skb_queue_empty(&queue));
	}
}

/* A hole, or a byte twice, between two records */
static void record_unread_hole(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, RX_SIZE, PAGE_SIZE);
	struct onload_flow *flow = &env->flow;
	struct onload_tcp_state st = { .copied_seq = 100, .rcv_nxt = 400 };
	struct sk_buff_head queue;

	__skb_queue_head_init(&queue);
	KUNIT_ASSERT_TRUE(test, record_put(test, flow, 100, 100));
	KUNIT_ASSERT_TRUE(test, record_put(test, flow, 201, 199));
	st.rx_proc = flow->rx_prod;
	KUNIT_EXPECT_EQ(test, -EBADMSG,
			onload_record_unread(flow, &st, &queue));
	KUNIT_EXPECT_TRUE(test, skb_queue_empty(&queue));

	/* Overlap is the peer's right: each byte is taken once. */
	record_begin_at(env, 0);
	KUNIT_ASSERT_TRUE(test, record_put(test, flow, 100, 100));
	KUNIT_ASSERT_TRUE(test, record_put(test, flow, 150, 250));
	st.rx_proc = flow->rx_prod;
	KUNIT_EXPECT_EQ(test, 0, onload_record_unread(flow, &st, &queue));
	record_expect_queue(test, &queue, 100, 400);
}

/* Bytes that come in pieces of any size fill skb after skb. */
static void record_append(struct kunit *test)
{
	static const u32 pieces[] = { 1, 4095, 4096, 4097, 65536, 3, 70000 };
	u8 *data = kunit_kmalloc(test, 70000, GFP_KERNEL);
	struct sk_buff_head queue;
	int i, k;

	KUNIT_ASSERT_NOT_NULL(test, data);
	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		u32 from = onload_origins[i] - 50000, seq = from, n;

		__skb_queue_head_init(&queue);
		for (k = 0; k < ARRAY_SIZE(pieces); k++) {
			for (n = 0; n < pieces[k]; n++)
				data[n] = onload_env_byte(seq + n);
			onload_record_append(&queue, seq, data, pieces[k]);
			seq += pieces[k];
		}
		record_expect_queue(test, &queue, from, seq);
	}
}

/* A segment that goes back to Linux: what it was, with the flow's own ports
 * and addresses whatever the ring says.
 */
static void record_rebuild_one(struct kunit *test, struct onload_env *env,
			       u32 seq, u32 len, u16 gso_size)
{
	struct onload_flow *flow = &env->flow;
	u8 *data = kunit_kmalloc(test, len + 1, GFP_KERNEL);
	struct tcphdr th = {
		.source = htons(1), .dest = htons(2), .seq = htonl(seq),
		.ack_seq = htonl(77), .doff = HLEN / 4, .ack = 1, .psh = 1,
	};
	struct onload_rec rec = {
		.len = HLEN + len, .gso_size = gso_size, .dsfield = 0x28,
		.ttl = 61,
	};
	struct sk_buff *skb;
	u32 mss;

	KUNIT_ASSERT_NOT_NULL(test, data);
	record_begin_at(env, seq & ~(ONLOAD_REC_ALIGN - 1));
	KUNIT_ASSERT_TRUE(test, record_put(test, flow, seq, len));
	skb = onload_rebuild(flow, flow->rx_cons, &rec, &th);

	KUNIT_EXPECT_EQ(test, HLEN + len, skb->len);
	KUNIT_EXPECT_EQ(test, 443, ntohs(tcp_hdr(skb)->source));
	KUNIT_EXPECT_EQ(test, 40000, ntohs(tcp_hdr(skb)->dest));
	KUNIT_EXPECT_EQ(test, seq, TCP_SKB_CB(skb)->seq);
	KUNIT_EXPECT_EQ(test, seq + len, TCP_SKB_CB(skb)->end_seq);
	KUNIT_EXPECT_EQ(test, 77, TCP_SKB_CB(skb)->ack_seq);
	KUNIT_EXPECT_EQ(test, TCPHDR_ACK | TCPHDR_PSH,
			TCP_SKB_CB(skb)->tcp_flags);
	KUNIT_EXPECT_EQ(test, 0x28, TCP_SKB_CB(skb)->ip_dsfield);
	skb_copy_bits(skb, HLEN, data, len);
	KUNIT_EXPECT_TRUE(test, onload_env_bytes(data, seq, len));

	mss = clamp_t(u32, gso_size ?: 1448, TCP_MIN_MSS, 1448);
	KUNIT_EXPECT_EQ(test, len > mss ? mss : 0,
			skb_shinfo(skb)->gso_size);
	if (len > mss)
		KUNIT_EXPECT_EQ(test, DIV_ROUND_UP(len, mss),
				skb_shinfo(skb)->gso_segs);
	if (ipv6_addr_v4mapped(&flow->key.local)) {
		KUNIT_EXPECT_EQ(test, 61, ip_hdr(skb)->ttl);
		KUNIT_EXPECT_EQ(test, htonl(0x0a000001), ip_hdr(skb)->daddr);
		KUNIT_EXPECT_EQ(test, htonl(0x0a000002), ip_hdr(skb)->saddr);
	} else {
		KUNIT_EXPECT_EQ(test, 61, ipv6_hdr(skb)->hop_limit);
		KUNIT_EXPECT_TRUE(test, ipv6_hdr(skb)->version == 6);
		KUNIT_EXPECT_TRUE(test,
				  ipv6_addr_equal(&ipv6_hdr(skb)->daddr,
						  &flow->key.local));
	}
	kfree_skb(skb);
	kunit_kfree(test, data);
}

static void record_rebuild(struct kunit *test)
{
	static const u32 lens[] = { 0, 1, 1448, 1449, 1536, 1537, 65000 };
	static const u16 sizes[] = { 0, 1, 1000, 1448, 60000 };
	struct onload_env *env = onload_env_lease(test, RX_SIZE, PAGE_SIZE);
	struct inet_sock *inet = inet_sk(env->flow.sk);
	int i, k, v6;

	env->sock.tcp.advmss = 1448;
	inet->inet_sport = htons(40000);
	inet->inet_dport = htons(443);
	inet->inet_rcv_saddr = htonl(0x0a000001);
	inet->inet_daddr = htonl(0x0a000002);
	for (v6 = 0; v6 < 2; v6++) {
		if (v6)
			env->flow.key.local.s6_addr[0] = 0xfd;
		else
			ipv6_addr_set_v4mapped(inet->inet_rcv_saddr,
					       &env->flow.key.local);
		for (i = 0; i < ARRAY_SIZE(lens); i++)
			for (k = 0; k < ARRAY_SIZE(sizes); k++)
				record_rebuild_one(test, env, -lens[i] / 2,
						   lens[i], sizes[k]);
	}
}

static struct kunit_case record_tests[] = {
	KUNIT_CASE(record_put_places),
	KUNIT_CASE(record_put_aggregate),
	KUNIT_CASE(record_put_limits),
	KUNIT_CASE(record_room),
	KUNIT_CASE_PARAM(record_header, record_gen_params),
	KUNIT_CASE(record_unread),
	KUNIT_CASE(record_unread_hole),
	KUNIT_CASE(record_append),
	KUNIT_CASE(record_rebuild),
	{}
};

static struct kunit_suite record_suite = {
	.name		= "onload_record",
	.suite_init	= onload_env_init,
	.suite_exit	= onload_env_exit,
	.exit		= onload_env_end,
	.test_cases	= record_tests,
};

kunit_test_suite(record_suite);
