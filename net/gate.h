/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_GATE_H
#define ONLOAD_GATE_H

struct net;

int onload_gate_open(struct net *net);
void onload_gate_close(struct net *net);

#endif
