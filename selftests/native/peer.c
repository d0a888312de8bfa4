// SPDX-License-Identifier: LGPL-2.1-or-later
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"

static void die(const char *what)
{
	perror(what);
	abort();
}

static uint8_t *ring_map(uint32_t size)
{
	const size_t guard = 65536;
	uint8_t *at;
	int fd, i;

	fd = memfd_create("ring", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, size))
		die("memfd");
	at = mmap(NULL, 2 * (size_t)size + 2 * guard, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		die("mmap");
	at += guard;
	for (i = 0; i < 2; i++)
		if (mmap(at + (size_t)i * size, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			die("mmap");
	close(fd);
	return at;
}

static void ring_unmap(uint8_t *at, uint32_t size)
{
	const size_t guard = 65536;

	munmap(at - guard, 2 * (size_t)size + 2 * guard);
}

void flow_open(struct flow *f, uint32_t rx_size, uint32_t tx_size)
{
	memset(f, 0, sizeof(*f));
	f->c.rx_size = rx_size;
	f->c.tx_size = tx_size;
	f->rx = ring_map(rx_size);
	f->r.rx = f->rx;
	f->r.tx = ring_map(tx_size);
}

void flow_close(struct flow *f)
{
	ring_unmap(f->rx, f->c.rx_size);
	ring_unmap(f->r.tx, f->c.tx_size);
}

void flow_reset(struct flow *f, uint32_t flags, uint32_t isn)
{
	const uint32_t rx_size = f->c.rx_size, tx_size = f->c.tx_size;

	f->c = (struct onload_flow_const){
		.flags = flags,
		.mss = flags & ONLOAD_C_TSTAMP ? 1448 : 1460,
		.advmss = 1460,
		.rx_size = rx_size,
		.tx_size = tx_size,
		.rcv_wnd_max = rx_size / 2,
		.snd_wscale = 7,
		.rcv_wscale = 7,
		.family = 2,
		.rto_min_ms = 200,
	};
	f->st = (struct onload_tcp_state){
		.snd_una = isn,
		.snd_nxt = isn,
		.write_seq = isn,
		.snd_wnd = 512 << 7,
		.snd_wl1 = isn,
		.max_window = 512 << 7,
		.rcv_nxt = isn,
		.copied_seq = isn,
		.rcv_wup = isn,
		.rcv_wnd = rx_size / 2,
		.ts_recent = 5000,
		.ts_seq = isn,
		.rto_ms = 1000,
		.cwnd = 10,
		.ssthresh = 0x7fffffff,
		.rcv_mss = f->c.mss,
	};
	f->prod = 0;
	f->now = (struct ol_clock){ .us = 1000000, .ms = 1000 };
}

void flow_advance(struct flow *f, uint32_t ms)
{
	f->now.ms += ms;
	f->now.us += ms * 1000;
}

const char *flow_broken(const struct flow *f)
{
	const struct onload_tcp_state *s = &f->st;

	if (s->snd_nxt - s->snd_una > s->write_seq - s->snd_una)
		return "snd_una <= snd_nxt <= write_seq";
	if (s->write_seq - s->snd_una > f->c.tx_size)
		return "write_seq <= snd_una + tx_size";
	if (s->rcv_nxt - s->copied_seq > f->c.rx_size)
		return "copied_seq <= rcv_nxt";
	if (f->prod - s->rx_cons > f->c.rx_size ||
	    s->rx_proc - s->rx_cons > f->prod - s->rx_cons)
		return "rx_cons <= rx_proc <= rx_prod";
	if ((int32_t)(s->rcv_wup + s->rcv_wnd - s->rcv_nxt) < 0)
		return "rcv_nxt is within the window announced";
	if (s->max_window < s->snd_wnd)
		return "snd_wnd <= max_window";
	if ((s->ack_bytes || s->flags & ONLOAD_S_ACK_NOW) && !s->ack_ms)
		return "an owed acknowledgement has a time";
	if (s->snd_nxt != s->snd_una && !s->deadline_ms)
		return "bytes in flight have a deadline";
	if (s->ack_ms &&
	    (!s->deadline_ms || (int32_t)(s->ack_ms - s->deadline_ms) < 0))
		return "an owed acknowledgement has a deadline";
	if (!s->ack_ms && s->write_seq == s->snd_una && s->deadline_ms)
		return "a quiet flow has no deadline";
	if (s->rto_ms < 200 || s->rto_ms > 120000)
		return "200 ms <= rto <= 120 s";
	if (!s->cwnd)
		return "cwnd >= 1";
	return NULL;
}

uint8_t pattern_byte(uint32_t seq)
{
	return (uint8_t)(((seq ^ seq >> 15) * 0x9e3779b1u) >> 23);
}

void pattern_fill(uint8_t *to, uint32_t seq, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		to[i] = pattern_byte(seq + (uint32_t)i);
}

bool pattern_holds(const uint8_t *at, uint32_t seq, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (at[i] != pattern_byte(seq + (uint32_t)i))
			return false;
	return true;
}

struct wire wire_next(const struct flow *f, uint32_t len)
{
	struct wire w = {
		.seq = f->st.rcv_nxt,
		.ack = f->st.snd_nxt,
		.tsval = f->now.ms + 5000,
		.tsecr = f->now.ms,
		.len = len,
		.wnd = 512,
		.flags = TH_ACK,
	};

	if (f->c.flags & ONLOAD_C_TSTAMP)
		wire_timestamps(&w);
	return w;
}

static void put_be(uint8_t *at, uint32_t v)
{
	v = htonl(v);
	memcpy(at, &v, sizeof(v));
}

void wire_timestamps(struct wire *w)
{
	w->optlen = 12;
	put_be(w->opt, 0x0101080a);
	put_be(w->opt + 4, w->tsval);
	put_be(w->opt + 8, w->tsecr);
}

bool flow_arrive(struct flow *f, const struct wire *w)
{
	const uint32_t hlen = 20u + w->optlen, len = hlen + w->len;
	uint8_t *at = f->rx + (f->prod & (f->c.rx_size - 1));
	struct onload_rec rec = {
		.len = len,
		.gso_size = w->gso_size,
		.ttl = 64,
	};

	if (ONLOAD_REC_SIZE(len) > f->c.rx_size - (f->prod - f->st.rx_cons))
		return false;
	memcpy(at, &rec, sizeof(rec));
	at += sizeof(rec);
	put_be(at, 0x00501f90);
	put_be(at + 4, w->seq);
	put_be(at + 8, w->ack);
	put_be(at + 12, hlen / 4 << 28 | (uint32_t)w->flags << 16 | w->wnd);
	put_be(at + 16, 0);
	memcpy(at + 20, w->opt, w->optlen);
	if (w->payload)
		memcpy(at + hlen, w->payload, w->len);
	else
		pattern_fill(at + hlen, w->seq, w->len);
	f->prod += (uint32_t)ONLOAD_REC_SIZE(len);
	return true;
}

enum onload_reason flow_rx(struct flow *f)
{
	return ol_tcp_rx(&f->st, &f->c, &f->r, f->prod, f->now);
}

size_t flow_write(struct flow *f, size_t len)
{
	struct iovec iov = { .iov_len = len };
	size_t n;

	iov.iov_base = malloc(len ? len : 1);
	if (!iov.iov_base)
		die("malloc");
	pattern_fill(iov.iov_base, f->st.write_seq, len);
	n = ol_tcp_write(&f->st, &f->c, &f->r, &iov, 1, 0, len, f->st.snd_una);
	free(iov.iov_base);
	return n;
}

size_t flow_read(struct flow *f, size_t len, bool peek)
{
	const uint32_t seq = f->st.copied_seq;
	struct iovec iov = { .iov_len = len };
	size_t n;

	iov.iov_base = malloc(len ? len : 1);
	if (!iov.iov_base)
		die("malloc");
	n = ol_tcp_read(&f->st, &f->c, &f->r, &iov, 1, len, peek);
	if (n != SIZE_MAX && !pattern_holds(iov.iov_base, seq, n))
		n = SIZE_MAX;
	free(iov.iov_base);
	return n;
}

int flow_output(struct flow *f, unsigned int how, struct onload_seg *segs,
		int max)
{
	return ol_tcp_output(&f->st, &f->c, f->prod, f->now, how, segs, max);
}
