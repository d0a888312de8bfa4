// SPDX-License-Identifier: GPL-2.0
/*
 * From tcp_sock to a lease: may this socket be leased now, and what does user
 * level need to know? Everything here runs with the socket locked.
 */
#include <linux/filter.h>
#include <linux/skmsg.h>
#include <net/tcp.h>
#include <net/xfrm.h>

#include "flow.h"
#include "lease.h"
#include "prot.h"
#include "record.h"
#include "wait.h"

/* One record, and a cost of leasing that stays small */
#define ONLOAD_UNREAD_MAX 32768u

/* Somebody other than a plain application has put a hand on the socket. */
static bool onload_not_stock(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	if (inet_csk(sk)->icsk_ulp_ops || tp->repair ||
	    sk->sk_user_data || sk->sk_kern_sock ||
	    !onload_prot_is_ours(sk->sk_prot))
		return true;
#ifdef CONFIG_TCP_MD5SIG
	if (rcu_access_pointer(tp->md5sig_info))
		return true;
#endif
	return rcu_access_pointer(inet_sk(sk)->inet_opt);
}

/* Options whose effect is in code of Linux that does not run while leased */
static bool onload_special_options(const struct sock *sk)
{
	if (sock_flag(sk, SOCK_RCVTSTAMP) || sk->sk_tsflags ||
	    sk->sk_rcvlowat > 1 || sock_flag(sk, SOCK_URGINLINE) ||
	    sk->sk_peek_off >= 0)
		return true;
	/* Every ICMP error counts at once, and what Linux knows is old. */
	if (inet_sk(sk)->recverr)
		return true;
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6 && inet6_sk(sk)->recverr)
		return true;
#endif
	/* Linux uncorks by a timer of its own. */
	if (tcp_sk(sk)->nonagle & TCP_NAGLE_CORK)
		return true;
	/* A control message with each recvmsg() */
	if (tcp_sk(sk)->recvmsg_inq)
		return true;
	return READ_ONCE(sk->sk_pacing_status) == SK_PACING_NEEDED;
}

static bool onload_policy(struct sock *sk)
{
#ifdef CONFIG_XFRM
	if (rcu_access_pointer(sk->sk_policy[0]) ||
	    rcu_access_pointer(sk->sk_policy[1]))
		return true;
#endif
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6 && inet6_sk(sk)->min_hopcount)
		return true;
#endif
	return inet_sk(sk)->min_ttl;
}

/* What Linux sends next looks for another way, and may find none. */
static bool onload_device_down(const struct sock *sk)
{
	const struct dst_entry *dst;
	bool down;

	rcu_read_lock();
	dst = rcu_dereference(sk->sk_dst_cache);
	down = !dst || !netif_running(dst->dev);
	rcu_read_unlock();
	return down;
}

/* What stands against any lease */
static enum onload_reason onload_export_plain(struct sock *sk)
{
	if (sk->sk_state != TCP_ESTABLISHED || sk->sk_shutdown || sk->sk_err)
		return ONLOAD_R_NOTCONN;
	if (onload_not_stock(sk))
		return ONLOAD_R_NOT_STOCK;
	if (onload_special_options(sk))
		return ONLOAD_R_OPTIONS;
	if (onload_policy(sk))
		return ONLOAD_R_POLICY;
	if (tcp_sk(sk)->urg_data)
		return ONLOAD_R_URG;
	/* Linux asks whether the peer lives, and must see the answer. */
	if (sock_flag(sk, SOCK_KEEPOPEN) &&
	    keepalive_time_elapsed(tcp_sk(sk)) >=
	    keepalive_time_when(tcp_sk(sk)))
		return ONLOAD_R_KEEPALIVE;
	if (onload_device_down(sk))
		return ONLOAD_R_DEVICE;
	if (tcp_under_memory_pressure(sk))
		return ONLOAD_R_PRESSURE;
	/* Since before there was a flow to be counted in by: what arrives
	 * would not wake them.
	 */
	if (onload_who_waits(sk) & ONLOAD_WHO_SLEEPS)
		return ONLOAD_R_BUSY;
	return ONLOAD_R_NONE;
}

/* Promise the peer no more than a ring can hold. A promise cannot be taken
 * back, but no greater one need be made; so do it even if the answer is no for
 * now, but not to a socket that no lease will ever make up for it.
 */
static void onload_export_clamp(struct tcp_sock *tp, u32 wnd_max)
{
	if (tp->window_clamp > wnd_max) {
		tp->window_clamp = wnd_max;
		tp->rcv_ssthresh = min(tp->rcv_ssthresh, wnd_max);
	}
}

/**
 * onload_export_check_wire() - may the flow be one end of a wire now?
 * @flow: its socket locked, or its spinlock held and nobody the owner
 *
 * Return: ONLOAD_R_NONE or the reason why not.
 */
enum onload_reason onload_export_check_wire(struct onload_flow *flow)
{
	struct sock *sk = flow->sk;
	const struct tcp_sock *tp = tcp_sk(sk);
	enum onload_reason why = onload_export_plain(sk);

	if (why)
		return why;
	/* There would be no segment for it to look at. */
	if (rcu_access_pointer(sk->sk_filter))
		return ONLOAD_R_POLICY;
	if (tp->rcv_nxt != tp->copied_seq)
		return ONLOAD_R_UNREAD;
	if (tp->snd_nxt != tp->write_seq)
		return ONLOAD_R_UNSENT;
	if (!RB_EMPTY_ROOT(&tp->out_of_order_queue))
		return ONLOAD_R_REORDER;
	return ONLOAD_R_NONE;
}

/**
 * onload_export_check() - may the flow be leased on the soft VI now?
 * @flow: its socket locked
 * @wnd_max: largest window that its ring can honour
 *
 * Return: ONLOAD_R_NONE or the reason why not.
 */
enum onload_reason onload_export_check(struct onload_flow *flow, u32 wnd_max)
{
	struct sock *sk = flow->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	const struct inet_connection_sock *icsk = inet_csk(sk);
	enum onload_reason why;

	why = onload_export_plain(sk);
	if (why)
		return why;
	/* Buffers that the application sized smaller than the rings */
	if (sk->sk_userlocks & (SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK))
		return ONLOAD_R_OPTIONS;
	if (tp->ecn_flags & TCP_ECN_OK)
		return ONLOAD_R_ECN;
	if (strcmp(icsk->icsk_ca_ops->name, "cubic") &&
	    strcmp(icsk->icsk_ca_ops->name, "reno"))
		return ONLOAD_R_CONGESTION;
	onload_export_clamp(tp, wnd_max);
	/* Less is moved to the ring; this much the application reads first. */
	if (tp->rcv_nxt - tp->copied_seq > min(wnd_max, ONLOAD_UNREAD_MAX))
		return ONLOAD_R_UNREAD;
	if (!tcp_rtx_queue_empty(sk) || !tcp_write_queue_empty(sk) ||
	    tp->snd_una != tp->write_seq || tp->snd_nxt != tp->write_seq)
		return ONLOAD_R_UNSENT;
	if (!RB_EMPTY_ROOT(&tp->out_of_order_queue))
		return ONLOAD_R_REORDER;
	if (icsk->icsk_ca_state != TCP_CA_Open)
		return ONLOAD_R_RECOVERY;
	if (tcp_receive_window(tp) > wnd_max)
		return ONLOAD_R_WINDOW;
	return ONLOAD_R_NONE;
}

/**
 * onload_export() - describe the connection to user level
 * @flow: socket and flow locked, onload_export_check() passed
 * @st: zeroed; the first state
 * @c: zeroed; what does not change. Ring sizes are the caller's.
 * @wnd_max: largest window that the ring can honour
 *
 * Linux's timers are stopped: the flow's deadlines are the watch's from now.
 */
void onload_export(struct onload_flow *flow, struct onload_tcp_state *st,
		   struct onload_flow_const *c, u32 wnd_max)
{
	struct sock *sk = flow->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	const struct inet_connection_sock *icsk = inet_csk(sk);
	u32 now = (u32)ktime_to_ms(ktime_get());
	u32 copied_seq = tp->copied_seq;
	u32 rx_cons = flow->rx_prod;

	/* May acknowledge, hence before the timers are stopped. */
	if (copied_seq != tp->rcv_nxt)
		onload_record_queue(flow);
	inet_csk_clear_xmit_timers(sk);

	st->snd_una = tp->snd_una;
	st->snd_nxt = tp->snd_nxt;
	st->write_seq = tp->write_seq;
	st->snd_wnd = tp->snd_wnd;
	st->snd_wl1 = tp->snd_wl1;
	st->max_window = tp->max_window;
	st->rcv_nxt = tp->rcv_nxt;
	st->copied_seq = copied_seq;
	st->rcv_wup = tp->rcv_wup;
	st->rcv_wnd = tp->rcv_wnd;
	st->rx_cons = rx_cons;
	st->rx_proc = flow->rx_prod;
	st->ts_recent = tp->rx_opt.ts_recent;
	st->ts_seq = tp->rcv_wup;
	st->srtt_us = tp->srtt_us;
	st->rttvar_us = tp->rttvar_us;
	st->rto_ms = jiffies_to_msecs(icsk->icsk_rto);
	st->cwnd = tcp_snd_cwnd(tp);
	st->ssthresh = tp->snd_ssthresh;
	st->ack_bytes = tp->rcv_nxt - tp->rcv_wup;
	if (st->ack_bytes) {
		/* Linux owed an acknowledgement: now user level does. */
		st->ack_ms = now + 40 ?: 1;
		st->deadline_ms = st->ack_ms;
	}
	st->rcv_mss = icsk->icsk_ack.rcv_mss;
	st->snd_sml = tp->snd_una;

	if (tp->rx_opt.tstamp_ok)
		c->flags |= ONLOAD_C_TSTAMP;
	if (tp->nonagle & TCP_NAGLE_OFF)
		c->flags |= ONLOAD_C_NODELAY;
	/* mss_cache has the options deducted already. */
	c->mss = tp->mss_cache;
	c->advmss = tp->advmss;
	c->rcv_wnd_max = wnd_max;
	c->snd_wscale = tp->rx_opt.snd_wscale;
	c->rcv_wscale = tp->rx_opt.rcv_wscale;
	c->family = sk->sk_family;
	c->rto_min_ms = jiffies_to_msecs(icsk->icsk_rto_min);
}
