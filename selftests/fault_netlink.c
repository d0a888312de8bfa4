// SPDX-License-Identifier: GPL-2.0
/* What "onload show" asks the module: a whole answer, or an error. */
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <string.h>
#include <unistd.h>

#include <linux/onload.h>

#include "fault.h"
#include "net.h"

/* More than one message can hold, so that Linux asks for a second. */
#define SOCKETS 100u

struct genl {
	struct mnl_socket *nl;
	uint16_t family;
	unsigned int seen;
};

static int on_message(const struct nlmsghdr *nlh, void *data)
{
	struct genl *g = data;

	g->seen++;
	return MNL_CB_OK;
}

static int on_attr(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
		((struct genl *)data)->family = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static int on_family(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), on_attr, data);
}

static int ask(struct genl *g, uint16_t type, uint8_t cmd, uint16_t flags,
	       mnl_cb_t cb)
{
	static char buf[65536];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *gh;
	ssize_t len;
	int ret;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = 1;
	gh = mnl_nlmsg_put_extra_header(nlh, sizeof(*gh));
	gh->cmd = cmd;
	gh->version = 1;
	if (type == GENL_ID_CTRL)
		mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, ONLOAD_GENL_NAME);
	g->seen = 0;
	if (mnl_socket_sendto(g->nl, nlh, nlh->nlmsg_len) < 0)
		return -1;
	do {
		len = mnl_socket_recvfrom(g->nl, buf, sizeof(buf));
		if (len < 0)
			return -1;
		ret = mnl_cb_run(buf, len, 1, mnl_socket_get_portid(g->nl), cb,
				 g);
	} while (ret > MNL_CB_STOP);
	return ret;
}

static struct genl genl_open(void)
{
	struct genl g = { .nl = mnl_socket_open(NETLINK_GENERIC) };

	EXPECT(g.nl && !mnl_socket_bind(g.nl, 0, MNL_SOCKET_AUTOPID));
	EXPECT(!ask(&g, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK,
		    on_family));
	return g;
}

static unsigned int one_dump(unsigned int n)
{
	struct genl g = genl_open();
	unsigned int left;
	int ret;

	left = UNDER_FAULT(n, ret,
			   ask(&g, g.family, ONLOAD_CMD_SOCKETS, NLM_F_DUMP,
			       on_message));
	if (!ret)
		EXPECT(g.seen >= SOCKETS);
	mnl_socket_close(g.nl);
	return left;
}

void fault_dumps(void)
{
	for (unsigned int i = 0; i < SOCKETS / 2; i++)
		net_pair();
	fault_sweep(one_dump);
}

static unsigned int one_totals(unsigned int n)
{
	struct genl g = genl_open();
	unsigned int left;
	int ret;

	left = UNDER_FAULT(n, ret,
			   ask(&g, g.family, ONLOAD_CMD_TOTALS, NLM_F_ACK,
			       on_message));
	if (!ret)
		EXPECT_EQ(g.seen, 1);
	mnl_socket_close(g.nl);
	return left;
}

void fault_totals(void)
{
	fault_sweep(one_totals);
}
