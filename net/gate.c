// SPDX-License-Identifier: GPL-2.0
/*
 * The gate: the last hook of LOCAL_IN, after the firewall has judged. A
 * segment of a flow that is Linux's is delivered from here, under the flow's
 * lock, so that none is on its way when the flow is leased; one of a leased
 * flow is checked as Linux would (checksum, policies, socket filters), copied
 * into the ring and freed.
 */
#include <linux/filter.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/inet6_hashtables.h>
#include <net/netfilter/ipv6/nf_defrag_ipv6.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/tcp.h>
#include <net/xfrm.h>

#include "flow.h"
#include "gate.h"
#include "netns.h"
#include "prot.h"
#include "record.h"
#include "wait.h"
#include "watch.h"
#include "wire.h"

/* Has another layer a claim on the packet that only Linux honours? Connection
 * tracking's last word comes at the same priority as the gate, and after it, if
 * it was there before: it confirms what it saw first, and may change what a
 * helper looks at. The former is over soon, the latter goes on.
 */
static bool onload_gate_alien(struct onload_flow *flow,
			      const struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	enum ip_conntrack_info info;
	const struct nf_conn *ct = nf_ct_get(skb, &info);

	if (!ct)
		return false;
	if (test_bit(IPS_SEQ_ADJUST_BIT, &ct->status) ||
	    test_bit(IPS_HELPER_BIT, &ct->status)) {
		WRITE_ONCE(flow->alien, true);
		return true;
	}
	return !nf_ct_is_confirmed(ct);
#else
	return false;
#endif
}

static bool onload_gate_policy(struct sock *sk, struct sk_buff *skb, u8 pf)
{
	return pf == NFPROTO_IPV4 ? xfrm4_policy_check(sk, XFRM_POLICY_IN, skb) :
				    xfrm6_policy_check(sk, XFRM_POLICY_IN, skb);
}

/* Leased or frozen, flow locked: the segment goes to the ring or nowhere. */
static void onload_gate_take(struct onload_flow *flow, struct sk_buff *skb,
			     u8 pf, u32 hlen, u8 dsfield, u8 ttl)
{
	struct sock *sk = flow->sk;
	const struct tcphdr *th;
	u32 ack, seq, len;
	bool special;

	TCP_ADD_STATS(flow->net, TCP_MIB_INSEGS,
		      max_t(u16, 1, skb_shinfo(skb)->gso_segs));
	if (nf_checksum(skb, NF_INET_LOCAL_IN, hlen, IPPROTO_TCP,
			pf == NFPROTO_IPV4 ? AF_INET : AF_INET6)) {
		__TCP_INC_STATS(flow->net, TCP_MIB_CSUMERRORS);
		__TCP_INC_STATS(flow->net, TCP_MIB_INERRS);
		goto drop;
	}
	if (!onload_gate_policy(sk, skb, pf))
		goto drop;
	if (onload_gate_alien(flow, skb)) {
		onload_flow_queue(flow, ONLOAD_R_FILTER);
		goto drop;
	}
	__skb_pull(skb, hlen);
	skb_reset_transport_header(skb);
	if (!pskb_may_pull(skb, sizeof(*th)))
		goto drop;
	th = tcp_hdr(skb);
	if (th->doff < sizeof(*th) / 4 || !pskb_may_pull(skb, th->doff * 4))
		goto drop;
	/* May shorten the packet: a socket filter's snap length. */
	if (sk_filter_trim_cap(sk, skb, tcp_hdr(skb)->doff * 4))
		goto drop;
	th = tcp_hdr(skb);
	seq = ntohl(th->seq);
	ack = ntohl(th->ack_seq);
	len = skb->len - th->doff * 4;
	special = th->fin || th->rst || th->syn || th->urg || !th->ack;
	/* Probes have an old number, no payload, and want an answer. */
	if (!len && before(seq, flow->rx_seq))
		special = true;

	if (!onload_record_put(flow, skb, dsfield, ttl)) {
		atomic64_inc(&onload_net(flow->net)->rx_drops);
		if (flow->owner == ONLOAD_LEASED)
			onload_flow_queue(flow, ONLOAD_R_RXFULL);
		goto drop;
	}
	WRITE_ONCE(flow->heard, jiffies);
	/* What may be acknowledged; a peer that goes beyond gets no further. */
	if (before(flow->rx_seq, seq + len) &&
	    !after(seq + len, READ_ONCE(flow->rcv_edge)))
		WRITE_ONCE(flow->rx_seq, seq + len);
	if (ack - flow->acked <= READ_ONCE(flow->sent) - flow->acked) {
		/* Progress: the neighbour need not be asked whether it lives. */
		if (ack != flow->acked)
			sk_dst_confirm(sk);
		WRITE_ONCE(flow->acked, ack);
	}
	if (len)
		flow->rx_data = flow->rx_prod;
	if (flow->owner == ONLOAD_LEASED && special) {
		/* Linux will say what it means, and wake who must know. */
		onload_flow_queue(flow, ONLOAD_R_PEERCLOSE);
	} else if (flow->owner == ONLOAD_LEASED) {
		onload_watch_rx(flow);
		onload_wake(flow, len);
	}
	/* A hook of LOCAL_IN runs with softirqs off, as NAPI does. */
	napi_consume_skb(skb, 1);
	return;
drop:
	kfree_skb(skb);
}

/* Headers stand between IPv6's and TCP's: routing, authentication, options.
 * Only Linux knows what they ask for, and they need not be linear. The peer
 * repeats the segment, and may go on like that: no more leases.
 */
static void onload_gate_extended(struct onload_flow *flow, struct sk_buff *skb)
{
	WRITE_ONCE(flow->alien, true);
	if (flow->owner == ONLOAD_LEASED)
		onload_flow_queue(flow, ONLOAD_R_FILTER);
	kfree_skb(skb);
}

/* Under a wire there is nothing but keepalive: what else happens to the
 * connection, the end of the wire must show.
 */
static void onload_gate_wired(struct onload_flow *flow, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	struct sock *sk = flow->sk;

	state->okfn(state->net, state->sk, skb);
	/* Whoever has the socket judges what waits for him; then we look. */
	if (onload_wire_over(flow) || READ_ONCE(sk->sk_backlog.tail))
		onload_flow_queue(flow, ONLOAD_R_PEERCLOSE);
}

/* Linux's, past us, once the flow is unlocked: until a grace period is over it
 * may be on its way to the socket.
 */
static unsigned int onload_gate_pass(struct onload_flow *flow)
	__releases(&flow->lock)
{
	flow->strays = start_poll_synchronize_rcu();
	flow->strayed = true;
	if (flow->owner == ONLOAD_WIRED)
		onload_flow_queue(flow, ONLOAD_R_FILTER);
	spin_unlock(&flow->lock);
	return NF_ACCEPT;
}

static unsigned int onload_gate(struct onload_flow *flow, struct sk_buff *skb,
				const struct nf_hook_state *state, u32 hlen,
				u8 dsfield, u8 ttl)
{
	spin_lock(&flow->lock);
	if ((flow->owner == ONLOAD_KERNEL || flow->owner == ONLOAD_WIRED) &&
	    onload_gate_alien(flow, skb))
		return onload_gate_pass(flow);
	if (flow->owner == ONLOAD_KERNEL)
		state->okfn(state->net, state->sk, skb);
	else if (flow->owner == ONLOAD_WIRED)
		onload_gate_wired(flow, skb, state);
	else if (state->pf == NFPROTO_IPV6 && hlen != sizeof(struct ipv6hdr))
		onload_gate_extended(flow, skb);
	else
		onload_gate_take(flow, skb, state->pf, hlen, dsfield, ttl);
	spin_unlock(&flow->lock);
	return NF_STOLEN;
}

/* Early demultiplexing has found the socket, as of most packets, and most have
 * no flow. What a socket and a flow lie in is freed a grace period after they
 * are parted. sk_prot says nothing: a sockmap may have replaced it.
 */
static struct onload_flow *onload_gate_known(const struct sock *sk)
{
	const struct socket *sock = READ_ONCE(sk->sk_socket);
	struct onload_flow *flow = sock ? onload_flow_of(sock) : NULL;

	return flow && flow->sk == sk && READ_ONCE(flow->hashed) ? flow : NULL;
}

static bool onload_gate_demuxed(const struct sk_buff *skb)
{
	return skb->sk && sk_fullsock(skb->sk);
}

static bool onload_gate_ports(const struct sk_buff *skb, unsigned int hlen,
			      struct onload_key *key)
{
	const struct tcphdr *th;
	struct tcphdr buf;

	th = skb_header_pointer(skb, hlen, sizeof(buf), &buf);
	if (!th)
		return false;
	key->lport = th->dest;
	key->rport = th->source;
	return true;
}

/* An ICMP error that quotes a segment of a leased flow: Linux must judge it by
 * the true sequence numbers, so the flow goes back. The error's cause will
 * repeat it. A segment that cannot be under way is nobody's who knows the flow.
 */
static void onload_gate_error(struct net *net, const struct sk_buff *skb,
			      unsigned int quoted, struct onload_key *key,
			      int dif, int sdif)
{
	/* As much of TCP's header as an error has to quote */
	struct {
		__be16 source;
		__be16 dest;
		__be32 seq;
	} buf;
	struct onload_flow *flow;
	const typeof(buf) *th;

	th = skb_header_pointer(skb, quoted, sizeof(buf), &buf);
	if (!th)
		return;
	key->lport = th->source;
	key->rport = th->dest;
	flow = onload_flow_lookup(net, key, NULL, dif, sdif);
	if (!flow)
		return;
	spin_lock(&flow->lock);
	if (flow->owner == ONLOAD_LEASED &&
	    between(ntohl(th->seq), flow->acked, READ_ONCE(flow->sent)))
		onload_flow_queue(flow, ONLOAD_R_ICMP);
	spin_unlock(&flow->lock);
}

static void onload_gate_icmp4(struct net *net, const struct sk_buff *skb,
			      unsigned int hlen)
{
	struct {
		struct icmphdr icmp;
		struct iphdr ip;
	} __packed buf;
	struct onload_key key;
	const typeof(buf) *h;

	h = skb_header_pointer(skb, hlen, sizeof(buf), &buf);
	if (!h || !icmp_is_err(h->icmp.type) || h->ip.protocol != IPPROTO_TCP ||
	    h->ip.frag_off & htons(IP_OFFSET))
		return;
	ipv6_addr_set_v4mapped(h->ip.saddr, &key.local);
	ipv6_addr_set_v4mapped(h->ip.daddr, &key.remote);
	onload_gate_error(net, skb, hlen + sizeof(struct icmphdr) +
			  h->ip.ihl * 4, &key, inet_iif(skb), inet_sdif(skb));
}

static unsigned int onload_gate4(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	const struct iphdr *ip = ip_hdr(skb);
	struct onload_flow *flow;
	struct onload_key key;

	if (ip->protocol != IPPROTO_TCP) {
		if (ip->protocol == IPPROTO_ICMP)
			onload_gate_icmp4(state->net, skb, ip_hdrlen(skb));
		return NF_ACCEPT;
	}
	if (onload_gate_demuxed(skb)) {
		flow = onload_gate_known(skb->sk);
	} else {
		if (!onload_gate_ports(skb, ip_hdrlen(skb), &key))
			return NF_ACCEPT;
		ipv6_addr_set_v4mapped(ip->daddr, &key.local);
		ipv6_addr_set_v4mapped(ip->saddr, &key.remote);
		flow = onload_flow_lookup(state->net, &key, skb->sk,
					  inet_iif(skb), inet_sdif(skb));
	}
	if (!flow)
		return NF_ACCEPT;
	return onload_gate(flow, skb, state, ip_hdrlen(skb),
			   ipv4_get_dsfield(ip), ip->ttl);
}

#if IS_ENABLED(CONFIG_IPV6)
static void onload_gate_icmp6(struct net *net, const struct sk_buff *skb,
			      unsigned int hlen)
{
	struct {
		struct icmp6hdr icmp;
		struct ipv6hdr ip;
	} __packed buf;
	struct onload_key key;
	const typeof(buf) *h;
	__be16 frag;
	int quoted;
	u8 next;

	h = skb_header_pointer(skb, hlen, sizeof(buf), &buf);
	if (!h || !icmpv6_is_err(h->icmp.icmp6_type))
		return;
	next = h->ip.nexthdr;
	key.local = h->ip.saddr;
	key.remote = h->ip.daddr;
	quoted = ipv6_skip_exthdr(skb, hlen + sizeof(buf), &next, &frag);
	if (quoted >= 0 && next == IPPROTO_TCP)
		onload_gate_error(net, skb, quoted, &key, inet6_iif(skb),
				  inet6_sdif(skb));
}

static unsigned int onload_gate6(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	const struct ipv6hdr *ip6 = ipv6_hdr(skb);
	struct onload_flow *flow = NULL;
	u8 next = ip6->nexthdr;
	struct onload_key key;
	__be16 frag;
	int hlen;

	if (onload_gate_demuxed(skb)) {
		flow = onload_gate_known(skb->sk);
		if (!flow)
			return NF_ACCEPT;
	}
	hlen = ipv6_skip_exthdr(skb, sizeof(*ip6), &next, &frag);
	if (hlen < 0)
		return NF_ACCEPT;
	if (next != IPPROTO_TCP) {
		if (next == IPPROTO_ICMPV6)
			onload_gate_icmp6(state->net, skb, hlen);
		return NF_ACCEPT;
	}
	if (!flow) {
		if (!onload_gate_ports(skb, hlen, &key))
			return NF_ACCEPT;
		key.local = ip6->daddr;
		key.remote = ip6->saddr;
		flow = onload_flow_lookup(state->net, &key, skb->sk,
					  inet6_iif(skb), inet6_sdif(skb));
	}
	if (!flow)
		return NF_ACCEPT;
	return onload_gate(flow, skb, state, hlen, ipv6_get_dsfield(ip6),
			   ip6->hop_limit);
}
#endif

static const struct nf_hook_ops onload_gate_ops[] = {
	{
		.hook		= onload_gate4,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_LOCAL_IN,
		.priority	= INT_MAX,
	},
#if IS_ENABLED(CONFIG_IPV6)
	{
		.hook		= onload_gate6,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_LOCAL_IN,
		.priority	= INT_MAX,
	},
#endif
};

/* Linux reassembles IPv6 behind LOCAL_IN: what it puts together would reach TCP
 * without passing the gate. Before the hooks, as for connection tracking, the
 * gate sees whole segments.
 */
static int onload_gate_register(struct net *net)
{
	int err = 0;

#if IS_ENABLED(CONFIG_NF_DEFRAG_IPV6)
	err = nf_defrag_ipv6_enable(net);
	if (err)
		return err;
#endif
	err = nf_register_net_hooks(net, onload_gate_ops,
				    ARRAY_SIZE(onload_gate_ops));
#if IS_ENABLED(CONFIG_NF_DEFRAG_IPV6)
	if (err)
		nf_defrag_ipv6_disable(net);
#endif
	return err;
}

/**
 * onload_gate_open() - let the gate stand in a namespace
 * @net: which; nothing happens if it stands there already
 *
 * A namespace without flows pays nothing.
 *
 * Context: may sleep.
 * Return: 0 or the error of the registration.
 */
int onload_gate_open(struct net *net)
{
	struct onload_net *on = onload_net(net);
	int err = 0;

	if (READ_ONCE(on->gate_on))
		return 0;
	mutex_lock(&on->gate_lock);
	if (!on->gate_on) {
		err = onload_gate_register(net);
		if (!err)
			WRITE_ONCE(on->gate_on, true);
	}
	mutex_unlock(&on->gate_lock);
	return err;
}

/**
 * onload_gate_close() - undo onload_gate_open()
 * @net: a namespace without sockets
 */
void onload_gate_close(struct net *net)
{
	struct onload_net *on = onload_net(net);

	if (!on->gate_on)
		return;
	nf_unregister_net_hooks(net, onload_gate_ops,
				ARRAY_SIZE(onload_gate_ops));
#if IS_ENABLED(CONFIG_NF_DEFRAG_IPV6)
	nf_defrag_ipv6_disable(net);
#endif
	on->gate_on = false;
}
