/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lease for the model checker spin(1); lease.rst has it in words. Four
 * small models, because their product explodes, chosen by -D:
 *
 *   OWN    who owns the flow, and what becomes of its bytes: two threads of
 *          the library, one in raw system calls, the gate, a timer that
 *          reclaims at any step, leases again, death at any step.
 *          net/lease.c, reclaim.c, import.c, record.c, userlib/lease.c, recv.c,
 *          send.c
 *   SLOT   one slot that two flows use one after the other: a late writer,
 *          close by another thread, munmap at any step, the work queue.
 *          net/context.c, slot.c, flow.c, userlib/fd.c, lease.c
 *   WAKE   arm and wake-up: ONLOAD_WAIT, poll, a sleeper in Linux's recvmsg,
 *          the gate, reclaims and leases in between.
 *          net/wait.c, gate.c, userlib/wait.c
 *   END    a reclaim ends whatever its peer and its process do for ever.
 *          net/lease.c (onload_peek), record.c (onload_record_drain)
 *
 * Deliberate bugs, each of which must be found: -DBUG_..., listed in
 * selftests/model.sh. Those that swap two steps are what a missing release
 * would permit: spin itself knows sequential consistency only.
 *
 * What the process does is a U() step and ends with its death; what the
 * kernel does for it goes on. Sequence numbers and ring positions count
 * bytes; a record holds one.
 */

#define U(step)	atomic { !dead -> step }

bool dead;		/* the process, by kill or the loss of its mapping */

mtype = { KERNEL, LEASED, FROZEN };

inline lock(l) { atomic { !l -> l = true } }

#ifdef BUG_NO_IN_KERNEL
#define COUNTED	0
#else
#define COUNTED	1	/* in flow->in_kernel, before anything else */
#endif

#ifdef OWN

#ifndef NR
#define NR	2	/* bytes that the peer sends */
#endif
#ifndef NT
#define NT	2	/* bytes that the process sends */
#endif
#define RX	1	/* size of the receive ring */
#define TX	1	/* size of the transmit ring */
#ifndef LEASES
#define LEASES	2
#endif

/* A state slot; what a commit makes current */
typedef state {
	byte rcv;	/* rcv_nxt and rx_proc */
	byte cop;	/* copied_seq and rx_cons */
	byte una;
	byte wr		/* write_seq and snd_nxt */
};

/* Shared memory. The word changes in one step, the rest does not. */
byte w_gen;
byte w_seq;
bool w_user;
state st[2];
byte prod;
byte rxr[RX];		/* payload: number of the byte + 1 */
byte rxa[RX];		/* acknowledgement of that record */
byte txr[TX];		/* whose byte it is */

/* The library's endpoint */
bool lk;
byte lease;		/* generation, or 0 */

/* The kernel's flow */
mtype owner = KERNEL;
bool sk;		/* socket lock */
bool fl;		/* flow's lock */
byte inside;
byte gen;
byte k_prod;
byte k_cons;
byte sent;
byte una0;
byte r_seq;		/* onload_take()'s, under the socket lock */
state r;

/* Linux's tcp_sock, and what waits in its backlog */
byte l_rcv;
byte l_cop;
byte l_una;
byte l_nxt;
byte b_n;
byte b_ack;

/* What is true, whoever knows it */
byte arrived;		/* bytes that the gate took in */
byte asked;		/* calls of send() */
byte acc;		/* bytes for which send() returned */
byte who[NT + 1];	/* whose they are */
byte wire;		/* bytes that were transmitted */
byte out[NT + 1];	/* and whose those were */
byte app;		/* bytes that recv() returned */

inline transmit(s, whose)
{
	assert(s == wire);
	out[wire] = whose;
	wire++
}

inline accept(s, whose)
{
	assert(s == acc);
	assert(s >= wire || out[s] == whose);
	who[s] = whose;
	acc++
}

/* Inside an atomic step */
inline release_sock()
{
	if
	:: b_n > 0 -> l_rcv = l_rcv + b_n; l_una = b_ack; b_n = 0; b_ack = 0
	:: else
	fi;
	sk = false
}

/* Copy what the library had made of the flow into Linux. Every check of
 * onload_import_check() holds for an honest process.
 */
inline import()
{
	assert(una0 <= r.una && r.una <= sent);
	assert(sent <= r.wr && r.wr - r.una <= TX);
	assert(r.cop <= r.rcv && r.rcv <= k_prod && k_cons <= r.cop);
	assert(r.cop == app);
	assert(r.wr == acc);
	l_rcv = r.cop;
	do
	:: l_rcv < r.rcv -> assert(rxr[l_rcv % RX] == l_rcv + 1); l_rcv++
	:: else -> break
	od;
	l_cop = r.cop;
	l_una = r.una;
	l_nxt = r.una;
	do
	:: l_nxt < r.wr ->
		assert(txr[l_nxt % TX] == who[l_nxt]);
		if
		:: l_nxt >= sent -> transmit(l_nxt, who[l_nxt])
		:: else
		fi;
		l_nxt++
	:: else -> break
	od
}

/* What nobody reads before it is written again: fewer states */
inline forget()
{
	k_prod = 0; k_cons = 0; sent = 0; una0 = 0; prod = 0;
	st[0].rcv = 0; st[0].cop = 0; st[0].una = 0; st[0].wr = 0;
	st[1].rcv = 0; st[1].cop = 0; st[1].una = 0; st[1].wr = 0;
	rxr[0] = 0; rxa[0] = 0; txr[0] = 0
}

/* Unprocessed records become Linux's, then all that follows */
inline drain()
{
	do
	:: atomic { !fl && l_rcv == k_prod -> owner = KERNEL; forget(); break }
	:: atomic {
		!fl && l_rcv < k_prod ->
		assert(rxr[l_rcv % RX] == l_rcv + 1);
		if
		:: rxa[l_rcv % RX] > l_una -> l_una = rxa[l_rcv % RX]
		:: else
		fi;
		l_rcv++;
		k_cons = l_rcv
	}
	od
}

inline reclaim()
{
	lock(sk);
	if
	:: owner == LEASED ->
		atomic { !fl -> fl = true; owner = FROZEN };
		/* The exchange of the word */
		atomic {
			assert(w_gen == gen && w_user);
			r_seq = w_seq;
			w_gen = gen + 1;
			w_user = false;
			w_seq = 0;
			fl = false
		};
		atomic { r.rcv = st[r_seq & 1].rcv; r.cop = st[r_seq & 1].cop };
		atomic {
			r.una = st[r_seq & 1].una; r.wr = st[r_seq & 1].wr;
			import();
			r_seq = 0; r.rcv = 0; r.cop = 0; r.una = 0; r.wr = 0
		};
		drain()
	:: else
	fi;
	atomic { release_sock() }
}

/* A wrapped operation of Linux: recvmsg without waiting, or sendmsg */
inline plain_op(me, sending)
{
	if
	:: owner != KERNEL -> reclaim()
	:: else
	fi;
	lock(sk);
	atomic {
		assert(owner == KERNEL);
		if
		:: sending ->
			accept(l_nxt, me);
			transmit(l_nxt, me);
			l_nxt++
		:: !sending && l_cop < l_rcv ->
			assert(l_cop == app);
			l_cop++;
			app++
		:: else
		fi;
		release_sock();
		inside = inside - COUNTED
	}
}

/* onload_lease(): ok says whether. What is sent and not acknowledged stands
 * against it, unless the acknowledgement came just before.
 */
inline take_lease(ok)
{
	lock(sk);
	if
	:: owner == KERNEL && !dead && gen < LEASES && l_rcv - l_cop <= RX ->
		atomic { !fl -> fl = true; l_una = l_nxt; owner = LEASED };
		atomic {
			if
			:: inside > 0 || b_n > 0 -> owner = KERNEL; fl = false; release_sock()
			:: else ->
				gen++;
				if
				:: l_cop < l_rcv -> rxr[l_cop % RX] = l_cop + 1
				:: else
				fi;
				k_prod = l_rcv; k_cons = l_cop;
				sent = l_nxt; una0 = l_una;
				st[0].rcv = l_rcv; st[0].cop = l_cop;
				st[0].una = l_una; st[0].wr = l_nxt;
				prod = k_prod;
				ok = true
			fi
		};
		if
		:: ok -> atomic {
			w_gen = gen; w_user = true; w_seq = 0;
			fl = false;
			release_sock()
		}
		:: else
		fi
	:: owner == KERNEL -> atomic { release_sock() }
	:: owner != KERNEL -> atomic { release_sock() }
	fi
}

/* ONLOAD_KICK with one request of one byte */
inline kick(s)
{
	atomic {
		!sk;
		if
		:: owner == LEASED && gen == g ->
			assert(s == sent);
			transmit(s, txr[s % TX]);
			sent++
		:: else
		fi
	}
}

#define clear() \
	g = 0; q = 0; k = 0; val = 0; got = false; ok = false; \
	n.rcv = 0; n.cop = 0; n.una = 0; n.wr = 0

proctype library(byte me; bool reads, writes)
{
	byte g, q, k, val;
	bool sending, got, ok;
	state n;

call:
	U(sending = false;
	  if
	  :: reads && app < NR
	  :: writes && asked < NT -> asked++; sending = true
	  :: (!reads || app == NR) && (!writes || asked == NT) -> goto done
	  fi);
enter:
	/* Nobody waits for the lock for long; without a lease, it may not be
	 * worth asking for one.
	 */
	U(if
	  :: !lk -> lk = true
#ifdef BUG_LEASE_UNLOCKED
	  :: lk -> goto take
#endif
	  :: lk || !lease -> inside = inside + COUNTED; goto plain
	  fi);
	if
	:: !lease ->
		take_lease(ok);
		U(if
		  :: ok -> lease = gen; ok = false
		  :: else -> lk = false; inside = inside + COUNTED; goto plain
		  fi)
	:: else
	fi;
	/* A transaction. The word, then what it makes valid */
	U(g = w_gen; q = w_seq;
	  if
	  :: g == lease && w_user
	  :: else -> goto lost
	  fi);
	U(k = prod;
	  n.rcv = st[q & 1].rcv; n.cop = st[q & 1].cop;
	  n.una = st[q & 1].una; n.wr = st[q & 1].wr);
	/* The rings: a record is processed, a byte read or written. */
	U(if
	  :: n.rcv < k -> n.una = rxa[n.rcv % RX]; n.rcv++; got = true
	  :: else
	  fi;
	  if
	  :: !sending && n.cop < n.rcv -> val = rxr[n.cop % RX]; n.cop++; ok = true
#ifdef BUG_EARLY_REUSE
	  :: sending && n.wr - n.una < TX -> txr[n.wr % TX] = me; n.wr++; ok = true
#else
	  :: sending && n.wr - st[q & 1].una < TX -> txr[n.wr % TX] = me; n.wr++; ok = true
#endif
	  :: else
	  fi;
	  if
	  :: !got && !ok -> goto again
	  :: else
	  fi);
#ifdef BUG_KICK_FIRST
	if
	:: sending && ok -> kick((n.wr - 1))
	:: else
	fi;
#endif
	/* The next state, in the slot that is not current */
	U(st[1 - (q & 1)].rcv = n.rcv; st[1 - (q & 1)].cop = n.cop);
#ifndef BUG_COMMIT_FIRST
	U(st[1 - (q & 1)].una = n.una; st[1 - (q & 1)].wr = n.wr);
#endif
	U(if
	  :: w_gen == g && w_user && w_seq == q ->
		w_seq = 1 - w_seq;
		assert(owner != KERNEL && gen == g);
		if
		:: ok && sending -> accept((n.wr - 1), me)
		:: ok && !sending -> assert(val == app + 1); app++
		:: else
		fi
	  :: else -> goto lost
	  fi);
#ifdef BUG_COMMIT_FIRST
	U(st[1 - (q & 1)].una = n.una; st[1 - (q & 1)].wr = n.wr);
#endif
#ifndef BUG_KICK_FIRST
	if
	:: sending && ok -> kick((n.wr - 1))
	:: else
	fi;
#endif
	U(lk = false;
	  if
	  :: ok -> clear(); goto call
	  :: else -> clear(); goto enter
	  fi);
again:
	/* Nothing to read, or no room */
	U(lk = false; clear();
	  if
	  :: goto enter
	  :: !sending -> goto call
	  fi);
lost:
	U(lease = 0; lk = false; clear(); inside = inside + COUNTED);
plain:
	plain_op(me, sending);
	goto call;
#ifdef BUG_LEASE_UNLOCKED
take:
	take_lease(ok);
	U(if :: ok -> lease = gen; ok = false :: else fi;
	  inside = inside + COUNTED; goto plain);
#endif
done:
	skip
}

/* The peer and the gate: each segment acknowledges all that was sent */
proctype gate()
{
	byte q, c;
	bool room;

	do
	:: arrived < NR ->
		lock(fl);
		if
		:: owner == KERNEL ->
			atomic {
				if
				:: sk -> b_n++; b_ack = wire
				:: else -> l_rcv++; l_una = wire
				fi;
				arrived++
			}
		:: else ->
			assert(k_prod == arrived);
			room = k_prod - k_cons < RX;
			if
			:: !room && owner == LEASED ->
				/* onload_peek() */
				q = w_seq;
				c = st[q & 1].cop;
				atomic {
					if
					:: w_user && w_gen == gen && w_seq == q ->
						k_cons = c;
						room = k_prod - k_cons < RX
					:: else
					fi;
					q = 0; c = 0
				}
			:: else
			fi;
			if
			:: room ->
				/* The record, then its position */
#ifdef BUG_PUBLISH_FIRST
				prod = k_prod + 1;
#endif
				atomic {
					rxr[k_prod % RX] = arrived + 1;
					rxa[k_prod % RX] = wire
				};
				atomic {
					k_prod++;
					prod = k_prod;
					arrived++;
					room = false
				}
			:: else /* dropped; the peer repeats it */
			fi
		fi;
		fl = false
	:: arrived == NR -> break
	od
}

/* Deadlines, the end of the mapping, an administrator: a reclaim at any step.
 * And once a thread that makes raw system calls: this one process is both,
 * because each of the library's threads can be the other's second.
 */
proctype others()
{
	bool called;

end:	do
	:: owner == LEASED -> reclaim()
	:: atomic {
		!dead && !called && app < NR ->
		called = true;
		inside = inside + COUNTED
	   }; plain_op(3, false)
	:: atomic {
		!dead && !called && asked < NT ->
		called = true;
		asked++;
		inside = inside + COUNTED
	   }; plain_op(3, true)
	od
}

init {
	atomic {
		run library(1, R1, W1);
#if R2 || W2
		run library(2, R2, W2);
#endif
		run gate();
		run others()
	};
	if
	:: dead = true
	:: skip
	fi;
	/* Nobody can go on: what has become of the bytes? */
	timeout ->
	assert(owner == KERNEL && !sk && !fl);
	assert(wire == acc);
	assert(dead || (acc == asked && app + l_rcv - l_cop == arrived))
}
#endif

#ifdef SLOT

/* Flow 0 has the slot first; its descriptor is closed by another thread,
 * which then uses flow 1. In memory that both may write is only whose it is.
 */
mtype = { NONE, TERM, UNMAP };

/* Shared memory */
byte w_gen;
bool w_seq;
bool w_user;
byte half[2];		/* flow + 1 whose state it is */
byte cell;		/* flow + 1 whose byte is in the transmit ring */
bool rings;		/* are there */

/* The library: endpoints and the pool of one slot */
byte fds[2] = 1;
bool lk[2];
byte lease[2];
bool has[2];
bool pool = true;

/* The kernel */
mtype owner[2] = KERNEL;
mtype why[2] = NONE;
bool work[2];
bool sk[2];
bool attached[2];
bool closed[2];
byte gen[2];
bool mutex;		/* the context's */
bool hashed = true;	/* the context can be found */
bool ctx_dead;
byte s_flow;		/* flow + 1 that has the slot */
byte gens;

bool acc[2];		/* there is a byte for which send() returned */

inline reclaim(f)
{
	lock(sk[f]);
	if
	:: owner[f] == LEASED ->
		owner[f] = FROZEN;
		atomic {
			assert(w_gen == gen[f] && w_user);
			w_gen = gen[f] + 1;
			w_user = false
		};
		atomic {
			assert(half[w_seq] == f + 1);
			assert(!acc[f] || cell == f + 1);
			acc[f] = false
		};
		owner[f] = KERNEL
	:: else
	fi;
	sk[f] = false
}

inline detach(f, give_back)
{
	lock(sk[f]);
	if
	:: attached[f] && owner[f] == KERNEL ->
		atomic {
			!mutex -> attached[f] = false;
			assert(s_flow == f + 1);
			s_flow = 0;
			if
			:: give_back -> rings = false
			:: else
			fi
		}
	:: else
	fi;
	sk[f] = false
}

/* onload_flow_because() */
inline because(f, reason)
{
	if
	:: why[f] != UNMAP -> why[f] = reason
	:: else
	fi
}

/* onload_lease(): ok, or busy if another flow has the slot */
inline take_lease(f)
{
	if
	:: hashed ->
		lock(sk[f]);
		if
		:: closed[f] || owner[f] != KERNEL -> goto refused
		:: else
		fi;
		if
		:: !attached[f] ->
			lock(mutex);
			if
			:: ctx_dead || s_flow ->
				busy = s_flow && !ctx_dead;
				mutex = false;
				goto refused
			:: else ->
				rings = true;
				s_flow = f + 1;
				attached[f] = true;
				why[f] = NONE;
				mutex = false
			fi
		:: else
		fi;
		/* onload_ctx_hold() */
#ifndef BUG_DEAD_UNSEEN
		lock(mutex);
		if
		:: ctx_dead -> mutex = false; goto refused
		:: else
		fi;
#endif
		owner[f] = LEASED;
		atomic {
			gens++;
			gen[f] = gens;
#ifndef BUG_WHY_LOST
			because(f, NONE);
#else
			why[f] = NONE;
#endif
			half[0] = f + 1
		};
		atomic { w_gen = gen[f]; w_user = true; w_seq = 0 };
#ifndef BUG_DEAD_UNSEEN
		mutex = false;
#endif
		ok = true;
refused:
		sk[f] = false
	:: else
	fi
}

inline ep_free(f)
{
	if
	:: has[f] -> has[f] = false; pool = true
	:: else
	fi;
	lease[f] = 0;
	lk[f] = false
}

proctype user(byte f)
{
	byte g, n;
	bool q, ok, busy;

	do
	:: n < 2 ->
		n++;
		U(if
		  :: !fds[f] || lk[f] -> goto next
		  :: fds[f] && !lk[f] -> lk[f] = true
		  fi);
		if
		:: !lease[f] ->
			U(if
			  :: has[f]
			  :: !has[f] && pool -> pool = false; has[f] = true
			  :: !has[f] && !pool -> goto leave
			  fi);
			take_lease(f);
			U(if
			  :: ok -> lease[f] = gen[f]; ok = false
			  :: else ->
				/* Lost track of it: it leaks until exit. */
				if
				:: busy -> has[f] = false; busy = false
				:: else
				fi;
				goto leave
			  fi)
		:: else
		fi;
		U(g = w_gen; q = w_seq;
		  if
		  :: g == lease[f] && w_user
		  :: else -> lease[f] = 0; goto leave
		  fi);
		U(assert(rings); cell = f + 1);
		U(half[1 - q] = f + 1);
		U(if
		  :: w_gen == g && w_user && w_seq == q ->
			w_seq = 1 - q;
			assert(owner[f] != KERNEL && gen[f] == g);
			acc[f] = true
		  :: else -> lease[f] = 0
		  fi);
leave:
		U(g = 0; q = 0;
		  if
		  :: fds[f] -> lk[f] = false
		  :: else -> ep_free(f)
		  fi);
next:
		skip
	:: n == 2 -> break
	od
}

/* close() of flow 0, when another thread may be inside */
proctype closer()
{
	U(fds[0] = 0;
	  if
	  :: lk[0] ->
#ifdef BUG_FREE_AT_CLOSE
		if
		:: has[0] -> has[0] = false; pool = true
		:: else
		fi;
#endif
		goto shut
	  :: else -> lk[0] = true
	  fi);
	/* ONLOAD_DETACH, with the lock held for ever */
	if
	:: has[0] -> reclaim(0); detach(0, true)
	:: else
	fi;
	U(ep_free(0));
shut:
	/* onload_flow_release() */
	reclaim(0);
	closed[0] = true;
#ifdef BUG_RINGS_AT_RELEASE
	detach(0, true);
#else
	detach(0, false);
#endif
	run user(1)
}

inline queue(f, reason)
{
	because(f, reason);
	work[f] = true
}

proctype worker(byte f)
{
	mtype y;

end:	do
	:: atomic { work[f] -> work[f] = false };
		atomic { y = why[f]; why[f] = NONE };
		if
		:: y != NONE -> reclaim(f)
		:: else
		fi;
		if
		:: y == UNMAP && ctx_dead -> detach(f, true)
		:: else
		fi;
		y = 0
	od
}

/* It may fire, and need not: an idle flow has no deadline. */
proctype timer()
{
	if
	:: atomic { owner[0] == LEASED -> queue(0, TERM) }
	:: atomic { owner[1] == LEASED -> queue(1, TERM) }
	:: skip
	fi
}

init {
	atomic {
		run user(0);
		run closer();
		run worker(0);
		run worker(1);
		run timer()
	};
	if
	:: dead = true;	/* munmap(), exit: onload_ctx_die() */
		hashed = false;
		lock(mutex);
		ctx_dead = true;
		if
		:: s_flow -> atomic { queue(s_flow - 1, UNMAP) }
		:: else
		fi;
		mutex = false
	:: skip
	fi;
	timeout ->
	assert(!mutex && !sk[0] && !sk[1]);
	/* With the mapping every lease ends, and every flow leaves the slot. */
	assert(!dead || (owner[0] == KERNEL && owner[1] == KERNEL));
	assert(!dead || (!s_flow && !attached[0] && !attached[1]))
}
#endif

#ifdef WAKE

#ifndef BYTES
#define BYTES	2
#endif
#ifndef RECLAIMS
#define RECLAIMS 2
#endif
#define WAITER	0	/* in ONLOAD_WAIT, or in Linux's recvmsg */
#define POLLER	1	/* in poll */

mtype owner = LEASED;
bool sk;
bool fl;
byte gen = 1;
byte inside;
bool need_wake = true;
byte data;		/* bytes that have arrived: rx_data, or rcv_nxt */
byte rd;		/* bytes that were read */

/* In the flow's own queue, or the socket's; and whether taken off it since */
bool own;
bool queued[2];
bool woken[2];
bool asleep[2];

/* onload_wake_sleepers(), under the flow's lock */
inline wake_sleepers()
{
	if
	:: own -> own = false; woken[WAITER] = true
	:: else
	fi
}

/* sk_data_ready() */
inline wake()
{
	atomic {
		if
		:: queued[0] -> woken[0] = true
		:: else
		fi;
		if
		:: queued[1] -> woken[1] = true
		:: else
		fi
	}
}

inline sleep(i)
{
	atomic { asleep[i] = true };
	atomic { woken[i] -> woken[i] = false; asleep[i] = false }
}

inline reclaim()
{
	lock(sk);
	if
	:: owner == LEASED ->
		atomic { !fl -> owner = FROZEN };
		atomic { !fl -> owner = KERNEL };
		sk = false;
#ifndef BUG_RECLAIM_SILENT
		wake();
		atomic { !fl -> wake_sleepers() }
#else
		skip
#endif
	:: else -> sk = false
	fi
}

/* Whether somebody is inside is looked at under the flow's lock. */
inline take_lease()
{
	lock(sk);
	atomic {
		!fl;
		if
		:: owner == KERNEL && !inside ->
			owner = LEASED; gen++; need_wake = true
		:: else
		fi;
		sk = false
	}
}

/* recv() that waits, of one byte: by the library as long as there is a lease */
proctype waiter()
{
	byte g, seen;
	bool over;

look:
	over = false;
	/* A transaction of the library */
	atomic {
		seen = data; g = gen;
		if
		:: rd == BYTES -> goto done
		:: owner == LEASED && rd < data -> rd++; goto done
		:: owner == LEASED && rd == data -> skip
		:: owner != LEASED -> goto plain
		fi
	};
	/* onload_wait_arm() */
	lock(fl);
	over = owner != LEASED || gen != g || data != seen;
#ifdef BUG_CHECK_FIRST
	fl = false;
	lock(fl);
#endif
	own = !over;
	fl = false;
	if
	:: over -> goto look
	:: else
	fi;
	sleep(WAITER);
	goto look;
plain:
	/* Linux's recvmsg. Without a lease one is asked for first, or not. */
	if
	:: take_lease(); goto look
	:: skip
	fi;
	inside = inside + COUNTED;
	if
	:: owner != KERNEL -> reclaim()
	:: else
	fi;
	queued[WAITER] = true;
	do
	:: atomic { !sk && rd < data -> assert(owner == KERNEL); rd++; break }
	:: atomic { !sk && rd == data && data < BYTES }; sleep(WAITER)
	:: rd == BYTES -> break
	od;
	queued[WAITER] = false;
	woken[WAITER] = false;
	inside = inside - COUNTED;
done:
	skip
}

/* poll() until readable, then a recv() that does not wait; of one byte, too,
 * so that neither reads what the other sleeps on
 */
proctype poller()
{
	bool ready;

	if
	:: take_lease()
	:: skip
	fi;
	queued[POLLER] = true;
again:
	/* onload_poll() */
	lock(fl);
	if
	:: owner == LEASED -> need_wake = true; ready = rd < data; fl = false
	:: owner == FROZEN -> ready = false; fl = false
	:: owner == KERNEL ->
		fl = false;
		ready = rd < data;
		if
		:: owner != KERNEL ->
			lock(fl);
			if
			:: owner == LEASED ->
				need_wake = true;
				ready = ready || rd < data
			:: else
			fi;
			fl = false
		:: else
		fi
	fi;
#ifdef BUG_CLEAR_LATE
	need_wake = false;
#endif
	if
	:: !ready && rd < BYTES -> sleep(POLLER); goto again
	:: else
	fi;
	queued[POLLER] = false;
	woken[POLLER] = false;
	/* By whichever path: what counts is that one gets the byte. */
	atomic {
		owner != FROZEN;
		if
		:: rd < data -> rd++
		:: else
		fi
	}
}

proctype gate()
{
	do
	:: data < BYTES ->
		lock(fl);
		/* The record; then, behind a barrier, who sleeps? */
		data++;
		if
		:: owner == LEASED -> atomic { wake_sleepers() }
		:: else
		fi;
		if
		:: owner == KERNEL || (owner == LEASED && need_wake) -> wake()
		:: else
		fi;
		fl = false
	:: data == BYTES -> break
	od
}

#ifdef BUG_SPIN_CLEARS
/* A thread that spins takes the flag down while others sleep. */
proctype spinner()
{
	need_wake = false
}
#endif

init {
	byte n;

	atomic {
		run waiter();
		run poller();
		run gate();
#ifdef BUG_SPIN_CLEARS
		run spinner()
#endif
	};
	do
	:: n < RECLAIMS -> n++; reclaim()
	:: break
	od;
	/* Nobody moves: nobody may sleep on what has arrived. */
	timeout ->
	assert(!sk && !fl && data == BYTES);
	assert(rd == BYTES || (!asleep[WAITER] && !asleep[POLLER]))
}
#endif

#ifdef END

/* The peer sends and the process commits for ever. */
#define RX	2
#define DRAIN_MAX 3
#define TRIES	2

mtype owner = LEASED;
bool fl;
bool waits;		/* for fl: spin locks are queued, hence fair */
bool w_seq;
bool w_user = true;
byte prod;		/* modulo 4 */
byte cons;
byte drained;
bool closed;

proctype library()
{
	do
	:: atomic { w_user -> w_seq = 1 - w_seq }
	:: !w_user -> break
	od
}

proctype gate()
{
	bool q, room;
	byte tries;

	do
	:: atomic { !fl && !waits -> fl = true };
		if
		:: owner == KERNEL -> fl = false; break
		:: else
		fi;
		room = (prod - cons) % 4 < RX;
		if
		:: !room && owner == LEASED ->
			/* onload_peek() */
			tries = TRIES;
			do
			:: tries > 0 ->
#ifndef BUG_PEEK_FOR_EVER
				tries--;
#endif
				q = w_seq;
				if
				:: q == w_seq -> break
				:: else
				fi
			:: tries == 0 -> break
			od
		:: else
		fi;
		if
		:: room && !closed -> prod = (prod + 1) % 4
		:: else
		fi;
		fl = false
	od
}

proctype reclaimer()
{
	waits = true;
	atomic { !fl -> fl = true; waits = false; owner = FROZEN };
	w_user = false;
	fl = false;
	do
	:: waits = true;
		atomic { !fl -> fl = true; waits = false };
		if
		:: cons == prod -> owner = KERNEL; fl = false; break
		:: else -> fl = false
		fi;
#ifndef BUG_DRAIN_FOR_EVER
		drained++;
		if
		:: drained == DRAIN_MAX -> closed = true
		:: else
		fi;
#endif
		cons = (cons + 1) % 4
	od
}

init {
	atomic {
		run library();
		run gate();
		run reclaimer()
	}
}

ltl ends { <> (owner == KERNEL) }
#endif
