// SPDX-License-Identifier: GPL-2.0
/*
 * From a reclaimed lease to tcp_sock. The state comes from memory that a
 * hostile process may have written: every field is checked here against what
 * the kernel itself saw and sent before it reaches the socket.
 *
 * All of this runs with the socket locked and the gate still filling the ring
 * (FROZEN), so Linux's backlog is empty and stays so: tcp_sendmsg_locked()
 * may flush it in mid-course without harm.
 */
#include <net/tcp.h>

#include "context.h"
#include "flow.h"
#include "lease.h"
#include "record.h"
#include "region.h"
#include "stats.h"
#include "wire.h"

static bool onload_within(u32 seq, u32 low, u32 high)
{
	return seq - low <= high - low;
}

/* The sanitizer. What it lets through can make the connection stall or carry
 * wrong bytes of the process's own, and nothing else.
 */
static int onload_import_check(const struct onload_flow *flow,
			       const struct onload_tcp_state *st, u32 prod)
{
	const struct onload_ctx *ctx = flow->ctx;
	u64 wnd_max = (u64)U16_MAX << flow->snd_wscale;

	/* Linux received something behind the gate's back: two truths. */
	if (tcp_sk(flow->sk)->rcv_nxt != flow->rcv_nxt0)
		return -EBADMSG;
	/* Acknowledged: what was sent, and no less than before. */
	if (!onload_within(st->snd_una, flow->snd_una0, flow->sent))
		return -EBADMSG;
	/* Written: all that was sent, and no more than the ring holds. */
	if (before(st->write_seq, flow->sent) ||
	    st->write_seq - st->snd_una > ctx->tx_size)
		return -EBADMSG;
	/* Received: what has arrived. */
	if (!onload_within(st->rcv_nxt, flow->rcv_nxt0,
			   READ_ONCE(flow->rx_seq)) ||
	    !onload_within(st->copied_seq, flow->copied0, st->rcv_nxt) ||
	    st->rcv_nxt - st->copied_seq > ctx->rx_size ||
	    before(st->rcv_nxt, flow->last_ack))
		return -EBADMSG;
	/* Ring: what the kernel filled and did not know to be given back. */
	if (prod - st->rx_cons > prod - flow->rx_cons ||
	    prod - st->rx_proc > prod - st->rx_cons ||
	    (st->rx_cons | st->rx_proc) & (ONLOAD_REC_ALIGN - 1))
		return -EBADMSG;
	if (st->snd_wnd > wnd_max || st->max_window > wnd_max)
		return -EBADMSG;
	return 0;
}

/* Linux's own clocks have stood still; a stale TSval would fail PAWS. */
static void onload_refresh_clock(struct tcp_sock *tp)
{
	tp->tcp_clock_cache = tcp_clock_ns();
	tp->tcp_mstamp = div_u64(tp->tcp_clock_cache, NSEC_PER_USEC);
}

/* Make the socket's memory quota hold @size more, limits or not: the bytes
 * exist, charged as ring pages, and are only changing their form. A socket
 * above its send buffer is what Linux itself never refuses.
 */
static void onload_force_quota(struct sock *sk, int size)
{
	int sndbuf = sk->sk_sndbuf;

	WRITE_ONCE(sk->sk_sndbuf, 0);
	sk_wmem_schedule(sk, max_t(int, size, 2 * SOCK_MIN_SNDBUF));
	WRITE_ONCE(sk->sk_sndbuf, sndbuf);
}

static void onload_import_charge(struct sock *sk, struct sk_buff *skb)
{
	onload_force_quota(sk, skb->truesize);
	skb_set_owner_r(skb, sk);
}

static int onload_import_rx(struct onload_flow *flow,
			    const struct onload_tcp_state *st)
{
	struct sock *sk = flow->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	struct sk_buff_head unread;
	struct sk_buff *skb;
	int err;

	__skb_queue_head_init(&unread);
	err = onload_record_unread(flow, st, &unread);
	if (err)
		return err;

	onload_stat_bytes(flow, st->rcv_nxt - tp->rcv_nxt, 0);
	tp->bytes_received += st->rcv_nxt - tp->rcv_nxt;
	WRITE_ONCE(tp->rcv_nxt, st->rcv_nxt);
	WRITE_ONCE(tp->copied_seq, st->copied_seq);
	tp->rcv_wup = flow->last_ack;
	tp->rcv_wnd = flow->last_wnd;
	tp->rcvq_space.seq = st->copied_seq;
	tp->rcvq_space.time = tp->tcp_mstamp;
	tp->rcv_rtt_est.seq = st->rcv_nxt;
	tp->rcv_rtt_est.time = 0;
	tp->rx_opt.ts_recent = st->ts_recent;
	tp->rx_opt.ts_recent_stamp = ktime_get_seconds();
	tp->rx_opt.num_sacks = 0;
	tp->rx_opt.dsack = 0;
	tp->rcv_tstamp = (u32)READ_ONCE(flow->heard);
	inet_csk(sk)->icsk_ack.lrcvtime = tp->rcv_tstamp;

	while ((skb = __skb_dequeue(&unread))) {
		onload_import_charge(sk, skb);
		__skb_queue_tail(&sk->sk_receive_queue, skb);
	}
	return 0;
}

/* Send bytes of the transmit ring through Linux. Allocation can fail only for
 * a moment (the sizes are an skb's); a hole in the stream is no alternative,
 * so it is tried again.
 */
static int onload_push(struct onload_flow *flow, u32 seq, u32 len)
{
	struct sock *sk = flow->sk;
	int sndbuf = sk->sk_sndbuf;
	int tries = 100, ret;

	while (len) {
		struct msghdr msg = { .msg_flags = MSG_DONTWAIT |
						   MSG_NOSIGNAL };
		struct kvec vec = {
			.iov_base = flow->rings->tx +
				    (seq & (flow->ctx->tx_size - 1)),
			.iov_len = len,
		};

		iov_iter_kvec(&msg.msg_iter, WRITE, &vec, 1, len);
		onload_force_quota(sk, 2 * len);
		WRITE_ONCE(sk->sk_sndbuf, INT_MAX / 2);
		ret = tcp_sendmsg_locked(sk, &msg, len);
		WRITE_ONCE(sk->sk_sndbuf, sndbuf);
		if (ret > 0) {
			seq += ret;
			len -= ret;
			continue;
		}
		if ((ret != -EAGAIN && ret != -ENOMEM) || !tries--)
			return ret;
		schedule_timeout_uninterruptible(1);
	}
	return 0;
}

static int onload_import_tx(struct onload_flow *flow,
			    const struct onload_tcp_state *st)
{
	struct sock *sk = flow->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	struct inet_connection_sock *icsk = inet_csk(sk);
	u32 una = st->snd_una;
	bool mtup = icsk->icsk_mtup.enabled;
	int err = 0;

	onload_stat_bytes(flow, 0, flow->sent - tp->snd_una);
	tp->bytes_acked += una - tp->snd_una;
	/* Those in flight too: their repair below does not count them. */
	tp->bytes_sent += flow->sent - tp->snd_una;

	WRITE_ONCE(tp->write_seq, una);
	tp->snd_una = una;
	WRITE_ONCE(tp->snd_nxt, una);
	tp->pushed_seq = una;
	tp->snd_sml = una;
	tp->snd_up = una;
	tp->snd_wl1 = st->snd_wl1;
	tp->snd_wnd = st->snd_wnd;
	tp->max_window = max(tp->max_window, st->max_window);
	tp->rtt_seq = una;
	tp->high_seq = una;
	tp->cwnd_usage_seq = una;
	tp->rack.end_seq = una;
	tp->tlp_high_seq = 0;
	tp->undo_marker = 0;
	tp->retrans_stamp = 0;
	tp->lsndtime = tcp_jiffies32;
	if (st->cwnd >= TCP_INIT_CWND && st->cwnd <= tp->snd_cwnd_clamp &&
	    st->cwnd <= U16_MAX)
		tcp_snd_cwnd_set(tp, st->cwnd);
	icsk->icsk_retransmits = 0;
	icsk->icsk_backoff = 0;
	icsk->icsk_probes_out = 0;
	icsk->icsk_probes_tstamp = 0;

	if (flow->sent != una) {
		/* In one call, or autocork would hold the rest back. */
		icsk->icsk_mtup.enabled = 0;
		tp->repair = 1;
		tp->repair_queue = TCP_SEND_QUEUE;
		err = onload_push(flow, una, flow->sent - una);
		tp->repair = 0;
		tp->repair_queue = TCP_NO_QUEUE;
		icsk->icsk_mtup.enabled = mtup;
		if (!err && tp->snd_nxt != flow->sent)
			err = -EBADMSG;
	}
	if (!err && st->write_seq != flow->sent)
		err = onload_push(flow, flow->sent, st->write_seq - flow->sent);
	return err;
}

/* The connection is to be reset. Until then the socket is as after an exchange
 * of which every byte was sent, acknowledged and read: what other threads and
 * timers find fits together, and the peer believes the reset.
 */
static void onload_import_nothing(struct onload_flow *flow)
{
	struct sock *sk = flow->sk;
	struct tcp_sock *tp = tcp_sk(sk);

	__skb_queue_purge(&sk->sk_receive_queue);
	tp->rcv_nxt = flow->last_ack;
	tp->rcv_wup = flow->last_ack;
	WRITE_ONCE(tp->copied_seq, flow->last_ack);
	/* Else a push failed halfway, and what it queued fits together. */
	if (tcp_rtx_and_write_queues_empty(sk)) {
		WRITE_ONCE(tp->write_seq, flow->sent);
		WRITE_ONCE(tp->snd_nxt, flow->sent);
		tp->snd_una = flow->sent;
		tp->pushed_seq = flow->sent;
		tp->snd_up = flow->sent;
	}
}

/**
 * onload_import() - make a reclaimed state Linux's
 * @flow: socket locked and established, FROZEN
 * @st: a copy of the committed state, unchecked
 *
 * What remains in the ring behind @st->rx_proc is for onload_record_drain().
 *
 * Return: 0, or an error if the connection is to be reset; its sequence
 * numbers are then right for that.
 */
int onload_import(struct onload_flow *flow, const struct onload_tcp_state *st)
{
	struct sock *sk = flow->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	int quiet, keep;
	int err;

	onload_refresh_clock(tp);
	/* The gate appends meanwhile; more than this user level never saw. */
	err = onload_import_check(flow, st, READ_ONCE(flow->rx_prod));
	if (!err)
		err = onload_import_rx(flow, st);
	if (!err)
		err = onload_import_tx(flow, st);
	if (err) {
		onload_import_nothing(flow);
		return err;
	}

	tp->pred_flags = 0;
	tcp_fast_path_check(sk);
	if (tp->rcv_nxt != tp->rcv_wup)
		__tcp_send_ack(sk, tp->rcv_nxt);
	if (sock_flag(sk, SOCK_KEEPOPEN)) {
		quiet = keepalive_time_elapsed(tp);
		keep = keepalive_time_when(tp);
		inet_csk_reset_keepalive_timer(sk, quiet < keep ?
					       keep - quiet : 1);
	}
	return 0;
}

/* Bytes [pos, pos + len) of an end's ring as skbs from @seq on */
static void onload_import_ring(const struct onload_wire_end *from,
			       struct sk_buff_head *queue, u32 seq, u32 pos,
			       u32 len)
{
	u32 mask = (1u << ONLOAD_X_SHIFT(from->tx)) - 1;

	while (len) {
		u32 at = ONLOAD_WIRE_HEAD + (pos & mask);
		u32 n = min_t(u32, len, PAGE_SIZE - offset_in_page(at));
		struct page *page = from->region->pages[at >> PAGE_SHIFT];

		onload_record_append(queue, seq, page_address(page) +
				     offset_in_page(at), n);
		seq += n;
		pos += n;
		len -= n;
	}
}

/**
 * onload_import_wire() - give Linux the bytes of a wire that were not received
 * @flow: socket locked, its end of the wire revoked
 * @from: the other end
 * @unread: bytes in its ring; checked
 * @rx: bytes of the wire that were sent to this end in all; for display
 * @tx: ditto that it has sent
 *
 * They never had sequence numbers: they get those below what Linux has for the
 * application already, and go before it, in whatever state the socket is.
 */
void onload_import_wire(struct onload_flow *flow,
			const struct onload_wire_end *from, u32 unread,
			u64 rx, u64 tx)
{
	struct sock *sk = flow->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	u32 seq = tp->copied_seq - unread;
	struct sk_buff_head queue;
	struct sk_buff *skb;

	onload_stat_bytes(flow, rx - unread, tx);
	tp->bytes_received += rx;
	tp->bytes_sent += tx;
	tp->bytes_acked += tx;
	if (!unread)
		return;

	__skb_queue_head_init(&queue);
	onload_import_ring(from, &queue, seq, ONLOAD_X_POS(from->tx) - unread,
			   unread);
	while ((skb = __skb_dequeue_tail(&queue))) {
		onload_import_charge(sk, skb);
		__skb_queue_head(&sk->sk_receive_queue, skb);
	}
	WRITE_ONCE(tp->copied_seq, seq);
	/* Or autotuning would take them for bytes read within one round trip. */
	tp->rcvq_space.seq -= unread;
	if (!(sk->sk_userlocks & SOCK_RCVBUF_LOCK))
		onload_record_promise(sk, sk->sk_rcvbuf);
}
