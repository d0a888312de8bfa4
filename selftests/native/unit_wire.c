// SPDX-License-Identifier: LGPL-2.1-or-later
/* Wires by the library's own calls: the stand-in of twin.h is the kernel. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../userlib/onload.h"
#include "../../userlib/stats.h"
#include "unit_wire.h"

#define WALK	    (64u << 20) /* bytes in either direction */
#define WALK_THREAD (16u << 20)

/* Tests that ThreadSanitizer is not to run */
#define NOT_TSAN __attribute__((unused))

static int fds[2];
static uint8_t buf[CHUNK];

static int setup(void **state)
{
	(void)state;
	onload_set_spin(0);
	open_wire(fds);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_both(fds);
	return 0;
}

static void put(int end, uint64_t at, size_t n)
{
	assert_int_equal(send(fds[end], stream_at(0, at), n, MSG_DONTWAIT), n);
}

static void get(int end, uint64_t at, size_t n)
{
	assert_int_equal(recv(fds[end], buf, n, MSG_DONTWAIT), n);
	assert_memory_equal(buf, stream_at(0, at), n);
}

static void assert_empty(int end)
{
	errno = 0;
	assert_int_equal(recv(fds[end], buf, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Both awake: nothing is asked of anybody. */
static void needs_no_call(void **state)
{
	uint64_t calls = twin_calls();

	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		put(i % 2, i, 1 + i % 3000);
		get(!(i % 2), i, 1 + i % 3000);
		assert_empty(i % 2);
	}
	assert_int_equal(twin_calls(), calls);
}

static void *sleeper(void *arg)
{
	ssize_t n;

	for (int i = 0; i < 100; i++) {
		n = recv(fds[1], arg, 1, 0);
		if (n == 1)
			n = send(fds[1], arg, 1, 0);
		if (n != 1)
			return "failed";
	}
	return NULL;
}

/* A reader that sleeps costs one wait, and its writer one wake-up. */
static void wakes_who_sleeps(void **state)
{
	uint8_t byte = 0, echoed = 0;
	uint64_t waits, wakes;
	pthread_t thread;
	void *failed;

	(void)state;
	waits = ol_stats.waits;
	wakes = ol_stats.wakes;
	assert_int_equal(pthread_create(&thread, NULL, sleeper, &echoed), 0);
	for (byte = 0; byte < 100; byte++) {
		assert_int_equal(send(fds[0], &byte, 1, 0), 1);
		assert_int_equal(recv(fds[0], buf, 1, 0), 1);
		assert_int_equal(buf[0], byte);
	}
	pthread_join(thread, &failed);
	assert_null(failed);
	/* Who finds the message there already does not sleep. */
	assert_in_range(ol_stats.waits - waits, 1, 200);
	assert_in_range(ol_stats.wakes - wakes, 1, 201);
	assert_true(twin_wired(fds[0]));
}

/* A ring that is too short is made longer when it is empty, up to a limit. */
static void grows(void **state)
{
	static const size_t sizes[] = { 16384, 32768, 32768 };

	(void)state;
	/* Half of it at a time: no reason to */
	put(0, 0, 2048);
	put(0, 2048, 2048);
	assert_int_equal(send(fds[0], buf, 1, MSG_DONTWAIT), -1);
	get(1, 0, 4096);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send(fds[0], stream_at(0, 0), CHUNK,
				      MSG_DONTWAIT),
				 sizes[i]);
		errno = 0;
		assert_int_equal(send(fds[0], buf, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
		/* Some room is not enough: its size changes when empty. */
		get(1, 0, 100);
		put(0, sizes[i], 50);
		get(1, 100, sizes[i] - 50);
		assert_empty(1);
	}
	assert_true(twin_wired(fds[0]));
}

/* Positions have 32 bits. */
NOT_TSAN static void wraps_around(void **state)
{
	const size_t n = 4095;
	uint64_t pos;

	(void)state;
	for (pos = 0; pos < (4ull << 30) + (1u << 20); pos += n) {
		assert_int_equal(send(fds[0], stream_at(0, pos), n, 0), n);
		assert_int_equal(recv(fds[1], buf, n, 0), n);
		/* All of them in the neighbourhood of the end */
		assert_memory_equal(
			buf, stream_at(0, pos),
			(uint32_t)(pos + (1u << 20)) < 2u << 20 ? n : 16);
	}
	assert_true(twin_wired(fds[0]));
}

static void peek_is_what_recv_gets(void **state)
{
	uint8_t *ring = (uint8_t *)twin_head(fds[0]) + ONLOAD_WIRE_HEAD;

	(void)state;
	put(0, 0, 3000);
	assert_int_equal(recv(fds[1], buf, 2000, MSG_PEEK), 2000);
	assert_memory_equal(buf, stream_at(0, 0), 2000);
	/* A hostile sender thinks better of it. */
	memset(ring, 0xff, 1u << RING_SHIFT);
	get(1, 0, 1000);
	assert_int_equal(recv(fds[1], buf, 4000, MSG_PEEK), 2000);
	assert_memory_equal(buf, stream_at(0, 1000), 2000);
	get(1, 1000, 2000);
	assert_empty(1);
	pair_up(fds);
}

/* What the wire had, then what came by TCP */
static void reclaim_keeps_order(void **state)
{
	(void)state;
	for (int end = 0; end < 2; end++) {
		put(0, 0, 3000);
		get(1, 0, 10);
		assert_true(twin_reclaim(fds[end], ONLOAD_R_KEEPALIVE));
		assert_false(twin_wired(fds[!end]));
		put(0, 3000, 500);
		assert_int_equal(recv(fds[1], buf, 3490, MSG_WAITALL), 3490);
		assert_memory_equal(buf, stream_at(0, 10), 3490);
		assert_empty(1);
		pair_up(fds);
	}
}

static void close_leaves_bytes(void **state)
{
	int pair[2];

	(void)state;
	open_wire(pair);
	assert_int_equal(send(pair[0], stream_at(0, 0), 100, 0), 100);
	close(pair[0]);
	assert_int_equal(recv(pair[1], buf, 60, 0), 60);
	assert_int_equal(recv(pair[1], buf + 60, 60, 0), 40);
	assert_memory_equal(buf, stream_at(0, 0), 100);
	assert_int_equal(recv(pair[1], buf, 60, 0), 0);
	close(pair[1]);
}

static void poll_sees_both_edges(void **state)
{
	(void)state;
	assert_int_equal(twin_poll(fds[1], POLLIN, 0), 0);
	put(0, 0, 4096);
	assert_int_equal(twin_poll(fds[1], POLLIN, -1), POLLIN);
	assert_int_equal(twin_poll(fds[0], POLLOUT, 0), 0);
	/* Less than a third of it free is not enough for who polls. */
	get(1, 0, 1000);
	assert_int_equal(twin_poll(fds[0], POLLOUT, 0), 0);
	get(1, 1000, 1000);
	assert_int_equal(twin_poll(fds[0], POLLOUT, -1), POLLOUT);
}

static void *walk_thread(void *arg)
{
	walk(arg);
	return NULL;
}

static struct walker walkers[2];

static void prepare_walk(uint64_t total, uint32_t reclaims)
{
	for (int i = 0; i < 2; i++)
		walkers[i] = (struct walker){ .fd = fds[i],
					      .dir = i,
					      .seed = 7u + (uint32_t)i,
					      .total = total,
					      .reclaims = reclaims };
}

static void walk_two_threads(uint64_t total, uint32_t reclaims)
{
	uint64_t user = ol_stats.rx_user;
	uint64_t leases = ol_stats.leases;
	pthread_t thread;

	prepare_walk(total, reclaims);
	assert_int_equal(pthread_create(&thread, NULL, walk_thread, walkers),
			 0);
	walk(&walkers[1]);
	pthread_join(thread, NULL);
	for (int i = 0; i < 2; i++)
		if (walkers[i].failed)
			fail_msg("end %d, %llu sent, %llu received: %s", i,
				 (unsigned long long)walkers[i].sent,
				 (unsigned long long)walkers[i].received,
				 walkers[i].failed);
	/* It was wires that were tested, and more than one. */
	assert_in_range(ol_stats.rx_user - user, total / 4, 2 * total);
	if (reclaims)
		assert_in_range(ol_stats.leases - leases, 10, UINT32_MAX);
}

static void walks_in_threads(void **state)
{
	(void)state;
	walk_two_threads(WALK_THREAD, 0);
	onload_set_spin(20);
	walk_two_threads(WALK_THREAD, 4);
}

NOT_TSAN static void walks_in_processes(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	prepare_walk(WALK, 2);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(fds[0]);
		walk(&walkers[1]);
		if (walkers[1].failed)
			print_error("child: %s\n", walkers[1].failed);
		close(fds[1]);
		_exit(walkers[1].failed != NULL);
	}
	walk(&walkers[0]);
	if (walkers[0].failed)
		print_error("parent: %s\n", walkers[0].failed);
	assert_null(walkers[0].failed);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define SENDERS	 2
#define MESSAGES 20000u

static void *send_numbers(void *arg)
{
	uint32_t message[2] = { (uint32_t)(uintptr_t)arg, 0 };

	for (; message[1] < MESSAGES; message[1]++)
		if (send(fds[0], message, sizeof(message), 0) !=
		    sizeof(message))
			return "failed";
	return NULL;
}

/* Threads that send at a time do not mix their messages or lose one. */
static void shared_by_threads(void **state)
{
	uint32_t next[SENDERS] = { 0 };
	pthread_t threads[SENDERS];
	uint32_t message[2];
	void *failed;

	(void)state;
	for (uintptr_t i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, send_numbers,
						(void *)i),
				 0);
	for (uint32_t i = 0; i < SENDERS * MESSAGES; i++) {
		assert_int_equal(recv(fds[1], message, sizeof(message),
				      MSG_WAITALL),
				 sizeof(message));
		assert_in_range(message[0], 0, SENDERS - 1);
		assert_int_equal(message[1], next[message[0]]++);
	}
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static int group_setup(void **state)
{
	ol_stats_on = true;
	return make_twin(state);
}

/* Its counters are not for the log. */
static int group_teardown(void **state)
{
	(void)state;
	ol_stats_on = false;
	return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(needs_no_call),
		T(wakes_who_sleeps),
		T(grows),
		T(peek_is_what_recv_gets),
		T(reclaim_keeps_order),
		T(close_leaves_bytes),
		T(poll_sees_both_edges),
		T(walks_in_threads),
		T(shared_by_threads),
#ifndef __SANITIZE_THREAD__
		/* For ThreadSanitizer too long, and of two processes */
		T(wraps_around),
		T(walks_in_processes),
#endif
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
