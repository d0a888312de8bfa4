// SPDX-License-Identifier: GPL-2.0
/*
 * Generic netlink family "onload": the sockets of ours in a namespace, found
 * like ss finds its own, in Linux's table of TCP sockets; and the namespace's
 * totals.
 */
#include <linux/pid_namespace.h>
#include <net/genetlink.h>
#include <net/inet_hashtables.h>
#include <net/tcp.h>

#include "context.h"
#include "family.h"
#include "flow.h"
#include "netlink.h"
#include "netns.h"
#include "stats.h"

static struct genl_family onload_genl;

static int onload_put_u64(struct sk_buff *msg, int attr, u64 value)
{
	return nla_put_u64_64bit(msg, attr, value, ONLOAD_A_PAD);
}

static int onload_put_count(struct sk_buff *msg, int attr,
			    const atomic64_t *count)
{
	return onload_put_u64(msg, attr, atomic64_read(count));
}

static int onload_put_reason(struct sk_buff *msg, u32 reason, u64 count)
{
	struct nlattr *nest = nla_nest_start(msg, ONLOAD_A_REASON_ENTRY);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(msg, ONLOAD_A_REASON, reason) ||
	    onload_put_u64(msg, ONLOAD_A_COUNT, count)) {
		nla_nest_cancel(msg, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}

static int onload_put_address(struct sk_buff *msg, const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6)
		return nla_put_in6_addr(msg, ONLOAD_A_SADDR,
					&sk->sk_v6_rcv_saddr) ?:
		       nla_put_in6_addr(msg, ONLOAD_A_DADDR, &sk->sk_v6_daddr);
#endif
	return nla_put_in_addr(msg, ONLOAD_A_SADDR, sk->sk_rcv_saddr) ?:
	       nla_put_in_addr(msg, ONLOAD_A_DADDR, sk->sk_daddr);
}

/* A process as the caller knows it; 0 if it does not, or there is none */
static pid_t onload_visible_pid(pid_t holder)
{
	struct pid *pid;
	pid_t nr = 0;

	rcu_read_lock();
	pid = find_pid_ns(holder, &init_pid_ns);
	if (pid)
		nr = pid_nr_ns(pid, task_active_pid_ns(current));
	rcu_read_unlock();
	return nr;
}

static int onload_put_flow(struct sk_buff *msg, const struct onload_flow *flow)
{
	struct nlattr *nest;
	u32 i;

	if (onload_flow_leased(flow) &&
	    nla_put_u32(msg, ONLOAD_A_PID,
			onload_visible_pid(READ_ONCE(flow->holder))))
		return -EMSGSIZE;
	if (nla_put_u8(msg, ONLOAD_A_WIRE, READ_ONCE(flow->wire_why)) ||
	    onload_put_u64(msg, ONLOAD_A_WIRES, flow->wires))
		return -EMSGSIZE;
	nest = nla_nest_start(msg, ONLOAD_A_REASONS);
	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < ONLOAD_R_MAX; i++) {
		/* For display, as onload_glance() */
		u32 count = data_race(flow->reasons[i]);

		if (count && onload_put_reason(msg, i, count))
			return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}

static int onload_put_socket(struct sk_buff *msg, struct netlink_callback *cb,
			     struct sock *sk, const struct socket *sock)
{
	const struct onload_flow *flow = onload_flow_of(sock);
	const struct inode *inode = SOCK_INODE((struct socket *)sock);
	struct onload_info info;
	void *hdr;

	hdr = genlmsg_put(msg, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &onload_genl, NLM_F_MULTI, ONLOAD_CMD_SOCKETS);
	if (!hdr)
		return -EMSGSIZE;
	onload_stat_info(flow, sk, &info);
	if (nla_put_u8(msg, ONLOAD_A_FAMILY, sk->sk_family) ||
	    nla_put_u8(msg, ONLOAD_A_STATE, sk->sk_state) ||
	    onload_put_address(msg, sk) ||
	    nla_put_u16(msg, ONLOAD_A_SPORT, sk->sk_num) ||
	    nla_put_u16(msg, ONLOAD_A_DPORT, ntohs(sk->sk_dport)) ||
	    nla_put_u32(msg, ONLOAD_A_INODE, inode->i_ino) ||
	    nla_put_u32(msg, ONLOAD_A_UID,
			from_kuid_munged(sk_user_ns(NETLINK_CB(cb->skb).sk),
					 sk->sk_uid)) ||
	    nla_put_u8(msg, ONLOAD_A_LEASED, info.leased) ||
	    nla_put_u32(msg, ONLOAD_A_REASON, info.reason) ||
	    onload_put_u64(msg, ONLOAD_A_LEASES, info.leases) ||
	    onload_put_u64(msg, ONLOAD_A_RECLAIMS, info.reclaims) ||
	    onload_put_u64(msg, ONLOAD_A_REFUSALS, info.refusals) ||
	    onload_put_u64(msg, ONLOAD_A_RX_USER, info.rx_user) ||
	    onload_put_u64(msg, ONLOAD_A_TX_USER, info.tx_user) ||
	    onload_put_u64(msg, ONLOAD_A_RX_ALL, info.rx_all) ||
	    onload_put_u64(msg, ONLOAD_A_TX_ALL, info.tx_all) ||
	    (flow && onload_put_flow(msg, flow))) {
		genlmsg_cancel(msg, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, hdr);
	return 0;
}

/* One socket of Linux's table; skipped unless it is ours. */
static int onload_dump_sk(struct sk_buff *msg, struct netlink_callback *cb,
			  struct sock *sk)
{
	struct socket *sock;
	int err = 0;

	if (!sk_fullsock(sk) || !net_eq(sock_net(sk), sock_net(msg->sk)))
		return 0;
	/* Keeps the socket, and so its flow, from being released. */
	read_lock_bh(&sk->sk_callback_lock);
	sock = sk->sk_socket;
	if (sock && sock->type == SOCK_STREAM && onload_is_ours(sock))
		err = onload_put_socket(msg, cb, sk, sock);
	read_unlock_bh(&sk->sk_callback_lock);
	return err;
}

static int onload_dump_listening(struct sk_buff *msg,
				 struct netlink_callback *cb,
				 struct inet_hashinfo *table)
{
	for (; cb->args[1] <= table->lhash2_mask; cb->args[1]++) {
		struct inet_listen_hashbucket *head =
			&table->lhash2[cb->args[1]];
		struct hlist_nulls_node *node;
		struct sock *sk;
		int n = 0, err = 0;

		spin_lock(&head->lock);
		sk_nulls_for_each(sk, node, &head->nulls_head) {
			if (n++ < cb->args[2])
				continue;
			err = onload_dump_sk(msg, cb, sk);
			if (err)
				break;
			cb->args[2] = n;
		}
		spin_unlock(&head->lock);
		if (err)
			return err;
		cb->args[2] = 0;
	}
	return 0;
}

static int onload_dump_connected(struct sk_buff *msg,
				 struct netlink_callback *cb,
				 struct inet_hashinfo *table)
{
	for (; cb->args[1] <= table->ehash_mask; cb->args[1]++) {
		struct inet_ehash_bucket *head = &table->ehash[cb->args[1]];
		spinlock_t *lock = inet_ehash_lockp(table, cb->args[1]);
		struct hlist_nulls_node *node;
		struct sock *sk;
		int n = 0, err = 0;

		if (hlist_nulls_empty(&head->chain))
			continue;
		spin_lock_bh(lock);
		sk_nulls_for_each(sk, node, &head->chain) {
			if (n++ < cb->args[2])
				continue;
			err = onload_dump_sk(msg, cb, sk);
			if (err)
				break;
			cb->args[2] = n;
		}
		spin_unlock_bh(lock);
		if (err)
			return err;
		cb->args[2] = 0;
	}
	return 0;
}

/* args: 0 stage, 1 bucket, 2 position in it */
static int onload_dump_sockets(struct sk_buff *msg, struct netlink_callback *cb)
{
	struct net *net = sock_net(msg->sk);
	struct inet_hashinfo *table = net->ipv4.tcp_death_row.hashinfo;
	int err;

	if (cb->args[0] == 0) {
		err = onload_dump_listening(msg, cb, table);
		if (err)
			return msg->len;
		cb->args[0] = 1;
		cb->args[1] = 0;
	}
	if (cb->args[0] == 1) {
		err = onload_dump_connected(msg, cb, table);
		if (err)
			return msg->len;
		cb->args[0] = 2;
	}
	return msg->len;
}

/* Payload bytes of sockets that are still open */
static void onload_open_bytes(struct net *net, u64 *rx, u64 *tx)
{
	struct inet_hashinfo *table = net->ipv4.tcp_death_row.hashinfo;
	struct hlist_nulls_node *node;
	struct sock *sk;
	unsigned int i;

	for (i = 0; i <= table->ehash_mask; i++) {
		spinlock_t *lock = inet_ehash_lockp(table, i);

		if (hlist_nulls_empty(&table->ehash[i].chain))
			continue;
		spin_lock_bh(lock);
		sk_nulls_for_each(sk, node, &table->ehash[i].chain) {
			if (!sk_fullsock(sk) || !net_eq(sock_net(sk), net))
				continue;
			read_lock(&sk->sk_callback_lock);
			if (sk->sk_socket && onload_is_ours(sk->sk_socket)) {
				const struct tcp_sock *tp = tcp_sk(sk);

				*rx += onload_glance(&tp->bytes_received);
				*tx += onload_glance(&tp->bytes_sent) -
				       onload_glance(&tp->bytes_retrans);
			}
			read_unlock(&sk->sk_callback_lock);
		}
		spin_unlock_bh(lock);
		cond_resched();
	}
}

static int onload_put_totals(struct sk_buff *msg, struct net *net)
{
	struct onload_net *on = onload_net(net);
	u64 rx = atomic64_read(&on->rx_closed);
	u64 tx = atomic64_read(&on->tx_closed);
	struct nlattr *nest;
	u32 i;

	onload_open_bytes(net, &rx, &tx);
	if (onload_put_count(msg, ONLOAD_A_LEASES, &on->leases) ||
	    onload_put_count(msg, ONLOAD_A_RECLAIMS, &on->reclaims) ||
	    onload_put_count(msg, ONLOAD_A_REFUSALS, &on->refusals) ||
	    onload_put_count(msg, ONLOAD_A_WIRES, &on->wires) ||
	    onload_put_count(msg, ONLOAD_A_RX_USER, &on->rx_user) ||
	    onload_put_count(msg, ONLOAD_A_TX_USER, &on->tx_user) ||
	    onload_put_u64(msg, ONLOAD_A_RX_ALL, rx) ||
	    onload_put_u64(msg, ONLOAD_A_TX_ALL, tx) ||
	    onload_put_count(msg, ONLOAD_A_RX_DROPS, &on->rx_drops) ||
	    onload_put_count(msg, ONLOAD_A_CORRUPT,
			     &on->reasons[ONLOAD_R_CORRUPT]))
		return -EMSGSIZE;
	nest = nla_nest_start(msg, ONLOAD_A_REASONS);
	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < ONLOAD_R_MAX; i++) {
		u64 count = atomic64_read(&on->reasons[i]);

		if (count && onload_put_reason(msg, i, count))
			return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}

static int onload_get_totals(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg = nlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	void *hdr;

	if (!msg)
		return -ENOMEM;
	hdr = genlmsg_put_reply(msg, info, &onload_genl, 0, ONLOAD_CMD_TOTALS);
	if (!hdr || onload_put_totals(msg, genl_info_net(info))) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);
}

static const struct genl_ops onload_genl_ops[] = {
	{
		.cmd	= ONLOAD_CMD_SOCKETS,
		.dumpit	= onload_dump_sockets,
	},
	{
		.cmd	= ONLOAD_CMD_TOTALS,
		.doit	= onload_get_totals,
	},
};

static struct genl_family onload_genl __ro_after_init = {
	.name		= ONLOAD_GENL_NAME,
	.version	= ONLOAD_GENL_VERSION,
	.maxattr	= ONLOAD_A_MAX,
	.netnsok	= true,
	.module		= THIS_MODULE,
	.ops		= onload_genl_ops,
	.n_ops		= ARRAY_SIZE(onload_genl_ops),
};

/**
 * onload_netlink_init() - register the generic netlink family
 *
 * Return: 0 or a negative error.
 */
int __init onload_netlink_init(void)
{
	return genl_register_family(&onload_genl);
}

/**
 * onload_netlink_uninit() - undo onload_netlink_init()
 */
void onload_netlink_uninit(void)
{
	genl_unregister_family(&onload_genl);
}
