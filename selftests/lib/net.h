/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCP connections for tests. Environment:
 *
 *   T_SERVER_NS, T_CLIENT_NS	names of network namespaces; default: here
 *   T_ADDR			the server's address; default: loopback
 */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <linux/onload.h>

struct addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

extern bool net_ipv6;	       /* default false */
extern bool net_family_onload; /* socket(AF_ONLOAD), default false */

int net_socket(int type);	 /* in the present namespace; fails the check */
int net_listen(struct addr *at); /* in the server's */
int net_dial(const struct addr *to); /* in the client's */
int net_client_socket(void);
void net_address(struct addr *a);

struct pair {
	int c; /* the client's end */
	int s; /* the accepted end */
};
struct pair net_pair(void);
/* The same, after exchanges until both ends are leased if they can be */
struct pair net_warm_pair(void);
void net_warm(int a, int b);
/* One byte to and fro, leased or not */
void net_exchange(int a, int b);

/* Is this program run under libonload.so? */
bool net_preloaded(void);
/* False on a socket that is not ours */
bool net_info(int fd, struct onload_info *info);
bool net_wired(int fd);
const char *net_reason(uint32_t reason);

/* Whole transfers, or the check fails */
void net_send(int fd, const void *buf, size_t len);
void net_recv(int fd, void *buf, size_t len);
void net_expect_eof(int fd);
void net_nonblock(int fd);
/*
 * Within that time: would recv() return at once, if only with an error? Who looks
 * while Linux takes in a reset sees POLLERR or POLLHUP some time before POLLIN.
 */
bool net_readable(int fd, int ms);

/* A descriptor through a local socket: SCM_RIGHTS */
void net_pass_fd(int channel, int fd);
int net_take_fd(int channel);

uint64_t net_ms(void);

#endif
