// SPDX-License-Identifier: GPL-2.0
/*
 * wires N [KILOBYTES]: so many connections on wires at once, both ends in this
 * process, each of which carries what was meant for it; and what the kernel
 * keeps for them, in kilobytes a wire, is no more than that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "net.h"

#define MESSAGE 2000

static int count = 100;
static long limit = 64;
static struct pair *pairs;

/* Neither free, nor in the use of files, nor anonymous */
static long used(void)
{
	static const char *const less[] = { "\nMemFree:", "\nBuffers:",
					    "\nCached:", "\nAnonPages:" };
	char text[4096], *at;
	FILE *f = fopen("/proc/meminfo", "r");
	long all;
	size_t n;

	EXPECT(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	all = strtol(text + strlen("MemTotal:"), NULL, 10);
	for (size_t i = 0; i < sizeof(less) / sizeof(*less); i++) {
		at = strstr(text, less[i]);
		EXPECT(at);
		all -= strtol(at + strlen(less[i]), NULL, 10);
	}
	return all;
}

static void open_all(void)
{
	struct rlimit files = { 2 * count + 64, 2 * count + 64 };

	EXPECT(!setrlimit(RLIMIT_NOFILE, &files));
	pairs = calloc(count, sizeof(*pairs));
	EXPECT(pairs);
	for (int i = 0; i < count; i++)
		pairs[i] = net_pair();
}

static void wire_all(void)
{
	for (int i = 0; i < count; i++) {
		uint64_t end = net_ms() + 5000;

		while (!net_wired(pairs[i].c) || !net_wired(pairs[i].s)) {
			net_exchange(pairs[i].c, pairs[i].s);
			EXPECT(net_ms() < end);
		}
	}
}

static void carry_all(void)
{
	char out[MESSAGE], in[MESSAGE];

	for (int i = 0; i < count; i++) {
		EXPECT(net_wired(pairs[i].c) && net_wired(pairs[i].s));
		memset(out, i, sizeof(out));
		memcpy(out, &i, sizeof(i));
		net_send(pairs[i].c, out, sizeof(out));
		net_send(pairs[i].s, out, sizeof(out) / 2);
	}
	for (int i = 0; i < count; i++) {
		memset(out, i, sizeof(out));
		memcpy(out, &i, sizeof(i));
		net_recv(pairs[i].s, in, sizeof(in));
		EXPECT(!memcmp(in, out, sizeof(in)));
		net_recv(pairs[i].c, in, sizeof(in) / 2);
		EXPECT(!memcmp(in, out, sizeof(in) / 2));
	}
}

static void at_once(void)
{
	long before, after;

	open_all();
	before = used();
	wire_all();
	carry_all();
	after = used();
	check_note("%ld KB a wire", (after - before) / count);
	EXPECT((after - before) / count <= limit);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		count = atoi(argv[1]);
	if (argc > 2)
		limit = atol(argv[2]);
	return check_one("so many at once", at_once, 280);
}
