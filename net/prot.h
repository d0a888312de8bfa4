/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_PROT_H
#define ONLOAD_PROT_H

#include <linux/types.h>

struct onload_flow;
struct proto;
struct sock;

struct proto *onload_prot(const struct sock *sk);
bool onload_prot_is_ours(const struct proto *prot);
void onload_prot_set(struct onload_flow *flow);
void onload_prot_restore(struct onload_flow *flow);
void onload_prot_init(void);

#endif
