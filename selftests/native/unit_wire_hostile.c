// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The other end of a wire says what it likes. Its victim's connection may be
 * reset, but no byte is read or written outside the ring and the buffer:
 * buffers are allocated to measure, rings lie before pages without access.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit_wire.h"

#define HOSTILE 0
#define VICTIM	1
#define ROUNDS	300
#define STEPS	200
#define SIZE	3000

static int fds[2];
static int innocent[2];

/* Its bytes arrive whatever happens to others. */
static void assert_innocent(void)
{
	static uint64_t pos;
	uint8_t buf[SIZE];

	assert_int_equal(send(innocent[0], stream_at(0, pos), SIZE, 0), SIZE);
	assert_int_equal(recv(innocent[1], buf, SIZE, MSG_WAITALL), SIZE);
	assert_memory_equal(buf, stream_at(0, pos), SIZE);
	assert_true(twin_wired(innocent[0]));
	pos += SIZE;
}

static bool usual(int error)
{
	return error == EAGAIN || error == ECONNRESET || error == EPIPE;
}

/* False: the connection is over. */
static bool survive_recv(size_t len, int flags)
{
	uint8_t *buf = malloc(len);
	ssize_t n = recv(fds[VICTIM], buf, len, flags | MSG_DONTWAIT);
	int error = errno;

	free(buf);
	assert_true(n <= (ssize_t)len);
	assert_true(n >= 0 || usual(error));
	return n > 0 || (n < 0 && error == EAGAIN);
}

static bool survive_send(size_t len)
{
	uint8_t *buf = calloc(1, len);
	ssize_t n = send(fds[VICTIM], buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	int error = errno;

	free(buf);
	assert_true(n <= (ssize_t)len);
	assert_true(n > 0 || usual(error));
	return n > 0 || error == EAGAIN;
}

static const struct {
	uint64_t flip; /* of the word */
	uint64_t add;
} lies[] = {
	{ 0, 1 },
	{ 0, -1ull },
	{ 0, 1u << RING_SHIFT },
	{ 0, (1u << RING_SHIFT) + 1 },
	{ 0, 1u << RING_MAX_SHIFT },
	{ 0, 1u << 31 },
	{ 1ull << 32, 0 },	     /* another size */
	{ 3ull << 32, 0 },	     /* the longest */
	{ 0x7full << 32, 0 },	     /* beyond all bounds */
	{ 0x7full << 32, 1u << 31 }, /* ditto */
	{ ONLOAD_X_USER, 0 },	     /* as if it had been taken back */
	{ 1ull << 40, 0 },	     /* another lease */
	{ ~0ull, 0 },
};

static void lie(uint64_t *word, size_t i)
{
	__atomic_store_n(word,
			 (__atomic_load_n(word, __ATOMIC_RELAXED) ^
			  lies[i].flip) +
				 lies[i].add,
			 __ATOMIC_RELEASE);
}

/* Each lie in each word, before bytes are read and while some are left */
static void outlives_lies(void **state)
{
	const size_t n = sizeof(lies) / sizeof(lies[0]);

	(void)state;
	for (size_t i = 0; i < 4 * n; i++) {
		struct onload_wire_head *head;

		open_wire(fds);
		head = twin_head(fds[HOSTILE]);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(send(fds[k], stream_at(0, 0), SIZE, 0),
					 SIZE);
			if (i & 1)
				assert_true(survive_recv(SIZE / 2, 0));
		}
		lie(i & 2 ? (uint64_t *)&head->rx : (uint64_t *)&head->tx,
		    i / 4);
		for (int k = 0; k < 4; k++) {
			survive_recv(100, 0);
			survive_send(SIZE);
			survive_recv(2u << RING_MAX_SHIFT, 0);
			survive_send(2u << RING_MAX_SHIFT);
		}
		survive_recv(SIZE, MSG_PEEK);
		twin_poll(fds[VICTIM], POLLIN | POLLOUT, 0);
		twin_reclaim(fds[VICTIM], ONLOAD_R_KEEPALIVE);
		survive_recv(SIZE, 0);
		close_both(fds);
		assert_innocent();
	}
}

/* More than there can be is nonsense, and nonsense ends the connection. */
static void nonsense_resets(void **state)
{
	(void)state;
	open_wire(fds);
	lie((uint64_t *)&twin_head(fds[HOSTILE])->tx, 5);
	assert_false(survive_recv(SIZE, 0));
	assert_int_equal(errno, ECONNRESET);
	close_both(fds);

	/* Room that never was: to be seen when the ring seems full */
	open_wire(fds);
	lie((uint64_t *)&twin_head(fds[HOSTILE])->rx, 5);
	while (survive_send(SIZE))
		;
	assert_int_equal(errno, ECONNRESET);
	close_both(fds);
}

static uint32_t stop;

static void *scribble(void *arg)
{
	struct onload_wire_head *head = arg;
	uint64_t *words[] = { (uint64_t *)&head->tx, (uint64_t *)&head->rx };
	uint8_t *ring = (uint8_t *)head + ONLOAD_WIRE_HEAD;
	uint32_t x = 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		x = x * 1664525u + 1013904223u;
		if (!(x >> 30))
			lie(words[x >> 8 & 1],
			    (x >> 9) % (sizeof(lies) / sizeof(lies[0])));
		__atomic_store_n(&ring[x >> 16 & 4095], (uint8_t)(x >> 8),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&head->wake, x >> 8 & 7, __ATOMIC_RELAXED);
		__atomic_store_n(&head->polled, x >> 12 & 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void outlives_storm(void **state)
{
	pthread_t thread;

	(void)state;
	for (size_t i = 0; i < ROUNDS; i++) {
		open_wire(fds);
		__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
		assert_int_equal(pthread_create(&thread, NULL, scribble,
						twin_head(fds[HOSTILE])),
				 0);
		for (size_t k = 0; k < STEPS; k++)
			if (!survive_recv(1 + k * 50, k % 16 ? 0 : MSG_PEEK) ||
			    !survive_send(1 + k * 50))
				break;
		__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		close_both(fds);
		if (!(i % 16))
			assert_innocent();
	}
}

static int group_setup(void **state)
{
	if (make_twin(state))
		return -1;
	open_wire(innocent);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outlives_lies),
		cmocka_unit_test(nonsense_resets),
		cmocka_unit_test(outlives_storm),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
