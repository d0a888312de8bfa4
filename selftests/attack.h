/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ATTACK_H
#define ATTACK_H

#include <stddef.h>
#include <stdint.h>

/* attack_wire.c: packets that no TCP of Linux would send */
void extension_headers(void);
void late_fragment(void);
void same_tuple(void);
/* TCP's, from ::1 to ::1; the field is 0 yet */
uint16_t attack_checksum(const void *segment, size_t len);

/* attack_pair.c: wires */
void crossed_locks(void);
void closing_ends(void);
void former_bytes(void);
void outlived_mapping(void);

#endif
