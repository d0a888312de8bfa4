// SPDX-License-Identifier: GPL-2.0
/*
 * What must be true of a socket before it can be leased: each condition by
 * itself, on the soft VI and on a wire; and what user level is told then.
 */
#include "../export.c"
#include "env.h"

#define WND_MAX	65536u

static struct tcp_congestion_ops export_ca_cubic = { .name = "cubic" };
static struct tcp_congestion_ops export_ca_reno = { .name = "reno" };
static struct tcp_congestion_ops export_ca_bbr = { .name = "bbr" };
static struct tcp_congestion_ops export_ca_cubic2 = { .name = "cubic2" };

/* A socket that can be leased, whose numbers begin at @at */
static void export_usual(struct onload_env *env, u32 at)
{
	struct tcp_sock *tp = &env->sock.tcp;
	struct sock *sk = (struct sock *)tp;

	sk->sk_prot = &tcp_prot;
	sk->sk_prot = onload_prot(sk);
	onload_env_route(env);
	sk->sk_rcvlowat = 1;
	sk->sk_peek_off = -1;
	inet_csk(sk)->icsk_ca_ops = &export_ca_cubic;
	tp->snd_una = at;
	tp->snd_nxt = at;
	tp->write_seq = at;
	tp->rcv_nxt = ~at;
	tp->copied_seq = ~at;
	tp->rcv_wup = ~at;
	tp->rcv_wnd = WND_MAX;
	tp->window_clamp = WND_MAX;
}

/**
 * struct export_case - a socket that is not the usual one
 * @name: what is special
 * @change: makes it so
 * @vi: why it is not leased on the soft VI
 * @wire: why not as an end of a wire
 */
struct export_case {
	const char *name;
	void (*change)(struct sock *sk, struct tcp_sock *tp);
	enum onload_reason vi;
	enum onload_reason wire;
};

#define CHANGE(name, expression) \
	static void export_##name(struct sock *sk, struct tcp_sock *tp) \
	{ \
		expression; \
	}

CHANGE(nothing, (void)0)
CHANGE(syn_sent, sk->sk_state = TCP_SYN_SENT)
CHANGE(inq, tp->recvmsg_inq = 1)
CHANGE(close_wait, sk->sk_state = TCP_CLOSE_WAIT)
CHANGE(closed, sk->sk_state = TCP_CLOSE)
CHANGE(shutdown, sk->sk_shutdown = SEND_SHUTDOWN)
CHANGE(error, sk->sk_err = ECONNRESET)
CHANGE(ulp, inet_csk(sk)->icsk_ulp_ops = (void *)sk)
CHANGE(repair, tp->repair = 1)
CHANGE(user_data, sk->sk_user_data = sk)
CHANGE(kern, sk->sk_kern_sock = 1)
CHANGE(prot, sk->sk_prot = &tcp_prot)
CHANGE(md5, rcu_assign_pointer(tp->md5sig_info, (void *)sk))
CHANGE(ip_options, rcu_assign_pointer(inet_sk(sk)->inet_opt, (void *)sk))
CHANGE(timestamp, sock_set_flag(sk, SOCK_RCVTSTAMP))
CHANGE(tsflags, sk->sk_tsflags = 1)
CHANGE(lowat_0, sk->sk_rcvlowat = 0)
CHANGE(lowat_2, sk->sk_rcvlowat = 2)
CHANGE(urginline, sock_set_flag(sk, SOCK_URGINLINE))
CHANGE(peek_off, sk->sk_peek_off = 0)
CHANGE(recverr, inet_sk(sk)->recverr = 1)
CHANGE(recverr6, sk->sk_family = AF_INET6; inet6_sk(sk)->recverr = 1)
CHANGE(no_route, RCU_INIT_POINTER(sk->sk_dst_cache, NULL))
CHANGE(device_down, clear_bit(__LINK_STATE_START,
			      &rcu_dereference_protected(sk->sk_dst_cache,
							 true)->dev->state))
CHANGE(cork, tp->nonagle = TCP_NAGLE_CORK)
CHANGE(nodelay, tp->nonagle = TCP_NAGLE_OFF)
CHANGE(pacing, sk->sk_pacing_status = SK_PACING_NEEDED)
CHANGE(pacing_fq, sk->sk_pacing_status = SK_PACING_FQ)
CHANGE(policy_in, rcu_assign_pointer(sk->sk_policy[0], (void *)sk))
CHANGE(policy_out, rcu_assign_pointer(sk->sk_policy[1], (void *)sk))
CHANGE(min_ttl, inet_sk(sk)->min_ttl = 255)
CHANGE(min_hops, sk->sk_family = AF_INET6; inet6_sk(sk)->min_hopcount = 255)
CHANGE(filter, rcu_assign_pointer(sk->sk_filter, (void *)sk))
CHANGE(urgent, tp->urg_data = 1)
CHANGE(sndbuf, sk->sk_userlocks = SOCK_SNDBUF_LOCK)
CHANGE(rcvbuf, sk->sk_userlocks = SOCK_RCVBUF_LOCK)
CHANGE(ecn, tp->ecn_flags = TCP_ECN_OK)
CHANGE(reno, inet_csk(sk)->icsk_ca_ops = &export_ca_reno)
CHANGE(bbr, inet_csk(sk)->icsk_ca_ops = &export_ca_bbr)
CHANGE(cubic2, inet_csk(sk)->icsk_ca_ops = &export_ca_cubic2)
CHANGE(unread_1, tp->copied_seq--)
CHANGE(unread_max, tp->copied_seq -= ONLOAD_UNREAD_MAX)
CHANGE(unread_more, tp->copied_seq -= ONLOAD_UNREAD_MAX + 1)
CHANGE(unacked, tp->snd_una--)
CHANGE(unsent, tp->write_seq++)
CHANGE(unsent_nxt, tp->snd_nxt--; tp->snd_una--)
CHANGE(rtx, sk->tcp_rtx_queue.rb_node = (void *)sk)
CHANGE(ooo, tp->out_of_order_queue.rb_node = (void *)sk)
CHANGE(recovery, inet_csk(sk)->icsk_ca_state = TCP_CA_Recovery)
CHANGE(disorder, inet_csk(sk)->icsk_ca_state = TCP_CA_Disorder)
CHANGE(wnd_more, tp->rcv_wnd++)
CHANGE(wnd_used, tp->rcv_wnd++; tp->rcv_wup--)

#define BOTH(name, text, why) \
	{ text, export_##name, ONLOAD_R_##why, ONLOAD_R_##why }
#define EACH(name, text, vi, wire) \
	{ text, export_##name, ONLOAD_R_##vi, ONLOAD_R_##wire }

static const struct export_case export_cases[] = {
	BOTH(nothing, "usual", NONE),
	BOTH(syn_sent, "connecting", NOTCONN),
	BOTH(close_wait, "peer has closed", NOTCONN),
	BOTH(closed, "closed", NOTCONN),
	BOTH(shutdown, "shut down", NOTCONN),
	BOTH(error, "error pending", NOTCONN),
	BOTH(ulp, "ULP", NOT_STOCK),
	BOTH(repair, "repair", NOT_STOCK),
	BOTH(user_data, "user data", NOT_STOCK),
	BOTH(kern, "kernel's", NOT_STOCK),
	BOTH(prot, "another protocol's operations", NOT_STOCK),
	BOTH(md5, "MD5", NOT_STOCK),
	BOTH(ip_options, "IP options", NOT_STOCK),
	BOTH(timestamp, "SO_TIMESTAMP", OPTIONS),
	BOTH(tsflags, "SO_TIMESTAMPING", OPTIONS),
	BOTH(lowat_0, "SO_RCVLOWAT 0", NONE),
	BOTH(lowat_2, "SO_RCVLOWAT 2", OPTIONS),
	BOTH(urginline, "SO_OOBINLINE", OPTIONS),
	BOTH(peek_off, "SO_PEEK_OFF", OPTIONS),
	BOTH(recverr, "IP_RECVERR", OPTIONS),
	BOTH(recverr6, "IPV6_RECVERR", OPTIONS),
	BOTH(cork, "TCP_CORK", OPTIONS),
	BOTH(inq, "TCP_INQ", OPTIONS),
	BOTH(nodelay, "TCP_NODELAY", NONE),
	BOTH(pacing, "pacing by TCP", OPTIONS),
	BOTH(pacing_fq, "pacing by fq", NONE),
	BOTH(policy_in, "IPsec policy in", POLICY),
	BOTH(policy_out, "IPsec policy out", POLICY),
	BOTH(min_ttl, "IP_MINTTL", POLICY),
	BOTH(min_hops, "IPV6_MINHOPCOUNT", POLICY),
	EACH(filter, "socket filter", NONE, POLICY),
	BOTH(urgent, "urgent data", URG),
	BOTH(no_route, "no route", DEVICE),
	BOTH(device_down, "device down", DEVICE),
	EACH(sndbuf, "SO_SNDBUF", OPTIONS, NONE),
	EACH(rcvbuf, "SO_RCVBUF", OPTIONS, NONE),
	EACH(ecn, "ECN", ECN, NONE),
	BOTH(reno, "reno", NONE),
	EACH(bbr, "bbr", CONGESTION, NONE),
	EACH(cubic2, "name that begins with cubic", CONGESTION, NONE),
	EACH(unread_1, "a byte unread", NONE, UNREAD),
	EACH(unread_max, "as much unread as one record takes", NONE, UNREAD),
	EACH(unread_more, "a byte more unread", UNREAD, UNREAD),
	EACH(unacked, "a byte not acknowledged", UNSENT, NONE),
	BOTH(unsent, "a byte not sent", UNSENT),
	BOTH(unsent_nxt, "snd_nxt behind", UNSENT),
	EACH(rtx, "retransmit queue", UNSENT, NONE),
	BOTH(ooo, "out of order", REORDER),
	EACH(recovery, "recovery", RECOVERY, NONE),
	EACH(disorder, "disorder", RECOVERY, NONE),
	EACH(wnd_more, "a byte too many promised", WINDOW, NONE),
	EACH(wnd_used, "one of the promised has arrived", NONE, NONE),
};

static void export_desc(const struct export_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(export, export_cases, export_desc);

static void export_check(struct kunit *test)
{
	const struct export_case *c = test->param_value;
	int i;

	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		struct onload_env *env;

		env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
		export_usual(env, onload_origins[i]);
		c->change(env->flow.sk, &env->sock.tcp);
		KUNIT_EXPECT_EQ(test, c->vi,
				onload_export_check(&env->flow, WND_MAX));
		KUNIT_EXPECT_EQ(test, c->wire,
				onload_export_check_wire(&env->flow));
		onload_env_end(test);
		test->priv = NULL;
	}
}

/* Whoever sleeps inside Linux would not be woken; ours look for themselves. */
static void export_sleepers(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct socket_wq *wq = kunit_kzalloc(test, sizeof(*wq), GFP_KERNEL);
	DEFINE_WAIT_FUNC(plain, woken_wake_function);
	DEFINE_WAIT_FUNC(ours, onload_wait_woken);

	KUNIT_ASSERT_NOT_NULL(test, wq);
	init_waitqueue_head(&wq->wait);
	export_usual(env, 0);
	rcu_assign_pointer(env->flow.sk->sk_wq, wq);
	add_wait_queue(&wq->wait, &ours);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_NONE,
			onload_export_check(&env->flow, WND_MAX));
	add_wait_queue(&wq->wait, &plain);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_BUSY,
			onload_export_check(&env->flow, WND_MAX));
	KUNIT_EXPECT_EQ(test, ONLOAD_R_BUSY,
			onload_export_check_wire(&env->flow));
	remove_wait_queue(&wq->wait, &plain);
	KUNIT_EXPECT_EQ(test, ONLOAD_R_NONE,
			onload_export_check(&env->flow, WND_MAX));
}

/* A promise is never taken back, only not made greater. */
static void export_clamp(struct kunit *test)
{
	struct onload_env *env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
	struct tcp_sock *tp = &env->sock.tcp;

	tp->window_clamp = 100000;
	tp->rcv_ssthresh = 90000;
	tp->rcv_wnd = 80000;
	onload_export_clamp(tp, 100000);
	KUNIT_EXPECT_EQ(test, 100000, tp->window_clamp);
	KUNIT_EXPECT_EQ(test, 90000, tp->rcv_ssthresh);
	onload_export_clamp(tp, WND_MAX);
	KUNIT_EXPECT_EQ(test, WND_MAX, tp->window_clamp);
	KUNIT_EXPECT_EQ(test, WND_MAX, tp->rcv_ssthresh);
	KUNIT_EXPECT_EQ(test, 80000, tp->rcv_wnd);
	tp->rcv_ssthresh = 1000;
	onload_export_clamp(tp, 2000);
	KUNIT_EXPECT_EQ(test, 1000, tp->rcv_ssthresh);

	/* What will never be leased keeps what it has. */
	export_usual(env, 1000);
	tp->window_clamp = 100000;
	tp->ecn_flags = TCP_ECN_OK;
	KUNIT_EXPECT_EQ(test, ONLOAD_R_ECN,
			onload_export_check(&env->flow, WND_MAX));
	KUNIT_EXPECT_EQ(test, 100000, tp->window_clamp);
	tp->ecn_flags = 0;
	KUNIT_EXPECT_EQ(test, ONLOAD_R_NONE,
			onload_export_check(&env->flow, WND_MAX));
	KUNIT_EXPECT_EQ(test, WND_MAX, tp->window_clamp);
}

static void export_no_timer(struct timer_list *timer)
{
}

/* The first state: the connection's, and it satisfies what will be checked. */
static void export_state(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(onload_origins); i++) {
		u32 at = onload_origins[i], owed = i % 2 ? 100 : 0;
		struct onload_flow_const c = {};
		struct onload_tcp_state st = {};
		struct onload_env *env;
		struct tcp_sock *tp;
		struct sock *sk;

		env = onload_env_lease(test, PAGE_SIZE, PAGE_SIZE);
		export_usual(env, at);
		tp = &env->sock.tcp;
		sk = env->flow.sk;
		inet_csk_init_xmit_timers(sk, export_no_timer, export_no_timer,
					  export_no_timer);
		tp->rcv_wup -= owed;
		tp->snd_wnd = 1234;
		tp->max_window = 5678;
		tp->mss_cache = 1448;
		tp->advmss = 1460;
		tp->rx_opt.tstamp_ok = i & 1;
		tp->rx_opt.ts_recent = 99;
		tp->rx_opt.snd_wscale = 7;
		tp->rx_opt.rcv_wscale = 8;
		tp->nonagle = i & 2 ? TCP_NAGLE_OFF : 0;
		inet_csk(sk)->icsk_rto = HZ / 5;
		env->flow.rx_prod = ALIGN_DOWN(at, ONLOAD_REC_ALIGN);
		onload_export(&env->flow, &st, &c, WND_MAX);

		KUNIT_EXPECT_EQ(test, at, st.snd_una);
		KUNIT_EXPECT_EQ(test, at, st.snd_nxt);
		KUNIT_EXPECT_EQ(test, at, st.write_seq);
		KUNIT_EXPECT_EQ(test, at, st.snd_sml);
		KUNIT_EXPECT_EQ(test, ~at, st.rcv_nxt);
		KUNIT_EXPECT_EQ(test, ~at, st.copied_seq);
		KUNIT_EXPECT_EQ(test, env->flow.rx_prod, st.rx_cons);
		KUNIT_EXPECT_EQ(test, env->flow.rx_prod, st.rx_proc);
		KUNIT_EXPECT_EQ(test, 1234, st.snd_wnd);
		KUNIT_EXPECT_EQ(test, 5678, st.max_window);
		KUNIT_EXPECT_EQ(test, WND_MAX, st.rcv_wnd);
		KUNIT_EXPECT_EQ(test, 99, st.ts_recent);
		KUNIT_EXPECT_EQ(test, 200, st.rto_ms);
		/* What Linux owed, user level owes. */
		KUNIT_EXPECT_EQ(test, owed, st.ack_bytes);
		KUNIT_EXPECT_EQ(test, !!owed, !!st.ack_ms);
		KUNIT_EXPECT_EQ(test, st.ack_ms, st.deadline_ms);

		KUNIT_EXPECT_EQ(test, i & 1, !!(c.flags & ONLOAD_C_TSTAMP));
		KUNIT_EXPECT_EQ(test, !!(i & 2),
				!!(c.flags & ONLOAD_C_NODELAY));
		KUNIT_EXPECT_EQ(test, 1448, c.mss);
		KUNIT_EXPECT_EQ(test, 1460, c.advmss);
		KUNIT_EXPECT_EQ(test, WND_MAX, c.rcv_wnd_max);
		KUNIT_EXPECT_EQ(test, 7, c.snd_wscale);
		KUNIT_EXPECT_EQ(test, 8, c.rcv_wscale);
		KUNIT_EXPECT_EQ(test, AF_INET, c.family);
		onload_env_end(test);
		test->priv = NULL;
	}
}

static struct kunit_case export_tests[] = {
	KUNIT_CASE_PARAM(export_check, export_gen_params),
	KUNIT_CASE(export_sleepers),
	KUNIT_CASE(export_clamp),
	KUNIT_CASE(export_state),
	{}
};

static struct kunit_suite export_suite = {
	.name		= "onload_export",
	.suite_init	= onload_env_init,
	.suite_exit	= onload_env_exit,
	.exit		= onload_env_end,
	.test_cases	= export_tests,
};

kunit_test_suite(export_suite);
