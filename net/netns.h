/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_NETNS_H
#define ONLOAD_NETNS_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include <linux/onload.h>

/**
 * struct onload_net - what af_onload keeps per network namespace
 * @redirect: net.onload.redirect; plain reads
 * @lease: net.onload.lease; plain reads
 * @lease_term_ms: net.onload.lease_term_ms; plain reads
 * @backoff_ms: net.onload.backoff_ms; plain reads
 * @rx_ring: net.onload.rx_ring, bytes, a power of two; plain reads
 * @tx_ring: net.onload.tx_ring, bytes, a power of two; plain reads
 * @wire: net.onload.wire; plain reads
 * @wire_ring: net.onload.wire_ring, bytes, a power of two; plain reads
 * @wire_ring_max: net.onload.wire_ring_max, ditto; plain reads
 * @sysctl: registration, by init and exit only
 * @gate_lock: guards @gate_on
 * @gate_on: the gate's hooks are registered
 * @leases: leases granted
 * @reclaims: leases that ended
 * @refusals: leases refused
 * @reasons: refusals and reclaims by reason
 * @wires: leases that were ends of wires
 * @rx_user: payload bytes received at user level
 * @tx_user: payload bytes sent at user level
 * @rx_closed: payload bytes that closed sockets received by any path
 * @tx_closed: ditto sent
 * @rx_drops: segments dropped at a full ring
 */
struct onload_net {
	int redirect;
	int lease;
	int lease_term_ms;
	int backoff_ms;
	int rx_ring;
	int tx_ring;
	int wire;
	int wire_ring;
	int wire_ring_max;
	struct ctl_table_header *sysctl;

	struct mutex gate_lock;	/* above */
	bool gate_on;

	atomic64_t leases;
	atomic64_t reclaims;
	atomic64_t refusals;
	atomic64_t reasons[ONLOAD_R_MAX];
	atomic64_t wires;
	atomic64_t rx_user;
	atomic64_t tx_user;
	atomic64_t rx_closed;
	atomic64_t tx_closed;
	atomic64_t rx_drops;
};

extern unsigned int onload_net_id;

static inline struct onload_net *onload_net(const struct net *net)
{
	return net_generic(net, onload_net_id);
}

#endif
