// SPDX-License-Identifier: GPL-2.0
/*
 * onload show: the AF_ONLOAD sockets of a network namespace, who has their
 * data path, and why. Reads the generic netlink family of af_onload.ko.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/onload.h>

#include "out.h"
#include "reason.h"
#include "show-users.h"

enum {
	EXIT_ERROR = 1,
	EXIT_USAGE = 2,
	EXIT_NO_MODULE = 3,
};

/* A table that changes all the time must not keep us for ever. */
#define DUMP_TRIES 10

static const char usage[] = "usage: onload show [-j] [-p] [-n NETNS]\n"
			    "Show the sockets of AF_ONLOAD and the counters of "
			    "a network namespace.\n"
			    "  -j, --json         as JSON\n"
			    "  -p, --pretty       indented JSON\n"
			    "  -n, --netns NETNS  of this namespace: a name of "
			    "ip-netns(8), or a path\n";

struct counters {
	uint64_t leases;
	uint64_t reclaims;
	uint64_t refusals;
	uint64_t rx_user;
	uint64_t tx_user;
	uint64_t rx_all;
	uint64_t tx_all;
	uint64_t wires;
	uint64_t rx_drops;
	uint64_t corrupt;
	uint64_t reasons[ONLOAD_R_MAX];
	uint64_t unknown; /* reasons of a newer module */
};

struct sock_entry {
	unsigned int family;
	unsigned int state;
	unsigned char saddr[16];
	unsigned char daddr[16];
	unsigned int sport;
	unsigned int dport;
	uint32_t inode;
	uint32_t uid;
	uint32_t pid;
	uint32_t reason;
	uint8_t path;
	uint8_t wire;
	struct counters c;
};

struct socks {
	struct sock_entry *all;
	size_t n;
};

struct genl {
	struct mnl_socket *nl;
	unsigned int seq;
	unsigned int port;
	uint16_t family;
};

static void die(const char *what)
{
	fprintf(stderr, "onload show: %s: %s\n", what, strerror(errno));
	exit(EXIT_ERROR);
}

/* Numbers by their own length: a module may widen an attribute. */
static uint64_t number(const struct nlattr *attr)
{
	switch (mnl_attr_get_payload_len(attr)) {
	case 1:
		return mnl_attr_get_u8(attr);
	case 2:
		return mnl_attr_get_u16(attr);
	case 4:
		return mnl_attr_get_u32(attr);
	case 8:
		return mnl_attr_get_u64(attr);
	}
	return 0;
}

static void get_address(const struct nlattr *attr, unsigned char *address)
{
	size_t len = mnl_attr_get_payload_len(attr);

	memcpy(address, mnl_attr_get_payload(attr), len < 16 ? len : 16);
}

struct entry {
	uint64_t reason;
	uint64_t count;
};

static int on_entry_attr(const struct nlattr *attr, void *data)
{
	struct entry *entry = data;

	if (mnl_attr_get_type(attr) == ONLOAD_A_REASON)
		entry->reason = number(attr);
	else if (mnl_attr_get_type(attr) == ONLOAD_A_COUNT)
		entry->count = number(attr);
	return MNL_CB_OK;
}

static int on_entry(const struct nlattr *attr, void *data)
{
	struct entry entry = { .reason = ONLOAD_R_MAX };
	struct counters *c = data;

	if (mnl_attr_parse_nested(attr, on_entry_attr, &entry) < 0)
		return MNL_CB_ERROR;
	if (entry.reason < ONLOAD_R_MAX)
		c->reasons[entry.reason] += entry.count;
	else
		c->unknown += entry.count;
	return MNL_CB_OK;
}

static int on_counter(const struct nlattr *attr, void *data)
{
	struct counters *c = data;

	switch (mnl_attr_get_type(attr)) {
	case ONLOAD_A_LEASES:
		c->leases = number(attr);
		break;
	case ONLOAD_A_RECLAIMS:
		c->reclaims = number(attr);
		break;
	case ONLOAD_A_REFUSALS:
		c->refusals = number(attr);
		break;
	case ONLOAD_A_RX_USER:
		c->rx_user = number(attr);
		break;
	case ONLOAD_A_TX_USER:
		c->tx_user = number(attr);
		break;
	case ONLOAD_A_RX_ALL:
		c->rx_all = number(attr);
		break;
	case ONLOAD_A_TX_ALL:
		c->tx_all = number(attr);
		break;
	case ONLOAD_A_WIRES:
		c->wires = number(attr);
		break;
	case ONLOAD_A_RX_DROPS:
		c->rx_drops = number(attr);
		break;
	case ONLOAD_A_CORRUPT:
		c->corrupt = number(attr);
		break;
	case ONLOAD_A_REASONS:
		return mnl_attr_parse_nested(attr, on_entry, c);
	}
	return MNL_CB_OK;
}

static int on_socket_attr(const struct nlattr *attr, void *data)
{
	struct sock_entry *s = data;

	switch (mnl_attr_get_type(attr)) {
	case ONLOAD_A_FAMILY:
		s->family = number(attr);
		break;
	case ONLOAD_A_STATE:
		s->state = number(attr);
		break;
	case ONLOAD_A_SADDR:
		get_address(attr, s->saddr);
		break;
	case ONLOAD_A_DADDR:
		get_address(attr, s->daddr);
		break;
	case ONLOAD_A_SPORT:
		s->sport = number(attr);
		break;
	case ONLOAD_A_DPORT:
		s->dport = number(attr);
		break;
	case ONLOAD_A_INODE:
		s->inode = number(attr);
		break;
	case ONLOAD_A_UID:
		s->uid = number(attr);
		break;
	case ONLOAD_A_PID:
		s->pid = number(attr);
		break;
	case ONLOAD_A_REASON:
		s->reason = number(attr);
		break;
	case ONLOAD_A_LEASED:
		s->path = number(attr);
		break;
	case ONLOAD_A_WIRE:
		s->wire = number(attr);
		break;
	default:
		return on_counter(attr, &s->c);
	}
	return MNL_CB_OK;
}

static int on_family_attr(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
		*(uint16_t *)data = number(attr);
	return MNL_CB_OK;
}

static int on_socket(const struct nlmsghdr *nlh, void *data)
{
	struct socks *socks = data;
	struct sock_entry *s;

	s = realloc(socks->all, (socks->n + 1) * sizeof(*s));
	if (!s)
		return MNL_CB_ERROR;
	socks->all = s;
	s += socks->n++;
	*s = (struct sock_entry){};
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), on_socket_attr,
			      s);
}

static int on_totals(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), on_counter, data);
}

static int on_family(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), on_family_attr,
			      data);
}

/* One request and its answers. Returns -1 and errno. */
static int ask(struct genl *g, uint16_t family, uint8_t cmd, uint8_t version,
	       bool dump, mnl_cb_t cb, void *data)
{
	static char buf[65536];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *gh;
	ssize_t len;
	int ret;

	nlh->nlmsg_type = family;
	nlh->nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK);
	nlh->nlmsg_seq = ++g->seq;
	gh = mnl_nlmsg_put_extra_header(nlh, sizeof(*gh));
	gh->cmd = cmd;
	gh->version = version;
	if (family == GENL_ID_CTRL)
		mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, ONLOAD_GENL_NAME);
	if (mnl_socket_sendto(g->nl, nlh, nlh->nlmsg_len) < 0)
		return -1;
	do {
		len = mnl_socket_recvfrom(g->nl, buf, sizeof(buf));
		if (len < 0)
			return -1;
		ret = mnl_cb_run(buf, len, g->seq, g->port, cb, data);
	} while (ret > MNL_CB_STOP);
	return ret;
}

/* Returns false if af_onload.ko is not there. */
static bool connect_family(struct genl *g)
{
	g->nl = mnl_socket_open(NETLINK_GENERIC);
	if (!g->nl || mnl_socket_bind(g->nl, 0, MNL_SOCKET_AUTOPID) < 0)
		die("netlink");
	g->seq = time(NULL);
	g->port = mnl_socket_get_portid(g->nl);
	if (!ask(g, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, false, on_family,
		 &g->family))
		return g->family;
	if (errno != ENOENT)
		die("generic netlink");
	return false;
}

static void read_sockets(struct genl *g, struct socks *socks)
{
	for (int i = 0; i < DUMP_TRIES; i++) {
		socks->n = 0;
		if (!ask(g, g->family, ONLOAD_CMD_SOCKETS, ONLOAD_GENL_VERSION,
			 true, on_socket, socks))
			return;
		/* The rest of an interrupted dump would answer the next one. */
		mnl_socket_close(g->nl);
		if (errno != EINTR)
			die("sockets");
		connect_family(g);
	}
	die("sockets");
}

static void enter(const char *netns)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s%s",
		 strchr(netns, '/') ? "" : "/run/netns/", netns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(path);
	close(fd);
}

static const char *state_name(unsigned int state)
{
	static const char *const names[] = {
		"UNKNOWN",     "ESTAB",	     "SYN-SENT",  "SYN-RECV",
		"FIN-WAIT-1",  "FIN-WAIT-2", "TIME-WAIT", "UNCONN",
		"CLOSE-WAIT",  "LAST-ACK",   "LISTEN",	  "CLOSING",
		"NEW-SYN-RECV"
	};

	return state < sizeof(names) / sizeof(*names) ? names[state] : names[0];
}

static double share(const struct counters *c)
{
	uint64_t all = c->rx_all + c->tx_all;

	return all ? (double)(c->rx_user + c->tx_user) / all : 0;
}

static void print_address(struct out *o, const char *key, unsigned int family,
			  const void *address, unsigned int port)
{
	char host[INET6_ADDRSTRLEN], both[INET6_ADDRSTRLEN + 16];

	if (!inet_ntop(family, address, host, sizeof(host)))
		strcpy(host, "?");
	snprintf(both, sizeof(both), family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		 host, port);
	out_str(o, key, " %-23s", both);
}

static void print_counters(struct out *o, const struct counters *c)
{
	out_u64(o, "leases", "leases %llu", c->leases);
	out_u64(o, "reclaims", "  reclaims %llu", c->reclaims);
	out_u64(o, "refusals", "  refusals %llu", c->refusals);
	out_u64(o, "wires", "  wires %llu", c->wires);
	out_u64(o, "rx_user", "  rx %llu", c->rx_user);
	out_u64(o, "rx_all", "/%llu", c->rx_all);
	out_u64(o, "tx_user", "  tx %llu", c->tx_user);
	out_u64(o, "tx_all", "/%llu", c->tx_all);
	out_f64(o, "user_share", "  at user level %.4f", share(c));
}

static void print_reasons(struct out *o, const char *before,
			  const struct counters *c)
{
	bool any = c->unknown;

	for (int i = 0; i < ONLOAD_R_MAX; i++)
		any |= c->reasons[i];
	out_begin(o, "reasons", '{');
	out_text(o, "%s", any ? before : "");
	for (int i = 0; i < ONLOAD_R_MAX; i++) {
		if (!c->reasons[i])
			continue;
		out_text(o, " %s", reason_word(i));
		out_u64(o, reason_word(i), ":%llu", c->reasons[i]);
	}
	if (c->unknown) {
		out_text(o, " unknown");
		out_u64(o, "unknown", ":%llu", c->unknown);
	}
	out_end(o, '}');
	out_text(o, "%s", any ? "\n" : "");
}

static void print_users(struct out *o, const struct users *users,
			uint32_t inode)
{
	const struct user *u = inode ? users_find(users, inode) : NULL;
	const struct user *end = users->all + users->n;

	out_begin(o, "users", '[');
	for (; u && u < end && u->inode == inode; u++) {
		out_begin(o, NULL, '{');
		out_str(o, "name", " %s", u->name);
		out_u64(o, "pid", "/%llu", u->pid);
		out_u64(o, "fd", ",fd=%llu", u->fd);
		out_end(o, '}');
	}
	out_end(o, ']');
}

static void print_socket(struct out *o, const struct sock_entry *s,
			 const struct users *users)
{
	out_begin(o, NULL, '{');
	out_str(o, "state", "%-12s", state_name(s->state));
	print_address(o, "local", s->family, s->saddr, s->sport);
	print_address(o, "peer", s->family, s->daddr, s->dport);
	out_str(o, "path", " %-6s", path_word(s->path));
	print_users(o, users, s->inode);
	out_text(o, "\n\t");
	out_u64(o, "holder", s->pid ? "lease of pid %llu  " : NULL, s->pid);
	out_str(o, "reason", "last %s  ", reason_word(s->reason));
	out_str(o, "wire", "wire %s  ", wire_word(s->wire));
	out_u64(o, "uid", NULL, s->uid);
	out_u64(o, "inode", NULL, s->inode);
	print_counters(o, &s->c);
	out_text(o, "\n");
	print_reasons(o, "\treasons", &s->c);
	out_end(o, '}');
}

static void print_totals(struct out *o, const struct counters *c)
{
	out_begin(o, "totals", '{');
	out_text(o, "Total: ");
	print_counters(o, c);
	out_u64(o, "rx_drops", "  drops %llu", c->rx_drops);
	out_u64(o, "corrupt", "  corrupt %llu", c->corrupt);
	out_text(o, "\n");
	print_reasons(o, "\treasons", c);
	out_end(o, '}');
}

static void print_all(struct out *o, const struct socks *socks,
		      const struct users *users, const struct counters *totals)
{
	out_begin(o, NULL, '{');
	out_begin(o, "sockets", '[');
	out_text(o, "%-12s %-23s %-23s %-6s %s\n", "State", "Local", "Peer",
		 "Path", "Process");
	for (size_t i = 0; i < socks->n; i++)
		print_socket(o, &socks->all[i], users);
	out_end(o, ']');
	print_totals(o, totals);
	out_end(o, '}');
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "pretty", no_argument, NULL, 'p' },
		{ "netns", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct out out = { .file = stdout };
	struct counters totals = {};
	struct socks socks = {};
	struct users users = {};
	struct genl genl = {};
	int opt;

	while ((opt = getopt_long(argc, argv, "jpn:h", options, NULL)) != -1) {
		switch (opt) {
		case 'p':
			out.pretty = true;
			/* fallthrough */
		case 'j':
			out.json = true;
			break;
		case 'n':
			enter(optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}

	if (!connect_family(&genl)) {
		fputs("onload show: the module af_onload is not loaded "
		      "(modprobe af_onload)\n",
		      stderr);
		return EXIT_NO_MODULE;
	}
	read_sockets(&genl, &socks);
	if (ask(&genl, genl.family, ONLOAD_CMD_TOTALS, ONLOAD_GENL_VERSION,
		false, on_totals, &totals))
		die("totals");
	users_scan(&users);

	print_all(&out, &socks, &users, &totals);

	users_free(&users);
	free(socks.all);
	mnl_socket_close(genl.nl);
	if (!out_finish(&out))
		die("standard output");
	return 0;
}
