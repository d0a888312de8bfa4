// SPDX-License-Identifier: GPL-2.0
/*
 * The gate: which packets are a flow's, and what becomes of each. Packets come
 * as from IP: in pages or in fragments, with options and extension headers,
 * cut short, with checksums to be verified.
 */
#include <linux/netdevice.h>
#include <net/ip6_checksum.h>
#include <net/tcp.h>

#include "../gate.c"
#include "env.h"

#define RX_SIZE	0x20000u
#define SEQ	5000u		/* rcv_nxt when leased */
#define SENT	9000u		/* what has been sent ends here */

/* What is special about a packet */
#define IN_PAGES	BIT(0)	/* only the IP header is linear */
#define IN_FRAGMENTS	BIT(1)	/* reassembled: a list of skbs */
#define AGGREGATE	BIT(2)
#define BAD_SUM		BIT(3)
#define SUMMED		BIT(4)	/* by the sender's kernel or by an adapter */
#define CUT		BIT(5)	/* the last byte of the TCP header is missing */

/**
 * struct gate_packet - a segment and what becomes of it
 * @name: what is special
 * @how: ditto
 * @options: bytes between IP's and TCP's header
 * @seq: sequence number
 * @ack: acknowledgement
 * @len: payload
 * @doff: of the TCP header
 * @flags: of the TCP header
 * @dropped: it is, instead of becoming a record
 * @why: what the flow is queued to be reclaimed for
 */
struct gate_packet {
	const char *name;
	u32 how;
	u32 options;
	u32 seq;
	u32 ack;
	u32 len;
	u8 doff;
	u8 flags;
	bool dropped;
	enum onload_reason why;
};

#define PLAIN .seq = SEQ, .ack = SENT - 100, .len = 100, .doff = 8, \
	      .flags = TCPHDR_ACK

static const struct gate_packet gate_packets[] = {
	{ "plain", PLAIN },
	{ "summed", PLAIN, .how = SUMMED },
	{ "bad checksum", PLAIN, .how = BAD_SUM, .dropped = true },
	{ "4 bytes of IP options", PLAIN, .options = 4 },
	{ "40 bytes of IP options", PLAIN, .options = 40 },
	{ "40 bytes of IP options, in pages", PLAIN, .options = 40,
	  .how = IN_PAGES },
	{ "in pages", PLAIN, .how = IN_PAGES },
	{ "in pages, bad checksum", PLAIN, .how = IN_PAGES | BAD_SUM,
	  .dropped = true },
	{ "fragments", PLAIN, .how = IN_FRAGMENTS },
	{ "fragments, IP options", PLAIN, .how = IN_FRAGMENTS, .options = 8 },
	{ "fragments, bad checksum", PLAIN, .how = IN_FRAGMENTS | BAD_SUM,
	  .dropped = true },
	{ "aggregate", PLAIN, .len = 60000,
	  .how = IN_PAGES | AGGREGATE | SUMMED },
	{ "no payload", PLAIN, .len = 0 },
	{ "TCP header of 20", PLAIN, .doff = 5 },
	{ "TCP header of 60", PLAIN, .doff = 15 },
	{ "TCP header of 60, in pages", PLAIN, .doff = 15, .how = IN_PAGES },
	{ "TCP header of 16", PLAIN, .doff = 4, .dropped = true },
	{ "TCP header of 0", PLAIN, .doff = 0, .dropped = true },
	{ "TCP header cut short", PLAIN, .len = 0, .how = CUT,
	  .dropped = true },
	{ "TCP header of 60 cut short", PLAIN, .len = 0, .doff = 15,
	  .how = CUT | IN_PAGES, .dropped = true },
	{ "FIN", PLAIN, .flags = TCPHDR_ACK | TCPHDR_FIN,
	  .why = ONLOAD_R_PEERCLOSE },
	{ "RST", PLAIN, .flags = TCPHDR_RST, .len = 0,
	  .why = ONLOAD_R_PEERCLOSE },
	{ "SYN", PLAIN, .flags = TCPHDR_SYN | TCPHDR_ACK,
	  .why = ONLOAD_R_PEERCLOSE },
	{ "URG", PLAIN, .flags = TCPHDR_ACK | TCPHDR_URG,
	  .why = ONLOAD_R_PEERCLOSE },
	{ "PSH", PLAIN, .flags = TCPHDR_ACK | TCPHDR_PSH },
	{ "no ACK", PLAIN, .flags = 0, .why = ONLOAD_R_PEERCLOSE },
	{ "no flag but PSH", PLAIN, .flags = TCPHDR_PSH,
	  .why = ONLOAD_R_PEERCLOSE },
	{ "probe", PLAIN, .len = 0, .seq = SEQ - 1,
	  .why = ONLOAD_R_PEERCLOSE },
	{ "probe with a byte", PLAIN, .len = 1, .seq = SEQ - 1 },
};

static void gate_packet_desc(const struct gate_packet *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(gate, gate_packets, gate_packet_desc);

/* Everything from the TCP header on */
static u32 gate_tcp(u8 *buf, const struct gate_packet *p, u16 sport, u16 dport)
{
	struct tcphdr *th = (struct tcphdr *)buf;
	u32 hlen = max_t(u32, p->doff * 4, sizeof(*th)), i;

	memset(buf, 0, hlen);
	th->source = htons(sport);
	th->dest = htons(dport);
	th->seq = htonl(p->seq);
	th->ack_seq = htonl(p->ack);
	th->doff = p->doff;
	buf[13] = p->flags;
	for (i = 0; i < p->len; i++)
		buf[hlen + i] = onload_env_byte(p->seq + i);
	if (p->how & CUT)
		return hlen - 1;
	return hlen + p->len;
}

static struct sk_buff *gate_alloc(struct kunit *test, u32 size)
{
	struct sk_buff *skb = alloc_skb(NET_SKB_PAD + size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, skb);
	skb_reserve(skb, NET_SKB_PAD);
	skb->dev = init_net.loopback_dev;
	return skb;
}

/* Append bytes in the way that the packet says; the IP header is there. */
static void gate_fill(struct kunit *test, struct sk_buff *skb, u32 how,
		      const u8 *data, u32 len)
{
	u32 first = how & (IN_PAGES | IN_FRAGMENTS) ? 0 : len, done = 0;

	/* Fragments are cut at a multiple of 8, here within the header. */
	if (how & IN_FRAGMENTS)
		first = min(len, 8u);
	skb_put_data(skb, data, first);
	for (done = first; done < len;) {
		u32 n = min_t(u32, len - done, how & IN_FRAGMENTS ? 48 :
							   PAGE_SIZE);

		if (how & IN_FRAGMENTS) {
			struct sk_buff *part = gate_alloc(test, n), **to;

			skb_put_data(part, data + done, n);
			for (to = &skb_shinfo(skb)->frag_list; *to;)
				to = &(*to)->next;
			*to = part;
			skb->len += n;
			skb->data_len += n;
			skb->truesize += part->truesize;
		} else {
			struct page *page = alloc_page(GFP_KERNEL);

			KUNIT_ASSERT_NOT_NULL(test, page);
			memcpy(page_address(page), data + done, n);
			skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, 0,
					n, PAGE_SIZE);
		}
		done += n;
	}
	if (how & AGGREGATE) {
		skb_shinfo(skb)->gso_size = 1448;
		skb_shinfo(skb)->gso_segs = DIV_ROUND_UP(len, 1448);
		skb_shinfo(skb)->gso_type = SKB_GSO_TCPV4;
	}
	skb->ip_summed = how & SUMMED ? CHECKSUM_UNNECESSARY : CHECKSUM_NONE;
}

static struct sk_buff *gate_ip4(struct kunit *test, const struct gate_packet *p,
				u32 saddr, u32 daddr)
{
	u8 *tcp = kunit_kzalloc(test, 60 + p->len, GFP_KERNEL);
	u32 hlen = sizeof(struct iphdr) + p->options, len;
	struct sk_buff *skb;
	struct tcphdr *th;
	struct iphdr *ip;

	KUNIT_ASSERT_NOT_NULL(test, tcp);
	len = gate_tcp(tcp, p, 443, 40000);
	th = (struct tcphdr *)tcp;
	th->check = csum_tcpudp_magic(htonl(saddr), htonl(daddr), len,
				      IPPROTO_TCP, csum_partial(tcp, len, 0));
	if (p->how & BAD_SUM)
		th->check ^= htons(1);
	skb = gate_alloc(test, hlen + len);
	skb_reset_network_header(skb);
	ip = skb_put_zero(skb, hlen);
	ip->version = 4;
	ip->ihl = hlen / 4;
	ip->tos = 0x28;
	ip->ttl = 61;
	ip->protocol = IPPROTO_TCP;
	ip->tot_len = htons(hlen + len);
	ip->saddr = htonl(saddr);
	ip->daddr = htonl(daddr);
	/* Options are all no-operations. */
	memset(ip + 1, IPOPT_NOOP, p->options);
	ip->check = ip_fast_csum(ip, ip->ihl);
	skb->protocol = htons(ETH_P_IP);
	skb_set_transport_header(skb, hlen);
	gate_fill(test, skb, p->how, tcp, len);
	return skb;
}

static unsigned int gate_delivered;

static int gate_okfn(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	gate_delivered++;
	kfree_skb(skb);
	return 0;
}

static unsigned int gate_pass(struct sk_buff *skb, u8 pf, nf_hookfn *hook)
{
	struct nf_hook_state state = {
		.hook = NF_INET_LOCAL_IN, .pf = pf, .net = &init_net,
		.okfn = gate_okfn,
	};
	unsigned int verdict;

	/* As from the network */
	local_bh_disable();
	rcu_read_lock();
	verdict = hook(NULL, skb, &state);
	rcu_read_unlock();
	local_bh_enable();
	return verdict;
}

static struct onload_env *gate_begin(struct kunit *test, bool v6)
{
	struct onload_env *env = onload_env_lease(test, RX_SIZE, PAGE_SIZE);
	struct onload_flow *flow = &env->flow;
	struct sock *sk = flow->sk;

	inet_sk(sk)->inet_sport = htons(40000);
	sk->sk_dport = htons(443);
	sk->sk_rcv_saddr = htonl(0x0a000001);
	sk->sk_daddr = htonl(0x0a000002);
	if (v6) {
		sk->sk_family = AF_INET6;
		ipv6_addr_set(&sk->sk_v6_rcv_saddr, htonl(0xfd000000), 0, 0,
			      htonl(1));
		ipv6_addr_set(&sk->sk_v6_daddr, htonl(0xfd000000), 0, 0,
			      htonl(2));
	}
	onload_net(&init_net)->lease_term_ms = 1000;
	flow->rx_seq = SEQ;
	flow->rcv_edge = SEQ + 65536;
	flow->acked = SENT - 200;
	flow->sent = SENT;
	onload_flow_hash(flow);
	gate_delivered = 0;
	return env;
}

static void gate_end(struct kunit *test)
{
	struct onload_env *env = test->priv;

	if (env)
		onload_flow_unhash(&env->flow);
	onload_env_end(test);
}

/* The packet is the only record, all of it, and nothing else. */
static void gate_expect_record(struct kunit *test, struct onload_env *env,
			       const struct gate_packet *p)
{
	const struct onload_rec *rec = (void *)env->flow.rings->rx;
	const struct tcphdr *th = (void *)(rec + 1);

	KUNIT_EXPECT_EQ(test, ONLOAD_REC_SIZE(p->doff * 4 + p->len),
			env->flow.rx_prod);
	KUNIT_EXPECT_EQ(test, p->doff * 4 + p->len, rec->len);
	KUNIT_EXPECT_EQ(test, 0x28, rec->dsfield);
	KUNIT_EXPECT_EQ(test, 61, rec->ttl);
	KUNIT_EXPECT_EQ(test, p->how & AGGREGATE ? 1448 : 0, rec->gso_size);
	KUNIT_EXPECT_EQ(test, p->seq, ntohl(th->seq));
	KUNIT_EXPECT_EQ(test, p->ack, ntohl(th->ack_seq));
	KUNIT_EXPECT_EQ(test, p->flags, ((u8 *)th)[13]);
	KUNIT_EXPECT_TRUE(test, onload_env_bytes((u8 *)th + p->doff * 4, p->seq,
						 p->len));
}

static void gate_leased(struct kunit *test)
{
	const struct gate_packet *p = test->param_value;
	struct onload_env *env = gate_begin(test, false);
	struct onload_flow *flow = &env->flow;
	struct sk_buff *skb = gate_ip4(test, p, 0x0a000002, 0x0a000001);

	KUNIT_EXPECT_EQ(test, NF_STOLEN,
			gate_pass(skb, NFPROTO_IPV4, onload_gate4));
	KUNIT_EXPECT_EQ(test, 0, gate_delivered);
	if (p->dropped)
		KUNIT_EXPECT_EQ(test, 0, flow->rx_prod);
	else
		gate_expect_record(test, env, p);
	KUNIT_EXPECT_EQ(test, p->why, flow->why);
}

/* While Linux has the flow, it gets the packet, whatever it is; under a wire
 * too, which ends if the connection is not quiet afterwards.
 */
static void gate_linux(struct kunit *test)
{
	const struct gate_packet *p = test->param_value;
	struct onload_env *env = gate_begin(test, false);
	struct onload_flow *flow = &env->flow;
	struct sk_buff *skb = gate_ip4(test, p, 0x0a000002, 0x0a000001);

	flow->owner = ONLOAD_KERNEL;
	KUNIT_EXPECT_EQ(test, NF_STOLEN,
			gate_pass(skb, NFPROTO_IPV4, onload_gate4));
	KUNIT_EXPECT_EQ(test, 1, gate_delivered);

	flow->wire = kunit_kzalloc(test, sizeof(*flow->wire), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, flow->wire);
	flow->owner = ONLOAD_WIRED;
	skb = gate_ip4(test, p, 0x0a000002, 0x0a000001);
	KUNIT_EXPECT_EQ(test, NF_STOLEN,
			gate_pass(skb, NFPROTO_IPV4, onload_gate4));
	KUNIT_EXPECT_EQ(test, 2, gate_delivered);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_NONE, flow->why);
	flow->sk->sk_state = TCP_CLOSE_WAIT;
	skb = gate_ip4(test, p, 0x0a000002, 0x0a000001);
	gate_pass(skb, NFPROTO_IPV4, onload_gate4);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_PEERCLOSE, flow->why);
	KUNIT_EXPECT_EQ(test, 0, flow->rx_prod);
}

/* Other addresses, other protocols, headers that are not there: not ours. */
static void gate_strangers(struct kunit *test)
{
	static const struct gate_packet p = { PLAIN };
	struct onload_env *env = gate_begin(test, false);
	struct sk_buff *skb;
	int i;

	for (i = 0; i < 6; i++) {
		skb = gate_ip4(test, &p, i == 0 ? 0x0a000003 : 0x0a000002,
			       i == 1 ? 0x0a000003 : 0x0a000001);
		if (i == 2)
			ip_hdr(skb)->protocol = IPPROTO_UDP;
		if (i == 3)
			tcp_hdr(skb)->dest = htons(1);
		if (i == 4)
			skb_trim(skb, ip_hdrlen(skb) + sizeof(struct tcphdr) -
				 1);
		if (i == 5)
			skb_trim(skb, ip_hdrlen(skb));
		KUNIT_EXPECT_EQ_MSG(test, NF_ACCEPT,
				    gate_pass(skb, NFPROTO_IPV4, onload_gate4),
				    "%d", i);
		kfree_skb(skb);
	}
	KUNIT_EXPECT_EQ(test, 0, gate_delivered);
	KUNIT_EXPECT_EQ(test, 0, env->flow.rx_prod);
}

/**
 * struct gate_numbers - where a segment lies, and what the gate knows then
 * @name: of that
 * @seq: from rcv_nxt
 * @len: payload
 * @ack: from what has been sent
 * @rx_seq: from rcv_nxt: what may be acknowledged
 * @acked: from what has been sent
 */
struct gate_numbers {
	const char *name;
	u32 seq;
	u32 len;
	u32 ack;
	u32 rx_seq;
	u32 acked;
};

static const struct gate_numbers gate_numbers[] = {
	{ "next", 0, 100, 0, 100, 0 },
	{ "nothing new", 0, 0, -200, 0, -200 },
	{ "after a hole", 1000, 100, -200, 1100, -200 },
	{ "seen before", -100, 100, -200, 0, -200 },
	{ "half of it seen before", -50, 100, -200, 50, -200 },
	{ "up to what was promised", 65436, 100, -200, 65536, -200 },
	{ "beyond what was promised", 65437, 100, -200, 0, -200 },
	{ "far beyond", 1u << 30, 100, -200, 0, -200 },
	{ "acknowledges a byte", 0, 100, -199, 100, -199 },
	{ "acknowledges what was acknowledged", 0, 100, -201, 100, -200 },
	{ "acknowledges what was not sent", 0, 100, 1, 100, -200 },
	{ "acknowledges far ahead", 0, 100, 1u << 31, 100, -200 },
};

static void gate_numbers_desc(const struct gate_numbers *n, char *desc)
{
	strscpy(desc, n->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(gate_numbers, gate_numbers, gate_numbers_desc);

static void gate_number(struct kunit *test)
{
	const struct gate_numbers *n = test->param_value;
	struct onload_env *env = gate_begin(test, false);
	struct onload_flow *flow = &env->flow;
	int i;

	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		u32 rcv = onload_origins[i], snd = ~rcv;
		struct gate_packet p = {
			.seq = rcv + n->seq, .len = n->len, .ack = snd + n->ack,
			.doff = 5, .flags = TCPHDR_ACK,
		};

		flow->rx_seq = rcv;
		flow->rcv_edge = rcv + 65536;
		flow->sent = snd;
		flow->acked = snd - 200;
		gate_pass(gate_ip4(test, &p, 0x0a000002, 0x0a000001),
			  NFPROTO_IPV4, onload_gate4);
		KUNIT_EXPECT_EQ_MSG(test, rcv + n->rx_seq, flow->rx_seq,
				    "at %u", rcv);
		KUNIT_EXPECT_EQ_MSG(test, snd + n->acked, flow->acked,
				    "at %u", rcv);
	}
}

/* A full ring drops, counts, and ends the lease. */
static void gate_full(struct kunit *test)
{
	static const struct gate_packet p = { PLAIN };
	struct onload_env *env = gate_begin(test, false);
	struct onload_net *on = onload_net(&init_net);
	s64 drops = atomic64_read(&on->rx_drops);

	env->flow.rx_prod = RX_SIZE;
	gate_pass(gate_ip4(test, &p, 0x0a000002, 0x0a000001), NFPROTO_IPV4,
		  onload_gate4);
	KUNIT_EXPECT_EQ(test, RX_SIZE, env->flow.rx_prod);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_RXFULL, env->flow.why);
	KUNIT_EXPECT_EQ(test, drops + 1, atomic64_read(&on->rx_drops));
	KUNIT_EXPECT_EQ(test, SEQ, env->flow.rx_seq);
}

/**
 * struct gate_quote - an ICMP message
 * @name: what is special
 * @type: of the message
 * @protocol: of the packet that it quotes
 * @options: bytes of IP options in there
 * @cut: so many bytes are missing
 * @ours: it is about the flow
 * @seq: of the quoted segment, from what has been sent
 * @frag: where the quoted fragment lies in its packet
 */
struct gate_quote {
	const char *name;
	u8 type;
	u8 protocol;
	u32 options;
	u32 cut;
	bool ours;
	u32 seq;
	u16 frag;
};

static const struct gate_quote gate_quotes[] = {
	{ "unreachable", ICMP_DEST_UNREACH, IPPROTO_TCP, 0, 0, true },
	{ "time exceeded", ICMP_TIME_EXCEEDED, IPPROTO_TCP, 0, 0, true },
	{ "with options", ICMP_DEST_UNREACH, IPPROTO_TCP, 40, 0, true },
	{ "of UDP", ICMP_DEST_UNREACH, IPPROTO_UDP, 0, 0, false },
	{ "echo", ICMP_ECHO, IPPROTO_TCP, 0, 0, false },
	{ "ports and no more", ICMP_DEST_UNREACH, IPPROTO_TCP, 0, 4, false },
	{ "without ports", ICMP_DEST_UNREACH, IPPROTO_TCP, 0, 5, false },
	{ "of the first under way", ICMP_DEST_UNREACH, IPPROTO_TCP, 0, 0, true,
	  -200 },
	{ "of what was acknowledged", ICMP_DEST_UNREACH, IPPROTO_TCP, 0, 0,
	  false, -201 },
	{ "of what was not sent", ICMP_DEST_UNREACH, IPPROTO_TCP, 0, 0, false,
	  1 },
	{ "of a later fragment", ICMP_DEST_UNREACH, IPPROTO_TCP, 0, 0, false, 0,
	  8 },
	{ "half an IP header", ICMP_DEST_UNREACH, IPPROTO_TCP, 0, 18, false },
	{ "options cut short", ICMP_DEST_UNREACH, IPPROTO_TCP, 40, 20, false },
};

static void gate_quote_desc(const struct gate_quote *q, char *desc)
{
	strscpy(desc, q->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(gate_quote, gate_quotes, gate_quote_desc);

static void gate_icmp(struct kunit *test)
{
	const struct gate_quote *q = test->param_value;
	struct onload_env *env = gate_begin(test, false);
	struct sk_buff *skb = gate_alloc(test, 200);
	struct icmphdr *icmp;
	struct iphdr *ip;
	__be16 *ports;
	__be32 *seq;

	skb_reset_network_header(skb);
	ip = skb_put_zero(skb, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->protocol = IPPROTO_ICMP;
	icmp = skb_put_zero(skb, sizeof(*icmp));
	icmp->type = q->type;
	ip = skb_put_zero(skb, sizeof(*ip) + q->options);
	ip->version = 4;
	ip->ihl = 5 + q->options / 4;
	ip->protocol = q->protocol;
	ip->saddr = htonl(0x0a000001);
	ip->daddr = htonl(0x0a000002);
	ip->frag_off = htons(q->frag);
	ports = skb_put_zero(skb, 2 * sizeof(*ports));
	ports[0] = htons(40000);
	ports[1] = htons(443);
	seq = skb_put(skb, sizeof(*seq));
	*seq = htonl(SENT + q->seq);
	skb_trim(skb, skb->len - q->cut);

	KUNIT_EXPECT_EQ(test, NF_ACCEPT,
			gate_pass(skb, NFPROTO_IPV4, onload_gate4));
	KUNIT_EXPECT_EQ(test, q->ours ? ONLOAD_R_ICMP : ONLOAD_R_NONE,
			env->flow.why);
	kfree_skb(skb);
}

#if IS_ENABLED(CONFIG_IPV6)
/**
 * struct gate_chain - the headers between IPv6's and TCP's
 * @name: of them
 * @types: each one's, in order; 8 bytes each
 * @cut: there is less than they say
 * @verdict: of the gate
 * @extended: no lease for the flow any more
 */
struct gate_chain {
	const char *name;
	u8 types[4];
	bool cut;
	unsigned int verdict;
	bool extended;
};

static const struct gate_chain gate_chains[] = {
	{ "none", { 0 }, false, NF_STOLEN, false },
	{ "hop by hop", { NEXTHDR_HOP + 1 }, false, NF_STOLEN, true },
	{ "routing", { NEXTHDR_ROUTING }, false, NF_STOLEN, true },
	{ "options", { NEXTHDR_DEST }, false, NF_STOLEN, true },
	{ "authentication", { NEXTHDR_AUTH }, false, NF_STOLEN, true },
	{ "whole in one fragment", { NEXTHDR_FRAGMENT }, false, NF_STOLEN,
	  true },
	{ "four of them", { NEXTHDR_HOP + 1, NEXTHDR_DEST, NEXTHDR_ROUTING,
			    NEXTHDR_DEST }, false, NF_STOLEN, true },
	{ "cut short", { NEXTHDR_DEST }, true, NF_ACCEPT, false },
	{ "unknown", { 253 }, false, NF_ACCEPT, false },
	{ "encrypted", { NEXTHDR_ESP }, false, NF_ACCEPT, false },
	{ "nothing behind", { NEXTHDR_NONE }, false, NF_ACCEPT, false },
};

static void gate_chain_desc(const struct gate_chain *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(gate_chain, gate_chains, gate_chain_desc);

/* In the table 0 ends the chain, so hop-by-hop, which is 0, is written as 1. */
static u8 gate_chain_type(const struct gate_chain *c, int i)
{
	u8 type = i < ARRAY_SIZE(c->types) ? c->types[i] : 0;

	if (!type)
		return IPPROTO_TCP;
	return type == NEXTHDR_HOP + 1 ? NEXTHDR_HOP : type;
}

static struct sk_buff *gate_ip6(struct kunit *test, const struct gate_packet *p,
				const struct onload_flow *flow,
				const struct gate_chain *c)
{
	u8 *tcp = kunit_kzalloc(test, 60 + p->len, GFP_KERNEL);
	struct sk_buff *skb = gate_alloc(test, 200 + p->len);
	struct ipv6hdr *ip6;
	struct tcphdr *th;
	u32 len, i;

	KUNIT_ASSERT_NOT_NULL(test, tcp);
	len = gate_tcp(tcp, p, 443, 40000);
	th = (struct tcphdr *)tcp;
	th->check = csum_ipv6_magic(&flow->key.remote, &flow->key.local, len,
				    IPPROTO_TCP, csum_partial(tcp, len, 0));
	if (p->how & BAD_SUM)
		th->check ^= htons(1);
	skb_reset_network_header(skb);
	ip6 = skb_put_zero(skb, sizeof(*ip6));
	ip6_flow_hdr(ip6, 0x28, 0);
	ip6->nexthdr = gate_chain_type(c, 0);
	ip6->hop_limit = 61;
	ip6->saddr = flow->key.remote;
	ip6->daddr = flow->key.local;
	for (i = 0; gate_chain_type(c, i) != IPPROTO_TCP; i++) {
		u8 *next = skb_put_zero(skb, 8);

		next[0] = gate_chain_type(c, i + 1);
		/* Authentication counts its length in words, less two. */
		next[1] = c->cut ? 30 : 0;
	}
	skb->protocol = htons(ETH_P_IPV6);
	gate_fill(test, skb, p->how, tcp, len);
	return skb;
}

static void gate_extended(struct kunit *test)
{
	static const struct gate_packet p = { PLAIN };
	const struct gate_chain *c = test->param_value;
	struct onload_env *env = gate_begin(test, true);
	struct onload_flow *flow = &env->flow;
	struct sk_buff *skb = gate_ip6(test, &p, flow, c);
	unsigned int verdict = gate_pass(skb, NFPROTO_IPV6, onload_gate6);

	KUNIT_EXPECT_EQ(test, c->verdict, verdict);
	KUNIT_EXPECT_EQ(test, c->extended, flow->alien);
	KUNIT_EXPECT_EQ(test, c->extended ? ONLOAD_R_FILTER : ONLOAD_R_NONE,
			flow->why);
	if (c->extended || verdict == NF_ACCEPT)
		KUNIT_EXPECT_EQ(test, 0, flow->rx_prod);
	else
		gate_expect_record(test, env, &p);
	if (verdict == NF_ACCEPT)
		kfree_skb(skb);
}

/* IPv4's options are not IPv6's. */
static const void *gate6_gen_params(const void *prev, char *desc)
{
	const struct gate_packet *p = prev;

	do {
		p = gate_gen_params(p, desc);
	} while (p && p->options);
	return p;
}

static void gate_leased6(struct kunit *test)
{
	static const struct gate_chain none = {};
	const struct gate_packet *p = test->param_value;
	struct onload_env *env = gate_begin(test, true);
	struct onload_flow *flow = &env->flow;

	KUNIT_EXPECT_EQ(test, NF_STOLEN,
			gate_pass(gate_ip6(test, p, flow, &none), NFPROTO_IPV6,
				  onload_gate6));
	if (p->dropped)
		KUNIT_EXPECT_EQ(test, 0, flow->rx_prod);
	else
		gate_expect_record(test, env, p);
	KUNIT_EXPECT_EQ(test, p->why, flow->why);
}
#endif

static struct kunit_case gate_tests[] = {
	KUNIT_CASE_PARAM(gate_leased, gate_gen_params),
	KUNIT_CASE_PARAM(gate_linux, gate_gen_params),
	KUNIT_CASE(gate_strangers),
	KUNIT_CASE_PARAM(gate_number, gate_numbers_gen_params),
	KUNIT_CASE(gate_full),
	KUNIT_CASE_PARAM(gate_icmp, gate_quote_gen_params),
#if IS_ENABLED(CONFIG_IPV6)
	KUNIT_CASE_PARAM(gate_extended, gate_chain_gen_params),
	KUNIT_CASE_PARAM(gate_leased6, gate6_gen_params),
#endif
	{}
};

static struct kunit_suite gate_suite = {
	.name		= "onload_gate",
	.suite_init	= onload_env_init,
	.suite_exit	= onload_env_exit,
	.exit		= gate_end,
	.test_cases	= gate_tests,
};

kunit_test_suite(gate_suite);
