/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ATTACK_H
#define ATTACK_H

/* attack_wire.c: packets that no TCP of Linux would send */
void extension_headers(void);
void late_fragment(void);
void same_tuple(void);

#endif
