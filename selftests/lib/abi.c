// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi.h"
#include "check.h"
#include "net.h"

int abi_get(int fd, int option, void *arg, socklen_t len)
{
	return getsockopt(fd, SOL_ONLOAD, option, arg, &len);
}

int abi_set(int fd, int option, const void *arg, socklen_t len)
{
	return setsockopt(fd, SOL_ONLOAD, option, arg, len);
}

struct abi abi_open(int fd, uint32_t nslots)
{
	struct abi a = { .ctx = { .abi = ONLOAD_ABI, .nslots = nslots } };

	EXPECT(!abi_get(fd, ONLOAD_CONTEXT, &a.ctx, sizeof(a.ctx)));
	a.map = mmap(NULL, a.ctx.map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		     a.ctx.fd, 0);
	EXPECT(a.map != MAP_FAILED);
	close(a.ctx.fd);
	a.slots = (struct onload_slot *)(a.map + a.ctx.slots_off);
	return a;
}

struct onload_lease abi_lease(int fd, uint32_t slot)
{
	struct onload_lease l = { .abi = ONLOAD_ABI, .slot = slot };
	uint64_t end = net_ms() + 5000;

	while (abi_get(fd, ONLOAD_LEASE, &l, sizeof(l))) {
		EXPECT_EQ(errno, EAGAIN);
		if (net_ms() > end)
			check_fail(__FILE__, __LINE__, "not leased: %s",
				   net_reason(l.reason));
		usleep(l.retry_ms ? l.retry_ms * 1000 : 500);
	}
	return l;
}

uint8_t *abi_rx(const struct abi *a, uint32_t slot)
{
	return a->map + a->ctx.rings_off +
	       (uint64_t)slot * 2 * (a->ctx.rx_size + a->ctx.tx_size);
}

uint8_t *abi_tx(const struct abi *a, uint32_t slot)
{
	return abi_rx(a, slot) + 2ull * a->ctx.rx_size;
}

struct onload_seg abi_segment(const struct abi *a, int fd,
			      const struct onload_lease *l, const void *bytes,
			      uint32_t len)
{
	struct onload_slot *s = &a->slots[l->slot];
	uint64_t word = __atomic_load_n(&s->word, __ATOMIC_ACQUIRE);
	struct onload_tcp_state *cur = &s->state[word & 1];
	struct onload_tcp_state *next = &s->state[~word & 1];
	uint32_t mask = (1u << s->c.rcv_wscale) - 1;

	*next = *cur;
	memcpy(abi_tx(a, l->slot) + (cur->write_seq & (a->ctx.tx_size - 1)),
	       bytes, len);
	next->write_seq += len;
	next->snd_nxt = next->write_seq;
	EXPECT(__atomic_compare_exchange_n(&s->word, &word, ONLOAD_W_NEXT(word),
					   false, __ATOMIC_RELEASE,
					   __ATOMIC_RELAXED));
	return (struct onload_seg){
		.fd = fd,
		.slot = l->slot,
		.generation = l->generation,
		.seq = cur->write_seq,
		.len = len,
		.ack = cur->rcv_nxt,
		.wnd = cur->rcv_wnd & ~mask,
		.tsecr = cur->ts_recent,
		.flags = ONLOAD_SEG_PSH,
	};
}
