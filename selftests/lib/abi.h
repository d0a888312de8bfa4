/* SPDX-License-Identifier: GPL-2.0 */
/* A client of the ABI that is not the library, for tests of the ABI itself. */
#ifndef ABI_H
#define ABI_H

#include <stdint.h>
#include <sys/socket.h>

#include <linux/onload.h>

struct abi {
	struct onload_context ctx;
	uint8_t *map;
	struct onload_slot *slots;
};

int abi_get(int fd, int option, void *arg, socklen_t len);
int abi_set(int fd, int option, const void *arg, socklen_t len);

struct abi abi_open(int fd, uint32_t nslots);
/* Asks until it is given; the connection must be quiet. */
struct onload_lease abi_lease(int fd, uint32_t slot);

uint8_t *abi_rx(const struct abi *a, uint32_t slot);
uint8_t *abi_tx(const struct abi *a, uint32_t slot);

/* Commits @len bytes to the transmit ring; returns the request to send them. */
struct onload_seg abi_segment(const struct abi *a, int fd,
			      const struct onload_lease *l, const void *bytes,
			      uint32_t len);

#endif
