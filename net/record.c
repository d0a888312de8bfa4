// SPDX-License-Identifier: GPL-2.0
/*
 * Records of the receive ring: segments on their way to user level, and back
 * into skbs when the lease ends. The ring lies in memory that the process can
 * write, so a record that is read back is treated like one from the network:
 * each byte is read once and every length checked.
 */
#include <linux/skbuff.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/tcp.h>

#include "context.h"
#include "flow.h"
#include "lease.h"
#include "netns.h"
#include "record.h"

/* Payload up to this is kept in the linear part: one allocation */
#define ONLOAD_LINEAR 1536
/* After so many records nothing more is taken in: a drain ends */
#define ONLOAD_DRAIN_MAX 4096
/* Pages of an skb of ours: 64 KB, and one to spare below MAX_SKB_FRAGS */
#define ONLOAD_FRAGS_MAX 16

/* Sizes are an skb's; a reclaim cannot fail for want of memory. */
#define ONLOAD_GFP (GFP_KERNEL | __GFP_NOFAIL)

static bool onload_record_room(struct onload_flow *flow, u32 need)
{
	/* A drain moves it on meanwhile: what is seen is free, or less. */
	u32 cons = READ_ONCE(flow->rx_cons);
	u32 size = flow->ctx->rx_size;
	struct onload_tcp_state st;

	if (flow->rx_prod - cons + need <= size)
		return true;
	if (flow->owner != ONLOAD_LEASED || !onload_peek(flow, &st))
		return false;
	/* Given back can only be what lies between the two. */
	if (flow->rx_prod - st.rx_cons > flow->rx_prod - cons ||
	    st.rx_cons & (ONLOAD_REC_ALIGN - 1))
		return false;
	WRITE_ONCE(flow->rx_cons, st.rx_cons);
	return flow->rx_prod - st.rx_cons + need <= size;
}

/**
 * onload_record_put() - append a segment to the receive ring
 * @flow: locked, not the kernel's
 * @skb: data at the TCP header; not consumed
 * @dsfield: of its IP header
 * @ttl: of its IP header
 *
 * Return: false if the ring is full.
 */
bool onload_record_put(struct onload_flow *flow, const struct sk_buff *skb,
		       u8 dsfield, u8 ttl)
{
	u32 need = ONLOAD_REC_SIZE(skb->len);
	struct onload_rec rec = {
		.len = skb->len,
		.gso_size = skb_is_gso(skb) ? skb_shinfo(skb)->gso_size : 0,
		.dsfield = dsfield,
		.ttl = ttl,
	};
	u8 *to;

	if (skb->len > ONLOAD_REC_MAX || READ_ONCE(flow->closed) ||
	    !onload_record_room(flow, need))
		return false;
	to = flow->rings->rx + (flow->rx_prod & (flow->ctx->rx_size - 1));
	memcpy(to, &rec, sizeof(rec));
	if (skb_copy_bits(skb, 0, to + sizeof(rec), skb->len))
		return false;
	WRITE_ONCE(flow->rx_prod, flow->rx_prod + need);
	/* Release: the record before its position. Pairs with the library's
	 * acquire; the kernel's own readers take the flow's lock.
	 */
	smp_store_release(&flow->slot->rx_prod, flow->rx_prod);
	return true;
}

static int onload_record_actor(read_descriptor_t *desc, struct sk_buff *skb,
			       unsigned int offset, size_t len)
{
	u8 *to = desc->arg.data;

	len = min(len, desc->count);
	if (skb_copy_bits(skb, offset, to, len))
		return -EFAULT;
	desc->arg.data = to + len;
	desc->count -= len;
	return len;
}

/**
 * onload_record_queue() - move what Linux has for the application to the ring
 * @flow: locked, socket locked, ring empty
 *
 * One record, as if it had arrived as one segment that user level has
 * processed already.
 */
void onload_record_queue(struct onload_flow *flow)
{
	struct sock *sk = flow->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	u8 *to = flow->rings->rx + (flow->rx_prod & (flow->ctx->rx_size - 1));
	u32 want = tp->rcv_nxt - tp->copied_seq;
	struct tcphdr th = {
		.seq = htonl(tp->copied_seq),
		.ack_seq = htonl(tp->snd_una),
		.doff = sizeof(th) / 4,
		.ack = 1,
	};
	struct onload_rec rec = {};
	read_descriptor_t desc = {
		.arg.data = to + sizeof(rec) + sizeof(th),
		.count = want,
	};

	tcp_read_sock(sk, &desc, onload_record_actor);
	/* The queue holds all of [copied_seq, rcv_nxt), and no FIN. */
	WARN_ON_ONCE(desc.count);
	rec.len = sizeof(th) + want;
	memcpy(to, &rec, sizeof(rec));
	memcpy(to + sizeof(rec), &th, sizeof(th));
	WRITE_ONCE(flow->rx_prod, flow->rx_prod + ONLOAD_REC_SIZE(rec.len));
}

/* Copy a record's headers and check them; the payload is what follows. */
static int onload_record_get(struct onload_flow *flow, u32 pos, u32 end,
			     struct onload_rec *rec, struct tcphdr *th)
{
	const u8 *from = flow->rings->rx + (pos & (flow->ctx->rx_size - 1));

	if (end - pos < ONLOAD_REC_SIZE(sizeof(*th)))
		return -EBADMSG;
	onload_copy_shared(rec, from, sizeof(*rec));
	onload_copy_shared(th, from + sizeof(*rec), sizeof(*th));
	if (rec->len < sizeof(*th) || rec->len > ONLOAD_REC_MAX ||
	    ONLOAD_REC_SIZE(rec->len) > end - pos)
		return -EBADMSG;
	if (th->doff * 4 < sizeof(*th) || th->doff * 4 > rec->len)
		return -EBADMSG;
	/* No segment has more payload, and no skb of ours takes more. */
	if (rec->len - th->doff * 4 > ONLOAD_FRAGS_MAX * PAGE_SIZE)
		return -EBADMSG;
	return 0;
}

static const u8 *onload_record_data(const struct onload_flow *flow, u32 pos)
{
	return flow->rings->rx + (pos & (flow->ctx->rx_size - 1)) +
	       sizeof(struct onload_rec);
}

/* Append bytes to the page fragments of an skb; what does not fit is left. */
static u32 onload_skb_append(struct sk_buff *skb, const u8 *from, u32 len)
{
	struct skb_shared_info *info = skb_shinfo(skb);
	u32 done = 0;

	while (done < len) {
		skb_frag_t *frag = &info->frags[info->nr_frags - 1];
		u32 n;

		if (!info->nr_frags || skb_frag_size(frag) == PAGE_SIZE) {
			if (info->nr_frags == ONLOAD_FRAGS_MAX)
				break;
			skb_fill_page_desc(skb, info->nr_frags,
					   alloc_page(ONLOAD_GFP), 0, 0);
			skb->truesize += PAGE_SIZE;
			continue;
		}
		n = min_t(u32, len - done, PAGE_SIZE - skb_frag_size(frag));
		memcpy(skb_frag_address(frag) + skb_frag_size(frag),
		       from + done, n);
		skb_frag_size_add(frag, n);
		skb->len += n;
		skb->data_len += n;
		done += n;
	}
	return done;
}

/**
 * onload_record_append() - add bytes to a queue of in-order skbs
 * @queue: not yet a socket's
 * @seq: sequence number of the first byte, where the last ended
 * @from: the bytes
 * @len: how many
 */
void onload_record_append(struct sk_buff_head *queue, u32 seq, const u8 *from,
			  u32 len)
{
	struct sk_buff *skb = skb_peek_tail(queue);
	u32 done = 0, n;

	while (done < len) {
		n = skb ? onload_skb_append(skb, from + done, len - done) : 0;
		if (n) {
			done += n;
			TCP_SKB_CB(skb)->end_seq += n;
			continue;
		}
		skb = alloc_skb(0, ONLOAD_GFP);
		TCP_SKB_CB(skb)->seq = seq + done;
		TCP_SKB_CB(skb)->end_seq = seq + done;
		__skb_queue_tail(queue, skb);
	}
}

/**
 * onload_record_unread() - the bytes that user level received in order and
 *	the application has not read
 * @flow: socket locked, FROZEN
 * @st: sequence numbers and ring positions are within bounds
 * @queue: gets skbs for [copied_seq, rcv_nxt)
 *
 * Return: 0, -EBADMSG if the records do not hold those bytes.
 */
int onload_record_unread(struct onload_flow *flow,
			 const struct onload_tcp_state *st,
			 struct sk_buff_head *queue)
{
	u32 seq = st->copied_seq;
	u32 pos = st->rx_cons;
	struct onload_rec rec;
	struct tcphdr th;

	while (seq != st->rcv_nxt) {
		u32 hlen, skip, len;
		const u8 *data;

		if (pos == st->rx_proc ||
		    onload_record_get(flow, pos, st->rx_proc, &rec, &th))
			goto bad;
		hlen = th.doff * 4;
		len = rec.len - hlen;
		skip = seq - ntohl(th.seq);
		/* A record without payload may stand anywhere. */
		if (len) {
			if (skip >= len)
				goto bad;
			len = min(len - skip, st->rcv_nxt - seq);
			data = onload_record_data(flow, pos) + hlen + skip;
			onload_record_append(queue, seq, data, len);
			seq += len;
		}
		pos += ONLOAD_REC_SIZE(rec.len);
	}
	return 0;
bad:
	__skb_queue_purge(queue);
	return -EBADMSG;
}

static u32 onload_ip_header(struct onload_flow *flow, struct sk_buff *skb,
			    const struct onload_rec *rec)
{
	const struct sock *sk = flow->sk;

	skb_reset_network_header(skb);
#if IS_ENABLED(CONFIG_IPV6)
	if (!ipv6_addr_v4mapped(&flow->key.local)) {
		struct ipv6hdr *ip6 = skb_put_zero(skb, sizeof(*ip6));

		ip6_flow_hdr(ip6, rec->dsfield, 0);
		ip6->nexthdr = IPPROTO_TCP;
		ip6->hop_limit = rec->ttl;
		ip6->payload_len = htons(min_t(u32, U16_MAX, rec->len));
		ip6->saddr = flow->key.remote;
		ip6->daddr = flow->key.local;
		skb->protocol = htons(ETH_P_IPV6);
		TCP_SKB_CB(skb)->header.h6.iif = skb->skb_iif;
		return sizeof(*ip6);
	}
#endif
	{
		struct iphdr *ip = skb_put_zero(skb, sizeof(*ip));

		ip->version = 4;
		ip->ihl = 5;
		ip->tos = rec->dsfield;
		ip->ttl = rec->ttl;
		ip->protocol = IPPROTO_TCP;
		ip->tot_len = htons(min_t(u32, U16_MAX, sizeof(*ip) +
					  rec->len));
		ip->saddr = inet_sk(sk)->inet_daddr;
		ip->daddr = inet_sk(sk)->inet_rcv_saddr;
		skb->protocol = htons(ETH_P_IP);
		TCP_SKB_CB(skb)->header.h4.iif = skb->skb_iif;
		return sizeof(*ip);
	}
}

static struct sk_buff *onload_rebuild(struct onload_flow *flow, u32 pos,
				      const struct onload_rec *rec,
				      struct tcphdr *th)
{
	const u8 *data = onload_record_data(flow, pos);
	u32 hlen = th->doff * 4, len = rec->len - hlen;
	u32 linear = len <= ONLOAD_LINEAR ? len : 0;
	struct sock *sk = flow->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	struct tcp_skb_cb *cb;
	struct sk_buff *skb;
	u32 iplen, mss;

	skb = alloc_skb(NET_SKB_PAD + sizeof(struct ipv6hdr) + hlen + linear,
			ONLOAD_GFP);
	skb_reserve(skb, NET_SKB_PAD);
	/* As tcp_v4_do_rcv() expects it, lest it forget its route. */
	skb->skb_iif = sk->sk_rx_dst_ifindex;
	iplen = onload_ip_header(flow, skb, rec);

	/* Ports are the flow's, whatever the ring says. */
	th->source = inet_sk(sk)->inet_dport;
	th->dest = inet_sk(sk)->inet_sport;
	skb_set_transport_header(skb, iplen);
	skb_put_data(skb, th, sizeof(*th));
	skb_put_data(skb, data + sizeof(*th), hlen - sizeof(*th) + linear);
	onload_skb_append(skb, data + hlen + linear, len - linear);

	skb->ip_summed = CHECKSUM_UNNECESSARY;
	__skb_set_sw_hash(skb, sk->sk_rxhash, true);
	mss = clamp_t(u32, rec->gso_size ?: tp->advmss, TCP_MIN_MSS,
		      tp->advmss);
	if (len > mss) {
		skb_shinfo(skb)->gso_size = mss;
		skb_shinfo(skb)->gso_segs = DIV_ROUND_UP(len, mss);
		skb_shinfo(skb)->gso_type =
			skb->protocol == htons(ETH_P_IP) ? SKB_GSO_TCPV4 :
							   SKB_GSO_TCPV6;
	}

	__skb_pull(skb, iplen);
	cb = TCP_SKB_CB(skb);
	cb->seq = ntohl(th->seq);
	cb->end_seq = cb->seq + th->syn + th->fin + len;
	cb->ack_seq = ntohl(th->ack_seq);
	cb->tcp_flags = tcp_flag_byte(th);
	cb->ip_dsfield = rec->dsfield;
	return skb;
}

/* The gate gives way: from here on segments go to Linux. */
static bool onload_drained(struct onload_flow *flow, u32 pos, u32 *prod)
{
	bool done;

	spin_lock_bh(&flow->lock);
	*prod = flow->rx_prod;
	done = pos == *prod;
	if (done)
		WRITE_ONCE(flow->owner, ONLOAD_KERNEL);
	spin_unlock_bh(&flow->lock);
	return done;
}

/**
 * onload_record_promise() - what was promised must still fit when it arrives
 * @sk: locked, in Linux's hands
 * @rcvbuf: its sk_rcvbuf so far, in bytes
 */
void onload_record_promise(struct sock *sk, int rcvbuf)
{
	int need = atomic_read(&sk->sk_rmem_alloc) +
		   2 * tcp_receive_window(tcp_sk(sk));

	WRITE_ONCE(sk->sk_rcvbuf, max(rcvbuf, need));
}

/**
 * onload_record_drain() - let Linux have the segments that user level has not
 *	processed, then all that follow
 * @flow: socket locked, state imported, FROZEN
 * @pos: ring position of the first
 *
 * Segments that arrive meanwhile are appended to the ring, so none overtakes.
 * On return the owner is KERNEL.
 *
 * Return: 0, -EBADMSG if there was nonsense in the ring: the rest is dropped,
 * unacknowledged, for the peer to repeat.
 */
int onload_record_drain(struct onload_flow *flow, u32 pos)
{
	struct sock *sk = flow->sk;
	int rcvbuf = sk->sk_rcvbuf, n = 0, err = 0;
	struct onload_rec rec;
	struct sk_buff *skb;
	struct tcphdr th;
	u32 prod;

	/* A promise to the peer: the socket's limits do not cap it. */
	WRITE_ONCE(sk->sk_rcvbuf, INT_MAX / 2);
	WRITE_ONCE(flow->rx_cons, pos);
	while (!onload_drained(flow, pos, &prod)) {
		err = err ?: onload_record_get(flow, pos, prod, &rec, &th);
		if (err) {
			pos = prod;
			continue;
		}
		if (++n == ONLOAD_DRAIN_MAX)
			WRITE_ONCE(flow->closed, true);
		skb = onload_rebuild(flow, pos, &rec, &th);
		tcp_segs_in(tcp_sk(sk), skb);
		/* As __release_sock() does; consumes the skb. */
		sk->sk_backlog_rcv(sk, skb);
		pos += ONLOAD_REC_SIZE(rec.len);
		WRITE_ONCE(flow->rx_cons, pos);
		cond_resched();
	}
	onload_record_promise(sk, rcvbuf);
	return err;
}
