/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * AF_ONLOAD: the interface between af_onload.ko, libonload.so and the tools.
 *
 * This is the only description of what is shared between the kernel and a
 * process. All integers are in host byte order; sequence numbers are TCP's
 * (RFC 9293), modulo 2^32. Everything in the mapping is writable by the
 * process: the kernel copies what it needs once and checks it.
 */
#ifndef _UAPI_LINUX_ONLOAD_H
#define _UAPI_LINUX_ONLOAD_H

#include <linux/types.h>

#ifndef AF_ONLOAD
#define AF_ONLOAD	18	/* default of the module parameter "family" */
#define PF_ONLOAD	AF_ONLOAD
#endif

/*
 * socket(AF_ONLOAD, type, protocol): protocol 0, IPPROTO_TCP and IPPROTO_UDP
 * are IPv4; the constants below are IPv6. Addresses are sockaddr_in and
 * sockaddr_in6 as ever.
 */
#define ONLOADPROTO_6		0x100	/* like 0, IPv6 */
#define ONLOADPROTO_TCP6	0x106	/* like IPPROTO_TCP, IPv6 */
#define ONLOADPROTO_UDP6	0x111	/* like IPPROTO_UDP, IPv6 */

/* Changes whenever the layout below does, or a library would be at a loss
 * with an older module; a mismatch is EPROTO.
 */
#define ONLOAD_ABI	3
#define ONLOAD_MAGIC	0x4f4c4431	/* "OLD1" */

/* Socket option level. An af_onload.ko that is older, or a plain or UDP socket,
 * answers ENOPROTOOPT; the latter EOPNOTSUPP to getsockopt() on IPv4.
 */
#define SOL_ONLOAD	20300

/*
 * The options. All fail with EINVAL if optlen is shorter than the struct,
 * EFAULT if it cannot be read or written.
 *
 * CONTEXT  get  struct onload_context: makes the process's context.
 *		EPROTO other ABI; EINVAL nslots out of range; EBUSY this
 *		process has a context; EUSERS the user has too many;
 *		ENOBUFS beyond RLIMIT_MEMLOCK; EMFILE, ENFILE, ENOMEM.
 * LEASE    get  struct onload_lease: leases the flow to this process.
 *		EPROTO other ABI; ENXIO no context; EINVAL slot out of range;
 *		EBUSY another flow has the slot, or the flow another slot;
 *		ENOTCONN not established; EALREADY leased to this process;
 *		EAGAIN not now, EOPNOTSUPP not this socket or not soon: see
 *		reason and retry_ms; ENOBUFS beyond RLIMIT_MEMLOCK; ENOMEM.
 *		With ONLOAD_L_WIRE a lease may begin without being asked for
 *		again, once the system call that follows a refusal is over or
 *		in WAIT: the slot's word tells, and the next LEASE then returns
 *		0 and the lease's generation.
 * HANDBACK set  struct onload_handback: gives the lease back. ESTALE if the
 *		kernel has taken it already (not an error for the caller);
 *		EPERM another's; ECONNABORTED nonsense, connection reset.
 * DETACH   set  __u32 slot: the library is out of the slot; lease and rings
 *		are given back. EINVAL, ESTALE.
 * KICK     set  array of at most ONLOAD_KICK_MAX struct onload_seg; the
 *		result is the number of requests that were transmitted, or the
 *		error of the first. EINVAL malformed; EBADF, ESTALE the lease
 *		is gone or the descriptor is another file; ENOBUFS a pure
 *		acknowledgement while too much is in flight in the host; ENOMEM.
 * WAIT     set  struct onload_wait: arms and sleeps until one of the events,
 *		the loss of the lease, the time-out or a signal. EINVAL bad
 *		events; EAGAIN O_NONBLOCK, or no time-out where one is set;
 *		ESTALE not leased; ETIMEDOUT; EINTR, ERESTARTSYS.
 * WAKE     set  __u32 generation: of a wire; whoever sleeps at the other end
 *		and has asked for it (head.wake) looks again. ESTALE.
 * GROW     set  __u32 generation: of a wire; makes the ring of this end's
 *		bytes four times as long, or as long as allowed. The result is
 *		log2 of it. EMSGSIZE no more allowed; ENOBUFS; ENOMEM; ESTALE.
 * INFO     get  struct onload_info: never fails on a TCP socket of ours.
 */
#define ONLOAD_CONTEXT	1
#define ONLOAD_LEASE	2
#define ONLOAD_HANDBACK	3
#define ONLOAD_DETACH	4
#define ONLOAD_KICK	5
#define ONLOAD_WAIT	6
#define ONLOAD_INFO	7
#define ONLOAD_WAKE	8
#define ONLOAD_GROW	9

/*
 * Why a lease was refused, or why it ended. One list for the kernel, the
 * library, the tracepoints and "onload show": X(NAME, "word", "text").
 */
#define ONLOAD_REASONS(X) \
	X(NONE, "none", "no lease was asked for") \
	/* refusals; NOT_STOCK, OPTIONS and WIRE may also end a lease */ \
	X(NOTCONN, "not-established", "the connection is not established") \
	X(NOT_STOCK, "not-stock", "ULP, sockmap, MD5, repair, IP options or another user of it") \
	X(UNSENT, "write-queue", "Linux still has bytes to send or to see acknowledged") \
	X(UNREAD, "unread", "Linux still has bytes for the application") \
	X(REORDER, "out-of-order", "Linux holds out-of-order data") \
	X(RECOVERY, "recovery", "Linux is recovering from loss") \
	X(WINDOW, "window", "the window promised to the peer exceeds half of the ring") \
	X(BUSY, "busy", "a thread is inside a system call on the socket") \
	X(BACKOFF, "backoff", "the lease was taken back recently") \
	X(ATTACH, "attach", "the gate was set up only just now") \
	X(NOMEM, "no-memory", "no memory for the lease") \
	X(MEMLOCK, "memlock", "beyond RLIMIT_MEMLOCK") \
	X(OPTIONS, "socket-option", "a socket option that only Linux implements") \
	X(ECN, "ecn", "explicit congestion notification is in use") \
	X(CONGESTION, "congestion-control", "congestion control other than reno or cubic") \
	X(POLICY, "policy", "an IPsec policy of its own, TTL security or IPv6 extension headers") \
	X(DISABLED, "disabled", "net.onload.lease is 0") \
	X(WIRE, "wire", "the other end is on this host: waiting for it, or moving to a wire") \
	/* reclaims that the library asked for; URG may also be a refusal */ \
	X(FIN, "fin", "the peer has closed") \
	X(RST, "rst", "a reset or SYN arrived") \
	X(URG, "urgent", "urgent data") \
	X(LOSS, "loss", "duplicate acknowledgement, retransmission or a hole") \
	X(ODD, "odd-segment", "a segment that only Linux judges") \
	X(ZEROWND, "zero-window", "the peer closed its window") \
	X(LIMITED, "limited", "bytes could not be sent before the call returned") \
	X(LIBRARY, "library", "the library gave it back") \
	/* reclaims that it did not ask for; FOREIGN, KEEPALIVE, DEVICE, PRESSURE: ditto */ \
	X(SYSCALL, "syscall", "the process used a call that the library does not speak") \
	X(FOREIGN, "foreign", "another process used the socket") \
	X(PEER, "peer", "the other end has left the wire") \
	X(CLOSE, "close", "the socket was closed") \
	X(UNMAP, "unmap", "exit, exec, kill or munmap") \
	X(TERM, "term", "the application left records unread for the lease term") \
	X(RTO, "rto", "the retransmission time-out passed") \
	X(DELACK, "delayed-ack", "an acknowledgement was owed that the kernel could not send") \
	X(KEEPALIVE, "keepalive", "the keepalive time passed") \
	X(RXFULL, "ring-full", "the receive ring was full") \
	X(PEERCLOSE, "peer-close", "FIN, RST, SYN, URG or a probe; bytes or an end under a wire") \
	X(ICMP, "icmp", "an ICMP error quoted the flow") \
	X(FILTER, "filter", "a conntrack helper, IPv6 extension headers or another user came") \
	X(ABORT, "abort", "the socket was destroyed by an administrator") \
	X(CORRUPT, "corrupt", "the shared state was nonsense: connection reset") \
	X(NETNS, "netns", "reserved") \
	X(DEVICE, "device-down", "a network device that it passes is down, or there is no route") \
	X(PRESSURE, "memory-pressure", "Linux is short of memory for sockets")

/* Why a flow is not on a wire: X(NAME, "word", "text"), as above */
#define ONLOAD_WIRES(X) \
	X(NONE, "none", "no lease was asked for, or none was given") \
	X(YES, "wire", "it is") \
	X(OFF, "off", "net.onload.wire is 0 at one end") \
	X(REMOTE, "remote", "the other end is not on this host, or in another namespace") \
	X(PLAIN, "plain", "the other end is not a socket of ours") \
	X(LIBRARY, "library", "the library at this end does not know wires") \
	X(SELF, "self", "the socket is connected to itself") \
	X(OPTIONS, "options", "an option or filter at this end forbids it, or see the reason") \
	X(MEMORY, "memory", "no memory, or beyond RLIMIT_MEMLOCK") \
	X(WAITING, "waiting", "the other end has not asked for a lease yet, or is busy") \
	X(TIMEOUT, "timeout", "the other end was waited for in vain")

enum onload_wire_why {
#define X(name, word, text) ONLOAD_X_##name,
	ONLOAD_WIRES(X)
#undef X
	ONLOAD_X_MAX
};

enum onload_reason {
#define X(name, word, text) ONLOAD_R_##name,
	ONLOAD_REASONS(X)
#undef X
	ONLOAD_R_MAX
};

/* getsockopt(CONTEXT). The caller sets abi and nslots, the kernel the rest.
 * mmap() of the descriptor takes exactly (map_size, PROT_READ | PROT_WRITE,
 * MAP_SHARED, offset 0), once, and (nslots * wire_stride, PROT_READ,
 * MAP_SHARED, offset map_size), once, without which there are no wires: else
 * EINVAL, EBUSY; EPERM in another address space. The descriptor may be closed
 * then; the context lives as long as the first mapping.
 */
#define ONLOAD_SLOTS_MAX	65536

struct onload_context {
	__u32	abi;		/* ONLOAD_ABI */
	__u32	nslots;		/* 1 to ONLOAD_SLOTS_MAX */
	__s32	fd;
	__u32	rx_size;	/* bytes, a power of two */
	__u32	tx_size;	/* bytes, a power of two */
	__u32	slots_off;	/* of slot 0 in the mapping; they are adjacent */
	__u64	rings_off;	/* of the rings of slot 0 in the mapping */
	__u64	map_size;
	__u64	wire_off;	/* of the wire area of slot 0 in the mapping */
	__u64	wire_stride;	/* bytes from one slot's wire area to the next */
};

/*
 * Rings of slot s begin at rings_off + s * 2 * (rx_size + tx_size): the
 * receive ring, mapped twice in a row, then the transmit ring, mapped twice
 * in a row; so what begins in the first copy is contiguous. They can be
 * touched only once the slot has been leased (else SIGBUS).
 *
 * Receive ring: positions are free-running byte counts; a record lies at
 * position & (rx_size - 1), is 16-byte aligned, and takes
 * ONLOAD_REC_SIZE(len) bytes.
 * Transmit ring: the byte with sequence number seq lies at
 * seq & (tx_size - 1).
 */
#define ONLOAD_REC_ALIGN	16
struct onload_rec {
	__u32	len;		/* TCP header and payload, 20 to 65595 */
	__u16	gso_size;	/* payload of each segment of an aggregate, or 0 */
	__u8	dsfield;	/* of the IP header */
	__u8	ttl;		/* of the IP header */
	__u32	reserved[2];
};

#define ONLOAD_REC_SIZE(len) \
	((((len) + sizeof(struct onload_rec)) + ONLOAD_REC_ALIGN - 1) & \
	 ~(__u32)(ONLOAD_REC_ALIGN - 1))
#define ONLOAD_REC_MAX		65595u

/*
 * The lease word: generation (63..32), owner (31), commit sequence (30..0).
 * The current state slot is state[commit sequence & 1]. User level computes
 * the next state in the other slot and commits by compare-and-exchange to the
 * next sequence; the kernel reclaims by exchange to the next generation with
 * the owner KERNEL. A generation is never 0 while leased.
 */
#define ONLOAD_W_USER		(1ull << 31)
#define ONLOAD_W_SEQ		(ONLOAD_W_USER - 1)
#define ONLOAD_W_GEN(w)		((__u32)((w) >> 32))
#define ONLOAD_W_MAKE(gen, seq)	((__u64)(gen) << 32 | ONLOAD_W_USER | \
				 ((seq) & ONLOAD_W_SEQ))
#define ONLOAD_W_NEXT(w)	(((w) & ~ONLOAD_W_SEQ) | \
				 (((w) + 1) & ONLOAD_W_SEQ))

/*
 * A wire: both ends of the connection are leased sockets of this host, and
 * the bytes go from process to process, past TCP. Each end has an area of
 * one head and one ring, which it writes and the other end can only read: its
 * own is at wire_off + slot * wire_stride of the first mapping, the other's
 * at slot * wire_stride of the second, for as long as the lease lasts
 * (afterwards the second mapping reads as zeros).
 *
 * tx counts the bytes that this end has sent, rx those that it has received
 * of the other's ring; both begin at 0 and wrap. They are position words:
 * generation (63..40), ONLOAD_X_USER (39), log2 of the ring's size (38..32),
 * position (31..0). Byte n of a ring lies at n & (size - 1). An end publishes
 * by compare-and-exchange; the kernel ends that by taking ONLOAD_X_USER away,
 * and what was published by then stays to be read. The size in tx may
 * change only while the ring is empty, to what GROW returned; that in rx is 0.
 *
 * wake says what somebody at this end may be asleep for. He, or the kernel for
 * him, raises a bit and then looks at the position; the other end moves the
 * position and then looks at the bit, each with a full barrier in between,
 * and if it is up calls WAKE, which takes it down.
 */
#define ONLOAD_X_USER		(1ull << 39)
#define ONLOAD_X_GEN(x)		((__u32)((x) >> 40))
#define ONLOAD_X_SHIFT(x)	((__u32)((x) >> 32) & 0x7f)
#define ONLOAD_X_POS(x)		((__u32)(x))
#define ONLOAD_X_MAKE(gen, shift, pos) \
	((__u64)(gen) << 40 | ONLOAD_X_USER | (__u64)(shift) << 32 | (pos))
#define ONLOAD_X_GEN_MAX	0xffffffu

#define ONLOAD_WAKE_RX		0x1	/* bytes have arrived */
#define ONLOAD_WAKE_TX		0x2	/* a third of the limit is free */
#define ONLOAD_WAKE_EMPTY	0x4	/* all has been received */

#define ONLOAD_WIRE_HEAD	4096u	/* bytes before the ring */

struct onload_wire_head {
	__u64	tx;
	/* As tx, in 64 bits; for display. Brought up to date before more than
	 * 1 << 31 bytes have been sent since the last time.
	 */
	__u64	tx_total;
	__u32	wake;		/* ONLOAD_WAKE_* */
	/* The kernel raises it when somebody polls the socket: from then on
	 * RX must be up whenever the ring has been read empty.
	 */
	__u32	polled;
	__u32	reserved0[26];
	__u64	rx;
	__u32	reserved1[30];
};

/* Flags of a state */
#define ONLOAD_S_ACK_NOW	0x1	/* an acknowledgement is due at once */

/*
 * The transport state: what user level commits and the kernel imports.
 * Invariants: snd_una <= snd_nxt <= write_seq <= snd_una + tx_size;
 * copied_seq <= rcv_nxt; rx_cons <= rx_proc <= rx_prod.
 * The unread bytes [copied_seq, rcv_nxt) are the payload of the records
 * [rx_cons, rx_proc), of which the first may be partly read.
 */
struct onload_tcp_state {
	__u32	snd_una;	/* oldest unacknowledged */
	__u32	snd_nxt;	/* next to be handed to the kernel by a kick */
	__u32	write_seq;	/* end of what send() returned for */
	__u32	snd_wnd;	/* bytes, scaled */
	__u32	snd_wl1;	/* segment of the last window update */
	__u32	max_window;	/* largest snd_wnd seen */
	__u32	rcv_nxt;	/* next expected */
	__u32	copied_seq;	/* next to be read by the application */
	__u32	rcv_wup;	/* rcv_nxt when the last window was announced */
	__u32	rcv_wnd;	/* the window announced then, bytes */
	__u32	rx_cons;	/* ring position up to which space is given back */
	__u32	rx_proc;	/* ring position up to which TCP has processed */
	__u32	ts_recent;	/* timestamp to echo (RFC 7323) */
	__u32	ts_seq;		/* ack that was sent last (Last.ACK.sent) */
	__u32	srtt_us;	/* smoothed, times 8; 0: no sample yet */
	__u32	rttvar_us;	/* times 4 */
	__u32	rto_ms;		/* RFC 6298, 200 ms to 120 s as Linux */
	__u32	rtt_seq;	/* sequence number being timed, if rtt_start */
	__u32	rtt_start_us;	/* when it was sent; 0: none is timed */
	__u32	cwnd;		/* segments */
	__u32	cwnd_cnt;	/* bytes acknowledged towards the next step */
	__u32	ssthresh;	/* segments */
	__u32	deadline_ms;	/* the earlier of ack_ms and rto_at_ms, by
				 * CLOCK_MONOTONIC, or 0; the kernel ignores it
				 */
	__u32	ack_bytes;	/* in-order bytes not yet acknowledged */
	__u32	ack_ms;		/* when the owed acknowledgement is due, or 0 */
	__u32	flags;		/* ONLOAD_S_* */
	__u32	rcv_mss;	/* estimate of the peer's segment size, bytes */
	__u32	rto_at_ms;	/* when the retransmission timer fires, or 0 */
	__u32	snd_sml;	/* end of the last partial segment (Minshall) */
	__u32	reserved[3];
};

/* What does not change during a lease, written by the kernel at its start */
#define ONLOAD_C_TSTAMP		0x1	/* timestamps are in use */
#define ONLOAD_C_NODELAY	0x2	/* TCP_NODELAY */
#define ONLOAD_C_CORK		0x4	/* TCP_CORK */
#define ONLOAD_C_QUICKACK	0x8	/* TCP_QUICKACK: do not delay */
#define ONLOAD_C_WIRE		0x10	/* a wire: only flags and wire_* count */
struct onload_flow_const {
	__u32	flags;		/* ONLOAD_C_* */
	__u32	mss;		/* payload of a full segment, options deducted */
	__u32	advmss;		/* what was announced to the peer */
	__u32	rx_size;	/* bytes */
	__u32	tx_size;	/* bytes */
	__u32	rcv_wnd_max;	/* largest window that may be announced */
	__u8	snd_wscale;
	__u8	rcv_wscale;
	__u8	family;		/* AF_INET or AF_INET6 */
	__u8	pad;
	__u32	rto_min_ms;
	__s64	mono_off_ms;	/* kernel's CLOCK_MONOTONIC less the process's */
	__u32	wire_limit;	/* bytes that may be sent and not received */
	__u32	wire_gen;	/* generation of the position words */
	__u32	wire_shift;	/* log2 of the sending ring's size */
	__u32	wire_peer_limit; /* as wire_limit, of the other end */
	__u32	wire_max_shift;	/* greatest log2 of either ring's size */
	__u32	reserved;
};

struct onload_slot {
	/* user level commits, the kernel reclaims */
	__u64	word;
	/* Up: somebody may poll, to be woken on arrival. The kernel raises it
	 * when a lease begins and in poll, and the library leaves it up: while
	 * one thread spins another may sleep.
	 */
	__u32	need_wake;
	__u32	reserved0[13];
	/* the kernel writes */
	__u32	rx_prod;	/* ring position up to which records are complete */
	__u32	reason;		/* enum onload_reason of the last reclaim */
	__u32	reserved1[14];
	/* user level writes the one that is not current */
	struct onload_tcp_state state[2];
	/* the kernel writes, before the word */
	struct onload_flow_const c;
	__u32	reserved2[16];
};

/* getsockopt(LEASE): abi and slot from the caller, the rest from the kernel.
 * The rest is written also when the result is EAGAIN or EOPNOTSUPP.
 */
struct onload_lease {
	__u32	abi;
	__u32	slot;
	__u32	generation;
	__u32	reason;		/* enum onload_reason of a refusal */
	__u32	retry_ms;	/* not worth asking again before */
	__u32	flags;		/* from the caller: ONLOAD_L_* */
};

#define ONLOAD_L_WIRE	0x1	/* the library knows wires */
#define ONLOAD_L_AFTER	0x2	/* no system call follows if this is refused */

struct onload_handback {
	__u32	generation;
	__u32	reason;		/* enum onload_reason */
};

/*
 * A segment request: send [seq, seq + len) from the flow's transmit ring, or
 * a pure acknowledgement if len is 0. seq must be where the last request
 * ended: user level never retransmits. Longer than mss leaves as one GSO
 * packet. The kernel builds the headers from its own knowledge of the flow.
 */
#define ONLOAD_KICK_MAX		64
#define ONLOAD_SEG_MAX		61440u	/* bytes of one request */
#define ONLOAD_SEG_PSH		0x1
#define ONLOAD_SEG_SELF		(-1)	/* as fd: the socket of the call */

struct onload_seg {
	__s32	fd;		/* of one of our sockets, or ONLOAD_SEG_SELF */
	__u32	slot;
	__u32	generation;
	__u32	seq;
	__u32	len;		/* 0 to ONLOAD_SEG_MAX */
	__u32	ack;
	__u32	wnd;		/* bytes; a multiple of 1 << rcv_wscale */
	__u32	tsecr;
	__u32	flags;		/* ONLOAD_SEG_* */
	__u32	reserved;	/* 0 */
};

#define ONLOAD_WAIT_IN		0x1	/* a record with payload, or one that ends
					 * the lease, beyond rx_prod
					 */
#define ONLOAD_WAIT_TX		0x2	/* any record beyond rx_prod */
#define ONLOAD_WAIT_EMPTY	0x4	/* of a wire: all has been received */
#define ONLOAD_WAIT_RESTART	0x8	/* besides others: the time-out is not the
					 * application's, so signals restart the
					 * call as if there was none; what is
					 * left of timeout_ns is written back
					 */
#define ONLOAD_WAIT_FOREVER	(~0ull)
/*
 * On a wire IN waits for tx of the other end to differ from rx_prod, TX for a
 * third of the limit to be free. Without a lease, with generation 0, after
 * LEASE was refused for ONLOAD_R_WIRE: until Linux has something to read, the
 * lease has begun, or the other end has been waited for long enough.
 */
struct onload_wait {
	__u32	slot;
	__u32	generation;
	__u32	events;		/* ONLOAD_WAIT_* */
	__u32	rx_prod;	/* what the caller has seen */
	__u64	timeout_ns;	/* ONLOAD_WAIT_FOREVER: none, then signals
				 * restart the call if SA_RESTART is set,
				 * as with ONLOAD_WAIT_RESTART
				 */
};

enum onload_path {
	ONLOAD_PATH_KERNEL,	/* not leased */
	ONLOAD_PATH_VI,
	ONLOAD_PATH_WIRE,
};

struct onload_info {
	__u32	leased;		/* enum onload_path */
	__u32	reason;		/* of the last refusal or reclaim */
	__u64	leases;
	__u64	reclaims;
	__u64	refusals;
	__u64	rx_user;	/* payload bytes that moved at user level */
	__u64	tx_user;
	__u64	rx_all;		/* payload bytes by any path */
	__u64	tx_all;
};

/*
 * Generic netlink family "onload", version 1: what "onload show" reads. The
 * scope is the caller's network namespace.
 * CMD_SOCKETS (dump): one message a socket, without A_REASONS, A_WIRE and
 * A_WIRES if it has no flow yet. CMD_TOTALS (do): the namespace's counters.
 */
#define ONLOAD_GENL_NAME	"onload"
#define ONLOAD_GENL_VERSION	1

enum onload_genl_cmd {
	ONLOAD_CMD_UNSPEC,
	ONLOAD_CMD_SOCKETS,
	ONLOAD_CMD_TOTALS,
};

enum onload_genl_attr {
	ONLOAD_A_UNSPEC,
	ONLOAD_A_PAD,
	ONLOAD_A_FAMILY,	/* u8: AF_INET, AF_INET6 */
	ONLOAD_A_STATE,		/* u8: TCP state as in ss */
	ONLOAD_A_SADDR,		/* 4 or 16 bytes */
	ONLOAD_A_DADDR,		/* 4 or 16 bytes */
	ONLOAD_A_SPORT,		/* u16, host order */
	ONLOAD_A_DPORT,		/* u16, host order */
	ONLOAD_A_INODE,		/* u32: the socket's, as in /proc/PID/fd */
	ONLOAD_A_UID,		/* u32, in the caller's user namespace */
	ONLOAD_A_PID,		/* u32, if leased: the holder, in the caller's
				 * pid namespace; 0 if gone, or not in there
				 */
	ONLOAD_A_LEASED,	/* u8: enum onload_path */
	ONLOAD_A_REASON,	/* u32: enum onload_reason, the last one */
	ONLOAD_A_LEASES,	/* u64 */
	ONLOAD_A_RECLAIMS,	/* u64 */
	ONLOAD_A_REFUSALS,	/* u64 */
	ONLOAD_A_RX_USER,	/* u64 bytes */
	ONLOAD_A_TX_USER,	/* u64 bytes */
	ONLOAD_A_RX_ALL,	/* u64 bytes */
	ONLOAD_A_TX_ALL,	/* u64 bytes */
	ONLOAD_A_REASONS,	/* nest of ONLOAD_A_REASON_ENTRY */
	ONLOAD_A_REASON_ENTRY,	/* nest of REASON (u32) and COUNT (u64) */
	ONLOAD_A_COUNT,		/* u64 */
	ONLOAD_A_RX_DROPS,	/* u64: records dropped at a full ring */
	ONLOAD_A_CORRUPT,	/* u64: connections reset for nonsense */
	ONLOAD_A_WIRE,		/* u8: enum onload_wire_why */
	ONLOAD_A_WIRES,		/* u64: leases that were ends of wires */
	ONLOAD_A_MAX_PLUS_ONE,
	ONLOAD_A_MAX = ONLOAD_A_MAX_PLUS_ONE - 1,
};

#ifndef __cplusplus
#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/build_bug.h>
#else
#include <assert.h>
#include <stddef.h>
#endif

/* The layout is the contract: no field moves without a new ONLOAD_ABI. */
#define ONLOAD_AT(type, field, off) \
	static_assert(offsetof(struct type, field) == (off), #type "." #field)
ONLOAD_AT(onload_context, abi, 0);
ONLOAD_AT(onload_context, nslots, 4);
ONLOAD_AT(onload_context, fd, 8);
ONLOAD_AT(onload_context, rx_size, 12);
ONLOAD_AT(onload_context, tx_size, 16);
ONLOAD_AT(onload_context, slots_off, 20);
ONLOAD_AT(onload_context, rings_off, 24);
ONLOAD_AT(onload_context, map_size, 32);
ONLOAD_AT(onload_context, wire_off, 40);
ONLOAD_AT(onload_context, wire_stride, 48);
ONLOAD_AT(onload_wire_head, tx, 0);
ONLOAD_AT(onload_wire_head, tx_total, 8);
ONLOAD_AT(onload_wire_head, wake, 16);
ONLOAD_AT(onload_wire_head, polled, 20);
ONLOAD_AT(onload_wire_head, rx, 128);
ONLOAD_AT(onload_rec, len, 0);
ONLOAD_AT(onload_rec, gso_size, 4);
ONLOAD_AT(onload_rec, dsfield, 6);
ONLOAD_AT(onload_rec, ttl, 7);
ONLOAD_AT(onload_tcp_state, snd_una, 0);
ONLOAD_AT(onload_tcp_state, snd_nxt, 4);
ONLOAD_AT(onload_tcp_state, write_seq, 8);
ONLOAD_AT(onload_tcp_state, snd_wnd, 12);
ONLOAD_AT(onload_tcp_state, snd_wl1, 16);
ONLOAD_AT(onload_tcp_state, max_window, 20);
ONLOAD_AT(onload_tcp_state, rcv_nxt, 24);
ONLOAD_AT(onload_tcp_state, copied_seq, 28);
ONLOAD_AT(onload_tcp_state, rcv_wup, 32);
ONLOAD_AT(onload_tcp_state, rcv_wnd, 36);
ONLOAD_AT(onload_tcp_state, rx_cons, 40);
ONLOAD_AT(onload_tcp_state, rx_proc, 44);
ONLOAD_AT(onload_tcp_state, ts_recent, 48);
ONLOAD_AT(onload_tcp_state, ts_seq, 52);
ONLOAD_AT(onload_tcp_state, srtt_us, 56);
ONLOAD_AT(onload_tcp_state, rttvar_us, 60);
ONLOAD_AT(onload_tcp_state, rto_ms, 64);
ONLOAD_AT(onload_tcp_state, rtt_seq, 68);
ONLOAD_AT(onload_tcp_state, rtt_start_us, 72);
ONLOAD_AT(onload_tcp_state, cwnd, 76);
ONLOAD_AT(onload_tcp_state, cwnd_cnt, 80);
ONLOAD_AT(onload_tcp_state, ssthresh, 84);
ONLOAD_AT(onload_tcp_state, deadline_ms, 88);
ONLOAD_AT(onload_tcp_state, ack_bytes, 92);
ONLOAD_AT(onload_tcp_state, ack_ms, 96);
ONLOAD_AT(onload_tcp_state, flags, 100);
ONLOAD_AT(onload_tcp_state, rcv_mss, 104);
ONLOAD_AT(onload_tcp_state, rto_at_ms, 108);
ONLOAD_AT(onload_tcp_state, snd_sml, 112);
ONLOAD_AT(onload_flow_const, flags, 0);
ONLOAD_AT(onload_flow_const, mss, 4);
ONLOAD_AT(onload_flow_const, advmss, 8);
ONLOAD_AT(onload_flow_const, rx_size, 12);
ONLOAD_AT(onload_flow_const, tx_size, 16);
ONLOAD_AT(onload_flow_const, rcv_wnd_max, 20);
ONLOAD_AT(onload_flow_const, snd_wscale, 24);
ONLOAD_AT(onload_flow_const, rcv_wscale, 25);
ONLOAD_AT(onload_flow_const, family, 26);
ONLOAD_AT(onload_flow_const, rto_min_ms, 28);
ONLOAD_AT(onload_flow_const, mono_off_ms, 32);
ONLOAD_AT(onload_flow_const, wire_limit, 40);
ONLOAD_AT(onload_flow_const, wire_gen, 44);
ONLOAD_AT(onload_flow_const, wire_shift, 48);
ONLOAD_AT(onload_flow_const, wire_peer_limit, 52);
ONLOAD_AT(onload_flow_const, wire_max_shift, 56);
ONLOAD_AT(onload_slot, word, 0);
ONLOAD_AT(onload_slot, need_wake, 8);
ONLOAD_AT(onload_slot, rx_prod, 64);
ONLOAD_AT(onload_slot, reason, 68);
ONLOAD_AT(onload_slot, state, 128);
ONLOAD_AT(onload_slot, c, 384);
ONLOAD_AT(onload_lease, slot, 4);
ONLOAD_AT(onload_lease, generation, 8);
ONLOAD_AT(onload_lease, reason, 12);
ONLOAD_AT(onload_lease, retry_ms, 16);
ONLOAD_AT(onload_lease, flags, 20);
ONLOAD_AT(onload_handback, reason, 4);
ONLOAD_AT(onload_seg, fd, 0);
ONLOAD_AT(onload_seg, slot, 4);
ONLOAD_AT(onload_seg, generation, 8);
ONLOAD_AT(onload_seg, seq, 12);
ONLOAD_AT(onload_seg, len, 16);
ONLOAD_AT(onload_seg, ack, 20);
ONLOAD_AT(onload_seg, wnd, 24);
ONLOAD_AT(onload_seg, tsecr, 28);
ONLOAD_AT(onload_seg, flags, 32);
ONLOAD_AT(onload_seg, reserved, 36);
ONLOAD_AT(onload_wait, timeout_ns, 16);
ONLOAD_AT(onload_info, leases, 8);
ONLOAD_AT(onload_info, tx_all, 56);
#undef ONLOAD_AT
static_assert(sizeof(struct onload_context) == 56, "onload_context");
static_assert(sizeof(struct onload_rec) == 16, "onload_rec");
static_assert(sizeof(struct onload_wire_head) == 256, "onload_wire_head");
static_assert(sizeof(struct onload_tcp_state) == 128, "onload_tcp_state");
static_assert(sizeof(struct onload_flow_const) == 64, "onload_flow_const");
static_assert(sizeof(struct onload_slot) == 512, "onload_slot");
static_assert(sizeof(struct onload_lease) == 24, "onload_lease");
static_assert(sizeof(struct onload_handback) == 8, "onload_handback");
static_assert(sizeof(struct onload_seg) == 40, "onload_seg");
static_assert(sizeof(struct onload_wait) == 24, "onload_wait");
static_assert(sizeof(struct onload_info) == 64, "onload_info");
#endif /* __cplusplus */

#endif /* _UAPI_LINUX_ONLOAD_H */
