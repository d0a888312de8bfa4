// SPDX-License-Identifier: GPL-2.0
/*
 * Every lease, reclaim and refusal is counted by flow and by namespace, and
 * traced: "why is this socket not accelerated?" always has an answer.
 */
#include <linux/tcp.h>
#include <net/tcp.h>

#include "flow.h"
#include "netns.h"
#include "stats.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* In the order of the enum, which the same list makes */
static const char * const onload_words[] = {
#define X(name, word, text) word,
	ONLOAD_REASONS(X)
#undef X
};

/**
 * onload_reason_word() - a reason as one word
 * @why: any value
 *
 * Return: as in ONLOAD_REASONS, or "?".
 */
const char *onload_reason_word(enum onload_reason why)
{
	return (u32)why < ARRAY_SIZE(onload_words) ? onload_words[why] : "?";
}

/**
 * onload_stat_lease() - a lease was given
 * @flow: socket locked
 */
void onload_stat_lease(struct onload_flow *flow)
{
	struct onload_net *on = onload_net(flow->net);

	flow->leases++;
	atomic64_inc(&on->leases);
	if (flow->owner == ONLOAD_WIRED) {
		flow->wires++;
		atomic64_inc(&on->wires);
	}
	trace_lease(flow->sk, ONLOAD_R_NONE);
}

/**
 * onload_stat_reclaim() - a lease has ended
 * @flow: socket locked
 * @why: reason
 */
void onload_stat_reclaim(struct onload_flow *flow, enum onload_reason why)
{
	struct onload_net *on = onload_net(flow->net);

	flow->reclaims++;
	flow->reasons[why]++;
	WRITE_ONCE(flow->reason, why);
	atomic64_inc(&on->reclaims);
	atomic64_inc(&on->reasons[why]);
	trace_reclaim(flow->sk, why);
}

/**
 * onload_stat_refuse() - a lease was refused
 * @flow: socket locked
 * @why: reason
 */
void onload_stat_refuse(struct onload_flow *flow, enum onload_reason why)
{
	struct onload_net *on = onload_net(flow->net);

	flow->refusals++;
	flow->reasons[why]++;
	WRITE_ONCE(flow->reason, why);
	atomic64_inc(&on->refusals);
	atomic64_inc(&on->reasons[why]);
	trace_refuse(flow->sk, why);
}

/**
 * onload_stat_bytes() - payload that moved at user level during a lease
 * @flow: socket locked
 * @rx: bytes received
 * @tx: bytes sent
 */
void onload_stat_bytes(struct onload_flow *flow, u64 rx, u64 tx)
{
	struct onload_net *on = onload_net(flow->net);

	flow->rx_user += rx;
	flow->tx_user += tx;
	atomic64_add(rx, &on->rx_user);
	atomic64_add(tx, &on->tx_user);
}

/**
 * onload_stat_close() - a socket of ours is being released
 * @sk: its sock
 */
void onload_stat_close(struct sock *sk)
{
	struct onload_net *on = onload_net(sock_net(sk));
	const struct tcp_sock *tp = tcp_sk(sk);

	if (tp->bytes_received)
		atomic64_add(tp->bytes_received, &on->rx_closed);
	if (tp->bytes_sent)
		atomic64_add(tp->bytes_sent - tp->bytes_retrans,
			     &on->tx_closed);
}

/**
 * onload_stat_info() - what is known of one socket
 * @flow: or NULL if it has none
 * @sk: its sock, referenced
 * @info: to be filled
 *
 * While the flow is leased the totals are those of its beginning. They are
 * read while others count on.
 */
void onload_stat_info(const struct onload_flow *flow, struct sock *sk,
		      struct onload_info *info)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	memset(info, 0, sizeof(*info));
	info->rx_all = onload_glance(&tp->bytes_received);
	info->tx_all = onload_glance(&tp->bytes_sent) -
		       onload_glance(&tp->bytes_retrans);
	if (!flow)
		return;
	info->leased = onload_flow_path(flow);
	info->reason = READ_ONCE(flow->reason);
	info->leases = onload_glance(&flow->leases);
	info->reclaims = onload_glance(&flow->reclaims);
	info->refusals = onload_glance(&flow->refusals);
	info->rx_user = onload_glance(&flow->rx_user);
	info->tx_user = onload_glance(&flow->tx_user);
}
