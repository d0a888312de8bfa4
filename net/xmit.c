// SPDX-License-Identifier: GPL-2.0
/*
 * Transmission on the soft virtual interface. User level says which bytes of
 * its ring to send; the headers are built here from what the kernel knows of
 * the flow, and Linux routes, filters and queues the packet like any other of
 * the socket.
 */
#include <linux/file.h>
#include <linux/net.h>
#include <net/ip.h>
#include <net/tcp.h>

#include "context.h"
#include "flow.h"
#include "lease.h"
#include "prot.h"
#include "sockopt.h"
#include "watch.h"
#include "xmit.h"

/* Payload up to this goes to the linear part: one allocation */
#define ONLOAD_XMIT_LINEAR 1536

static int onload_seg_check(const struct onload_flow *flow,
			    const struct onload_seg *seg)
{
	const struct onload_ctx *ctx = flow->ctx;
	u8 wscale = tcp_sk(flow->sk)->rx_opt.rcv_wscale;
	s32 promised = flow->rcv_edge - seg->ack;

	if (seg->len > ONLOAD_SEG_MAX || seg->flags & ~ONLOAD_SEG_PSH ||
	    seg->reserved)
		return -EINVAL;
	/* New bytes only, and no more than the ring keeps for repetition. */
	if (seg->seq != flow->sent ||
	    seg->seq + seg->len - READ_ONCE(flow->acked) > ctx->tx_size)
		return -EINVAL;
	/* Acknowledged: no less than before, and only what has arrived. */
	if (seg->ack - flow->last_ack > READ_ONCE(flow->rx_seq) - flow->last_ack)
		return -EINVAL;
	/* Promised: no more than the ring holds, or than before. Rounded up
	 * as Linux does, so that it grows with what is acknowledged only.
	 */
	if (seg->wnd & ((1u << wscale) - 1) || seg->wnd >> wscale > U16_MAX ||
	    seg->wnd > max(ctx->rx_size / 2 + (1u << wscale),
			   round_up((u32)max(promised, 0), 1u << wscale)))
		return -EINVAL;
	return 0;
}

/* What is in front of the payload: as much as the route asks for. A device
 * that turns out to need more gets it from Linux's output path, by a copy.
 */
static unsigned int onload_headroom(struct sock *sk)
{
	unsigned int room = MAX_TCP_HEADER;
	const struct dst_entry *dst;

	/* The socket is locked, and its route with it. */
	dst = __sk_dst_get(sk);
	if (dst)
		room = LL_RESERVED_SPACE(dst->dev) + dst->header_len +
		       inet_csk(sk)->icsk_af_ops->net_header_len +
		       inet_csk(sk)->icsk_ext_hdr_len +
		       sizeof(struct tcphdr) + TCPOLEN_TSTAMP_ALIGNED;
	return room;
}

/* From a page fragment, cheaper than the slab, and with softirqs off from what
 * the gate has just given back.
 */
static struct sk_buff *onload_small_skb(unsigned int room, const u8 *from,
					u32 len)
{
	bool napi = in_softirq();
	unsigned int size = SKB_DATA_ALIGN(room + len) +
			    SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
	void *data = napi ? napi_alloc_frag(size) : netdev_alloc_frag(size);
	struct sk_buff *skb;

	if (!data)
		return NULL;
	skb = napi ? napi_build_skb(data, size) : build_skb(data, size);
	if (!skb) {
		skb_free_frag(data);
		return NULL;
	}
	skb_reserve(skb, room);
	skb_put_data(skb, from, len);
	return skb;
}

static struct sk_buff *onload_seg_skb(const struct onload_flow *flow,
				      const struct onload_seg *seg)
{
	const u8 *from = flow->rings->tx +
			 (seg->seq & (flow->ctx->tx_size - 1));
	unsigned int room = onload_headroom(flow->sk);
	struct sk_buff *skb;
	int err;

	if (seg->len <= ONLOAD_XMIT_LINEAR)
		return onload_small_skb(room, from, seg->len);
	skb = alloc_skb_with_frags(room, seg->len, PAGE_ALLOC_COSTLY_ORDER,
				   &err, GFP_KERNEL);
	if (!skb)
		return NULL;
	skb_reserve(skb, room);
	skb->len = seg->len;
	skb->data_len = seg->len;
	skb_store_bits(skb, 0, from, seg->len);
	return skb;
}

static void onload_seg_header(const struct onload_flow *flow,
			      const struct onload_seg *seg, struct sk_buff *skb)
{
	struct sock *sk = flow->sk;
	const struct tcp_sock *tp = tcp_sk(sk);
	u32 hlen = sizeof(struct tcphdr);
	struct tcphdr *th;
	__be32 *opt;

	if (tp->rx_opt.tstamp_ok)
		hlen += TCPOLEN_TSTAMP_ALIGNED;
	th = skb_push(skb, hlen);
	skb_reset_transport_header(skb);
	th->source = inet_sk(sk)->inet_sport;
	th->dest = inet_sk(sk)->inet_dport;
	th->seq = htonl(seg->seq);
	th->ack_seq = htonl(seg->ack);
	tcp_flag_word(th) = (__force __be32)htonl(hlen << 26) | TCP_FLAG_ACK;
	th->psh = !!(seg->flags & ONLOAD_SEG_PSH);
	th->window = htons(seg->wnd >> tp->rx_opt.rcv_wscale);
	th->check = 0;
	th->urg_ptr = 0;
	if (tp->rx_opt.tstamp_ok) {
		opt = (__be32 *)(th + 1);
		opt[0] = htonl(TCPOPT_NOP << 24 | TCPOPT_NOP << 16 |
			       TCPOPT_TIMESTAMP << 8 | TCPOLEN_TIMESTAMP);
		opt[1] = htonl(tcp_time_stamp_raw() + tp->tsoffset);
		opt[2] = htonl(seg->tsecr);
	}
}

static void onload_seg_xmit(struct onload_flow *flow,
			    const struct onload_seg *seg, struct sk_buff *skb)
{
	struct sock *sk = flow->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	u32 mss = tp->mss_cache, segs = 1;

	onload_seg_header(flow, seg, skb);
	if (seg->len > mss) {
		segs = DIV_ROUND_UP(seg->len, mss);
		skb_shinfo(skb)->gso_size = mss;
		skb_shinfo(skb)->gso_segs = segs;
		skb_shinfo(skb)->gso_type = sk->sk_gso_type;
	}
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb_set_owner_w(skb, sk);
	skb_set_hash_from_sk(skb, sk);
	skb_set_dst_pending_confirm(skb, READ_ONCE(sk->sk_dst_pending_confirm));
	inet_csk(sk)->icsk_af_ops->send_check(sk, skb);

	/* Before it leaves: the answer may be here before we return. */
	WRITE_ONCE(flow->sent, seg->seq + seg->len);
	WRITE_ONCE(flow->last_ack, seg->ack);
	flow->last_wnd = seg->wnd;
	if (after(seg->ack + seg->wnd, flow->rcv_edge))
		WRITE_ONCE(flow->rcv_edge, seg->ack + seg->wnd);
	tp->segs_out += segs;
	if (seg->len)
		tp->data_segs_out += segs;
	TCP_ADD_STATS(flow->net, TCP_MIB_OUTSEGS, segs);

	/* What the queue or the firewall drops is loss like any other. */
	inet_csk(sk)->icsk_af_ops->queue_xmit(sk, skb, &inet_sk(sk)->cork.fl);
}

/* The watch has patience with those who are busy. One store a tick: the line
 * is shared by all threads of the process.
 */
static void onload_seg_kicked(struct onload_ctx *ctx)
{
	unsigned long now = jiffies;

	if (READ_ONCE(ctx->kicked) != now)
		WRITE_ONCE(ctx->kicked, now);
}

/* Not under the socket's spinlock, which the gate takes under the flow's. */
static void onload_seg_watch(struct onload_flow *flow,
			     const struct onload_seg *seg)
{
	if (!seg->len || READ_ONCE(flow->tx_armed))
		return;
	spin_lock_bh(&flow->lock);
	if (flow->owner == ONLOAD_LEASED &&
	    flow->generation == seg->generation)
		onload_watch_tx(flow);
	spin_unlock_bh(&flow->lock);
}

/* A small segment leaves as from Linux's own receive path: under the socket's
 * spinlock, which is cheaper than to own the socket. Memory for a large one
 * may have to be waited for.
 */
static bool onload_seg_lock(struct sock *sk, const struct onload_seg *seg)
	__acquires(&sk->sk_lock.slock)
{
	if (seg->len <= ONLOAD_XMIT_LINEAR)
		return lock_sock_fast(sk);
	lock_sock(sk);
	__acquire(&sk->sk_lock.slock);
	return true;
}

/* Memory that packets on their way through the host may take. Bytes are bounded
 * by the ring, what lies around them is not: one each would take hundreds.
 */
static u32 onload_seg_room(const struct onload_flow *flow,
			   const struct onload_seg *seg)
{
	u32 room = READ_ONCE(flow->sk->sk_sndbuf);

	return seg->len ? room + 2 * flow->ctx->tx_size : room;
}

static int onload_seg_send(struct onload_flow *flow,
			   const struct onload_seg *seg)
{
	struct sock *sk = flow->sk;
	struct sk_buff *skb;
	int err = -ESTALE;
	bool slow;

	slow = onload_seg_lock(sk, seg);
	if (flow->owner != ONLOAD_LEASED ||
	    flow->generation != seg->generation ||
	    flow->slot_nr != seg->slot || !onload_flow_mine(flow))
		goto out;
	/* Somebody put a hand on the socket since: Linux takes over. */
	if (sk->sk_state != TCP_ESTABLISHED || sk->sk_user_data ||
	    !onload_prot_is_ours(sk->sk_prot)) {
		onload_flow_queue(flow, ONLOAD_R_FILTER);
		goto out;
	}
	err = onload_seg_check(flow, seg);
	if (err)
		goto out;
	err = -ENOBUFS;
	if (refcount_read(&sk->sk_wmem_alloc) > onload_seg_room(flow, seg))
		goto out;
	err = -ENOMEM;
	skb = onload_seg_skb(flow, seg);
	if (!skb)
		goto out;
	onload_seg_xmit(flow, seg, skb);
	onload_seg_kicked(flow->ctx);
	err = 0;
out:
	unlock_sock_fast(sk, slow);
	if (!err)
		onload_seg_watch(flow, seg);
	return err;
}

static int onload_seg_fd(const struct onload_seg *seg)
{
	struct fd f = fdget(seg->fd);
	struct onload_flow *flow;
	struct socket *sock;
	int err = -EBADF;

	if (!f.file)
		return err;
	/* The descriptor may have become another file meanwhile. */
	sock = sock_from_file(f.file);
	flow = sock ? onload_flow_of(sock) : NULL;
	if (flow) {
		atomic_inc(&flow->callers);
		err = onload_seg_send(flow, seg);
		onload_call_end(flow);
	}
	fdput(f);
	return err;
}

/**
 * onload_kick() - transmit what user level has committed
 * @flow: of the socket that was asked, or NULL
 * @optval: array of struct onload_seg, of any of the process's flows
 * @optlen: its bytes
 *
 * Return: requests transmitted, or the error of the first, as ONLOAD_KICK.
 */
int onload_kick(struct onload_flow *flow, sockptr_t optval,
		unsigned int optlen)
{
	unsigned int n = optlen / sizeof(struct onload_seg), i;
	struct onload_seg seg;
	int err = 0;

	if (!n || n > ONLOAD_KICK_MAX || optlen % sizeof(seg))
		return -EINVAL;
	for (i = 0; i < n; i++) {
		err = -EFAULT;
		if (onload_copy_small(&seg, optval, i * sizeof(seg),
				      sizeof(seg)))
			break;
		if (seg.fd != ONLOAD_SEG_SELF)
			err = onload_seg_fd(&seg);
		else
			err = flow ? onload_seg_send(flow, &seg) : -EBADF;
		if (err)
			break;
	}
	return i ?: err;
}

/**
 * onload_acknowledge() - send the acknowledgement that user level owes
 * @flow: any
 *
 * What it committed as received is true whether it runs or not; the window
 * stays what was promised.
 *
 * Context: may sleep, socket locked.
 * Return: false if that could not be done: somebody must reclaim.
 */
bool onload_acknowledge(struct onload_flow *flow)
{
	struct onload_seg seg = {};
	struct onload_tcp_state st;
	struct sock *sk = flow->sk;
	struct sk_buff *skb;
	bool ok = false;

	spin_lock_bh(&flow->lock);
	if (flow->owner == ONLOAD_LEASED && sk->sk_state == TCP_ESTABLISHED)
		ok = onload_peek(flow, &st);
	spin_unlock_bh(&flow->lock);
	if (!ok)
		return false;
	seg.seq = flow->sent;
	seg.ack = st.rcv_nxt;
	seg.wnd = round_down(flow->rcv_edge - st.rcv_nxt,
			     1u << tcp_sk(sk)->rx_opt.rcv_wscale);
	seg.tsecr = st.ts_recent;
	if (onload_seg_check(flow, &seg))
		return false;
	skb = onload_seg_skb(flow, &seg);
	if (skb)
		onload_seg_xmit(flow, &seg, skb);
	return skb;
}
