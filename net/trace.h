/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM onload

#if !defined(ONLOAD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ONLOAD_TRACE_H

#include <linux/tracepoint.h>
#include <net/sock.h>

#include <linux/onload.h>

const char *onload_reason_word(enum onload_reason why);

DECLARE_EVENT_CLASS(onload_event,
	TP_PROTO(const struct sock *sk, enum onload_reason why),
	TP_ARGS(sk, why),
	TP_STRUCT__entry(
		__field(const void *, sk)
		__field(u16, family)
		__field(u16, sport)
		__field(u16, dport)
		__field(u32, why)
		__string(word, onload_reason_word(why))
	),
	TP_fast_assign(
		__entry->sk = sk;
		__entry->family = sk->sk_family;
		__entry->sport = sk->sk_num;
		__entry->dport = ntohs(sk->sk_dport);
		__entry->why = why;
		__assign_str(word, onload_reason_word(why));
	),
	TP_printk("sk=%p family=%u sport=%u dport=%u reason=%s",
		  __entry->sk, __entry->family, __entry->sport,
		  __entry->dport, __get_str(word))
);

DEFINE_EVENT(onload_event, lease,
	TP_PROTO(const struct sock *sk, enum onload_reason why),
	TP_ARGS(sk, why));
DEFINE_EVENT(onload_event, reclaim,
	TP_PROTO(const struct sock *sk, enum onload_reason why),
	TP_ARGS(sk, why));
DEFINE_EVENT(onload_event, refuse,
	TP_PROTO(const struct sock *sk, enum onload_reason why),
	TP_ARGS(sk, why));

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
