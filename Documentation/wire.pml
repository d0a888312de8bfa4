/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Wires for the model checker spin(1); wire.rst has them in words, lease.pml
 * is the model of what they have in common with other leases. Two models,
 * chosen by -D:
 *
 *   WIRE   what becomes of the bytes: two ends that pair, publish and leave,
 *          by themselves or taken back, one after the other or both at once,
 *          while bytes sent by TCP before and after are under way; death of
 *          one process at any step; two threads of one; a ring that is made
 *          longer.
 *          net/wire.c, import.c, gate.c, userlib/wire.c, lease.c
 *   SLEEP  who sleeps on a wire is woken: for bytes, for room, with poll by
 *          edge, when it ends.
 *          net/wire_wait.c, wire.c, userlib/wire.c, recv.c, send.c
 *
 * Deliberate bugs, each of which must be found: -DBUG_..., listed in
 * selftests/model.sh. spin knows sequential consistency only.
 *
 * What a process does is a U() step; only end 0's may die.
 */

#define U(step)	atomic { !(dead && e == 0) -> step }

bool dead;

mtype = { KERNEL, WIRED };

inline lock(l) { atomic { !l -> l = true } }

#ifdef BUG_NO_IN_KERNEL
#define COUNTED	0
#else
#define COUNTED	1	/* in flow->in_kernel, before anything else */
#endif

#ifdef WIRE

/* Two ends, each with a process of one thread or two, and a raw system call of
 * another. A byte is its number in its direction, from 1.
 */
#ifndef N0
#define N0	2	/* bytes that end 0 sends */
#endif
#ifndef N1
#define N1	1	/* ditto end 1 */
#endif
#ifndef NMAX
#define NMAX	2	/* the greater of the two */
#endif
#ifndef RS
#define RS	1	/* size of a ring */
#endif
#ifndef THREADS
#define THREADS	1	/* of end 0's process */
#endif
#define GROWN	2	/* size of a ring that was made longer, with -DGROW */
#ifndef RAW
#define RAW	0	/* raw system calls, either end */
#endif
#ifndef RECLAIMS
#define RECLAIMS 2
#endif
#ifndef JOINS
#define JOINS	2
#endif
mtype = { NONE, PEER, UNMAP };

/* Shared memory: each end's words change in one step, its ring does not. */
byte t_gen[2];
byte t_pos[2];
bool t_user[2];
byte r_gen[2];
byte r_pos[2];
bool r_user[2];
byte ring[4];		/* of end e: from GROWN * e on */
#ifdef GROW
byte t_size[2] = RS;	/* in the same word as t_pos */
byte room[2] = RS;	/* the kernel's: the region's size */
byte s_size[4];		/* of wire w and end e: t_size when it was cut */
#define SIZE(e)		t_size[e]
#define CUT_SIZE(w, e)	s_size[2 * (w) + (e)]
#else
#define SIZE(e)		RS
#define CUT_SIZE(w, e)	RS
#endif
byte s_gen[2];		/* the slot's wire_gen, copied after the lease began */
byte s_word[2];		/* the slot's word: its wire's generation, or 0 */

/* The libraries' endpoints */
bool lk[2];
byte lease[2];

/* The kernel's flows, and wires by the parity of their generations */
mtype owner[2] = KERNEL;
mtype why[2] = NONE;
bool work[2];
bool sk[2];
byte inside[2];
bool asks[2];		/* has once asked for a lease that may be a wire */
byte at[2];		/* its wire */
byte gen;
bool wl[2];
bool cut[2];
byte refs[2];		/* of the wire; a region is shared as long as there are */
byte snap[4];		/* of wire w and end e: tx when it was cut */
bool ctx_dead;		/* end 0's */

/* Linux: what was sent by TCP and arrived, and what waits for recv() */
byte l_sent[2];
byte l_rcvd[2];
byte tcp[2 * NMAX];	/* of end e: from NMAX * e on */
byte q_n[2];
byte q[2 * NMAX];	/* ditto */

/* What is true */
byte asked[2];
byte acc[2];		/* bytes for which send() returned */
byte app[2];		/* bytes that recv() returned */

inline because(e, reason)
{
	if
	:: why[e] != UNMAP -> why[e] = reason
	:: else
	fi
}

/* Inside an atomic step: all of it */
inline prepend(e, byte_)
{
#ifdef BUG_BEHIND
	q[NMAX * e + q_n[e]] = byte_;
#else
#if NMAX > 2
	q[NMAX * e + 2] = q[NMAX * e + 1];
#endif
	q[NMAX * e + 1] = q[NMAX * e];
	q[NMAX * e] = byte_;
#endif
	q_n[e] = q_n[e] + 1
}

/* What nobody reads before it is written again: fewer states */
inline forget(w)
{
	cut[w] = false; snap[2 * w] = 0; snap[2 * w + 1] = 0;
	t_pos[0] = 0; r_pos[0] = 0; t_pos[1] = 0; r_pos[1] = 0;
#ifdef GROW
	t_size[0] = RS; t_size[1] = RS;
	s_size[2 * w] = 0; s_size[2 * w + 1] = 0;
#endif
	ring[0] = 0; ring[1] = 0; ring[2] = 0; ring[3] = 0
}

/* onload_wire_leave(); an honest process's words are always valid. Socket
 * locked, WIRED.
 */
inline leave(e, o)
{
	atomic {
		!wl[at[e]];
		s_word[e] = 0;
		if
		:: cut[at[e]] -> goto cut_already
		:: else
		fi;
		wl[at[e]] = true;
		cut[at[e]] = true;
		assert(t_user[e]);
		snap[2 * at[e] + e] = t_pos[e];
#ifdef GROW
		s_size[2 * at[e] + e] = t_size[e];
#endif
		t_user[e] = false
	};
	atomic {
		assert(t_user[o]);
		snap[2 * at[e] + o] = t_pos[o];
#ifdef GROW
		s_size[2 * at[e] + o] = t_size[o];
#endif
#ifndef BUG_CUT_ONE
		t_user[o] = false;
#endif
		because(o, PEER);
		work[o] = true;
		wl[at[e]] = false
	};
cut_already:
#ifndef BUG_RX_STAYS
	atomic { assert(r_user[e]); r_user[e] = false };
#endif
	atomic {
		/* Import, from behind */
		assert(r_gen[e] == r_gen[o] && t_gen[e] == t_gen[o]);
		assert(snap[2 * at[e] + o] - r_pos[e] <= CUT_SIZE(at[e], o));
#ifdef GROW
		assert(CUT_SIZE(at[e], o) <= room[o]);
#endif
		do
		:: snap[2 * at[e] + o] > r_pos[e] ->
			snap[2 * at[e] + o]--;
			prepend(e, ring[GROWN * o + snap[2 * at[e] + o] %
					CUT_SIZE(at[e], o)])
		:: else -> break
		od;
		owner[e] = KERNEL;
		refs[at[e]]--;
		if
		:: !refs[0] && !refs[1] -> forget(at[e])
		:: else
		fi;
		at[e] = 0;
		sk[e] = false
	}
}

inline reclaim(e, o)
{
	atomic {
		!sk[e];
		if
		:: owner[e] == WIRED -> sk[e] = true
		:: else -> goto not_wired
		fi
	};
	leave(e, o);
not_wired:
	skip
}

inline tcp_send(e)
{
	acc[e]++;
	tcp[NMAX * e + l_sent[e]] = acc[e];
	l_sent[e]++
}

inline tcp_recv(e)
{
	assert(q[NMAX * e] == app[e] + 1);
	app[e]++;
	q[NMAX * e] = q[NMAX * e + 1];
#if NMAX > 2
	q[NMAX * e + 1] = q[NMAX * e + 2];
#endif
	q[NMAX * e + NMAX - 1] = 0;
	q_n[e]--
}

/* A wrapped operation of Linux, that does not wait; counted in already */
inline plain_op(e, o, sending)
{
	if
	:: owner[e] != KERNEL -> reclaim(e, o)
	:: else
	fi;
	atomic {
		!sk[e];
		assert(owner[e] == KERNEL);
		if
		:: sending -> tcp_send(e)
		:: !sending && q_n[e] -> tcp_recv(e)
		:: else
		fi;
		inside[e] = inside[e] - COUNTED
	}
}

#ifdef BUG_UNREAD
#define QUIET(e)	true
#else
#define QUIET(e)	(q_n[e] == 0)
#endif
#ifdef BUG_NO_PROOF
#define PROOF		true
#else
#define PROOF		(l_sent[0] == l_rcvd[1] && l_sent[1] == l_rcvd[0])
#endif
#ifdef BUG_DEAD_UNSEEN
#define ALIVE		true
#else
#define ALIVE		(!ctx_dead)
#endif

inline own(e)
{
	owner[e] = WIRED;
	atomic {
		ok = inside[e] == 0;
		if
		:: !ok -> owner[e] = KERNEL
		:: else
		fi
	}
}

inline prepare(e)
{
#ifdef BUG_CONST_LATE
	t_user[e] = true; r_user[e] = true;
#endif
	t_gen[e] = gen; t_pos[e] = 0;
	r_gen[e] = gen; r_pos[e] = 0;
#ifdef GROW
	t_size[e] = room[e];
#endif
	s_gen[e] = gen
}

inline publish(e)
{
	at[e] = gen & 1;
	t_user[e] = true; r_user[e] = true;
	s_word[e] = gen;
#ifdef BUG_WHY_LOST
	why[e] = NONE
#else
	because(e, NONE)
#endif
}

/* onload_lease(): its other end's socket is looked at if nobody has it. */
inline take_lease(e, o)
{
	atomic {
		!sk[e];
		asks[e] = true;
		if
		:: owner[e] == WIRED && !cut[at[e]] ->
			ok = true;
			g = s_word[e];
			goto asked_for
		:: owner[e] == KERNEL && gen < JOINS && !sk[o] && asks[o] &&
		   owner[o] == KERNEL && QUIET(e) && QUIET(o) && PROOF && ALIVE ->
			assert(!refs[0] && !refs[1]);
			sk[e] = true;
			sk[o] = true;
			gen++;
			prepare(e);
			prepare(o)
		:: else -> goto asked_for
		fi
	};
	/* Here each of the two sees the other, or is seen. */
	own(e);
	if
	:: ok -> own(o)
	:: else
	fi;
	atomic {
		if
		:: ok -> publish(e); publish(o); refs[gen & 1] = 2; g = gen
		:: else -> owner[e] = KERNEL; forget(0)
		fi;
		sk[e] = false;
		sk[o] = false
	};
asked_for:
	skip
}

#ifdef BUG_UNLOCKED
#define FREE(e)	true
#else
#define FREE(e)	(!lk[e])
#endif

#define clear()	p = 0; n = 0; val = 0; g = 0; size = 0; sending = false

proctype library(byte e)
{
	byte o = 1 - e;
	byte p, n, val, g, size;
	bool sending, ok;

end:	/* What poll() would say, or something to send, or a lease to be had */
	U(if
	   :: q_n[e] || (owner[e] == WIRED && t_pos[o] != r_pos[e]) -> sending = false
	   :: asked[e] < (e == 0 -> N0 : N1) -> asked[e]++; sending = true
	   :: !lk[e] && !lease[e] && gen < JOINS && !asks[e] ->
		lk[e] = true; g = 1
	   fi);
	if
	:: g -> take_lease(e, o); U(ok = false; g = 0; lk[e] = false); goto end
	:: else
	fi;
enter:
	U(if
	   :: FREE(e) -> lk[e] = true
	   :: lk[e] || !lease[e] -> inside[e] = inside[e] + COUNTED; goto plain
	   fi);
	if
	:: !lease[e] ->
		take_lease(e, o);
		U(if
		   :: ok -> ok = false
		   :: else -> lk[e] = false; inside[e] = inside[e] + COUNTED; goto plain
		   fi);
		/* leased() */
		U(lease[e] = s_gen[e]);
#ifndef BUG_CONST_LATE
		U(if
		  :: s_word[e] != g -> goto lost
		  :: else -> g = 0
		  fi)
#endif
	:: else
	fi;
	if
	:: sending ->
		U(if
		   :: t_gen[e] == lease[e] && t_user[e] ->
			p = t_pos[e]; val = acc[e] + 1; size = SIZE(e)
		   :: else -> goto lost
		   fi;
		   n = p - r_pos[o];
#ifdef GROW
		   /* resize(): what is unread must lie where it lies */
		   if
#ifdef BUG_GROW_FULL
		   :: room[e] > size -> size = room[e]
#else
		   :: room[e] > size && n == 0 -> size = room[e]
#endif
		   :: else
		   fi;
#endif
		   if
		   :: n > size -> goto lost
		   :: n == size -> lk[e] = false; clear(); sending = true;
#ifdef GROW
			/* onload_wire_grow() */
			room[e] = GROWN;
#endif
			/* Waits, or leaves the rest to Linux */
			goto crowded
		   :: else
		   fi);
#ifdef BUG_PUBLISH_FIRST
		U(if
		   :: t_gen[e] == lease[e] && t_user[e] && t_pos[e] == p ->
			t_pos[e] = p + 1; acc[e]++
		   :: else -> goto lost
		   fi);
#endif
		U(ring[GROWN * e + p % size] = val);
#ifndef BUG_PUBLISH_FIRST
		U(if
		   :: t_gen[e] == lease[e] && t_user[e] && t_pos[e] == p ->
			assert(owner[e] == WIRED && val == acc[e] + 1);
			t_pos[e] = p + 1; acc[e]++;
#ifdef GROW
			t_size[e] = size
#endif
		   :: else -> goto lost
		   fi)
#endif
	:: else ->
		U(if
		   :: r_gen[e] == lease[e] && r_user[e] -> p = r_pos[e]
		   :: else -> goto lost
		   fi);
		U(n = t_pos[o] - p; size = SIZE(o);
		   if
		   :: n > size || (n == 0 && !(t_gen[o] == lease[e] && t_user[o])) -> goto lost
		   :: n == 0 && t_gen[o] == lease[e] && t_user[o] -> lk[e] = false; clear(); goto end
		   :: else
		   fi);
		U(val = ring[GROWN * o + p % size]);
		U(if
		   :: r_gen[e] == lease[e] && r_user[e] && r_pos[e] == p ->
			r_pos[e] = p + 1;
			assert(val == app[e] + 1);
			app[e]++
		   :: else -> goto lost
		   fi)
	fi;
	U(lk[e] = false; clear());
	goto end;
crowded:
	U(if
	   :: r_pos[o] != t_pos[e] - SIZE(e) || !t_user[e] || owner[e] != WIRED -> goto enter
#ifdef BUG_GROW_FULL
	   :: room[e] > SIZE(e) -> goto enter
#endif
	   :: lease[e] = 0; inside[e] = inside[e] + COUNTED; goto plain
	   fi);
lost:
	U(lease[e] = 0; lk[e] = false; inside[e] = inside[e] + COUNTED);
plain:
	plain_op(e, o, sending);
	clear();
	goto end
}

/* TCP, and the gate: what arrives under a wire ends it. */
proctype gate()
{
end:	do
	:: atomic {
		l_rcvd[1] < l_sent[0] && !sk[1] ->
		q[NMAX + q_n[1]] = tcp[l_rcvd[1]];
		q_n[1]++; l_rcvd[1]++;
		if
		:: owner[1] == WIRED -> because(1, PEER); work[1] = true
		:: else
		fi
	   }
	:: atomic {
		l_rcvd[0] < l_sent[1] && !sk[0] ->
		q[q_n[0]] = tcp[NMAX + l_rcvd[0]];
		q_n[0]++; l_rcvd[0]++;
		if
		:: owner[0] == WIRED -> because(0, PEER); work[0] = true
		:: else
		fi
	   }
	od
}

proctype worker(byte e)
{
	byte o = 1 - e;
	mtype y;

end:	do
	:: atomic { work[e] -> work[e] = false; y = why[e]; why[e] = NONE };
		if
		:: y != NONE -> reclaim(e, o)
		:: else
		fi;
		y = 0
	od
}

/* A reclaim for any reason, at any step; once a raw system call */
proctype others()
{
	bool called = !RAW;
	byte n;

end:	do
	:: n < RECLAIMS && owner[0] == WIRED -> n++; reclaim(0, 1)
	:: n < RECLAIMS && owner[1] == WIRED -> n++; reclaim(1, 0)
	:: atomic {
		!called && q_n[1] ->
		called = true;
		inside[1] = inside[1] + COUNTED
	   }; plain_op(1, 0, false)
	:: atomic {
		!called && !dead && asked[0] < N0 ->
		called = true;
		asked[0]++;
		inside[0] = inside[0] + COUNTED
	   }; plain_op(0, 1, true)
	od
}

init {
	atomic {
		run library(0);
#if THREADS > 1
		run library(0);
#endif
		run library(1);
		run gate();
		run worker(0);
		run worker(1);
		run others()
	};
#ifdef DEATH
	dead = true;	/* onload_ctx_die() of end 0 */
	ctx_dead = true;
	atomic { because(0, UNMAP); work[0] = true };
#endif
	timeout ->
	assert(!sk[0] && !sk[1]);
	assert(!dead || owner[0] == KERNEL);
	/* All that was sent has been read, or can be. */
	assert(app[1] == acc[0]);
	assert(dead || (app[0] == acc[1] && acc[0] == N0 && acc[1] == N1))
}
#endif

#ifdef SLEEP

/* End 1 sends to end 0, where one thread waits in ONLOAD_WAIT and another by
 * an edge of epoll. After the end of the wire Linux says what is there.
 */
#ifndef BYTES
#define BYTES	3
#endif
#ifndef RS
#define RS	1
#endif
#ifndef READERS
#define READERS	3	/* 1: the former, 2: the latter, 3: both */
#endif
#define WAITER	0
#define EDGE	1
#define SENDER	2

byte tx;
byte rx;
bool wake_rx = true;	/* in end 0's wake; up when the wire begins */
bool wake_tx = true;	/* in end 1's */
bool ended;
bool queued[3];
bool woken[3];
bool asleep[3];

/* sk_data_ready(), onload_wake_tx() */
inline notify(i)
{
	atomic {
		if
		:: queued[i] -> woken[i] = true
		:: else
		fi
	}
}

inline sleep(i)
{
	atomic { asleep[i] = true };
	atomic { woken[i] -> woken[i] = false; asleep[i] = false }
}

/* onload_wire_wake(): of what the other end's wake says */
inline wake_reader()
{
#ifdef BUG_CLEAR_AFTER
	atomic { up = wake_rx };
#else
	atomic { up = wake_rx && !ended; wake_rx = wake_rx && ended };
#endif
	if
	:: up -> notify(WAITER); notify(EDGE)
	:: else
	fi;
#ifdef BUG_CLEAR_AFTER
	wake_rx = false;
#endif
	up = false
}

inline wake_sender()
{
	atomic { up = wake_tx && !ended; wake_tx = wake_tx && ended };
	if
	:: up -> notify(SENDER)
	:: else
	fi;
	up = false
}

/* One byte, then a look at who sleeps. got: there was one */
inline recv_byte()
{
	atomic {
		got = tx != rx && !ended;
		if
		:: got -> rx++
		:: else
		fi
	};
#ifndef BUG_ROOM_UNSEEN
	if
	:: got && wake_tx -> wake_sender()
	:: else
	fi
#endif
}

proctype sender()
{
	bool room, up, look;

	do
	:: ended || tx == BYTES -> break
	:: else ->
#ifdef BUG_LOOK_FIRST
		look = wake_rx;
#endif
		atomic {
			room = tx - rx < RS && !ended;
			if
			:: room -> tx++
			:: else
			fi
		};
#ifndef BUG_LOOK_FIRST
		look = wake_rx;
#endif
		if
		:: room && look -> wake_reader()
		:: room && !look
		:: else ->
			queued[SENDER] = true;
			wake_tx = true;
			if
			:: tx - rx < RS || ended
			:: else -> sleep(SENDER)
			fi;
			atomic { queued[SENDER] = false; woken[SENDER] = false }
		fi
	od
}

proctype waiter()
{
	bool got, up;

	do
	:: ended || rx == BYTES -> break
	:: else ->
		recv_byte();
		if
		:: got
		:: else ->
			queued[WAITER] = true;
#ifdef BUG_ARM_LATE
			if
			:: tx != rx || ended
			:: else -> wake_rx = true; sleep(WAITER)
			fi;
#else
			wake_rx = true;
			if
			:: tx != rx || ended
			:: else -> sleep(WAITER)
			fi;
#endif
			atomic { queued[WAITER] = false; woken[WAITER] = false }
		fi
	od
}

/* Once registered, it is told of what arrives only. */
proctype edge()
{
	bool got, up;

	queued[EDGE] = true;
	wake_rx = true;
	do
	:: ended || rx == BYTES -> break
	:: else ->
		recv_byte();
		if
		:: got
		:: else ->
			/* ol_wire_arm_recv(), before EAGAIN */
#ifndef BUG_NO_REARM
			wake_rx = true;
			if
			:: tx != rx || ended
			:: else -> sleep(EDGE)
			fi
#else
			sleep(EDGE)
#endif
		fi
	od
}

/* Either end first; the other one's reclaim is queued. */
proctype leaver()
{
	if
	:: skip
	:: ended = true;
#ifndef BUG_CUT_SILENT
		if
		:: true -> notify(WAITER); notify(EDGE); notify(SENDER)
		:: true -> notify(SENDER); notify(EDGE); notify(WAITER)
		fi
#endif
	fi
}

init {
	atomic {
		run sender();
#if READERS & 1
		run waiter();
#endif
#if READERS & 2
		run edge();
#endif
		run leaver()
	};
	timeout ->
	assert(!asleep[SENDER] || (tx - rx == RS && !ended));
	assert(rx == BYTES || ended || !asleep[SENDER]);
	assert((!asleep[WAITER] && !asleep[EDGE]) || (tx == rx && !ended))
}
#endif
