// SPDX-License-Identifier: GPL-2.0
/*
 * fault [CHECK]: takes away, in call after call of the module, each single
 * thing that it asks the kernel for: first the first one, then the second,
 * until a call asks for no more.
 *
 * What a failure may do: refuse a lease, fail the call with an errno that
 * says so. What it may not: take a byte from a stream, or outlast itself.
 *
 * fault load MODULE: the same with the loading of the module.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi.h"
#include "fault.h"
#include "net.h"

static const char *module_path;

static unsigned int one_socket(unsigned int n, int protocol)
{
	unsigned int left;
	int fd;

	left = UNDER_FAULT(n, fd, socket(AF_ONLOAD, SOCK_STREAM, protocol));
	if (fd >= 0)
		close(fd);
	return left;
}

static unsigned int one_socket4(unsigned int n)
{
	return one_socket(n, 0);
}

static unsigned int one_socket6(unsigned int n)
{
	return one_socket(n, ONLOADPROTO_TCP6);
}

static void sockets(void)
{
	fault_sweep(one_socket4);
	fault_sweep(one_socket6);
}

/* A context that could not be had, or not be told of, is none. */
static unsigned int one_context(unsigned int n)
{
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 1024 };
	int fd = net_client_socket();
	unsigned int left;
	int next, ret;

	/* Opens what it needs before we ask which number comes next. */
	fault_disarm();
	next = dup(fd);
	close(next);
	left = UNDER_FAULT(n, ret,
			   abi_get(fd, ONLOAD_CONTEXT, &ctx, sizeof(ctx)));
	/* Made, but the number could not be copied out */
	close(next);
	close(fd);
	return left;
}

static void contexts(void)
{
	fault_sweep(one_context);
}

static unsigned int one_mapping(unsigned int n)
{
	struct onload_context ctx = { .abi = ONLOAD_ABI, .nslots = 4 };
	int fd = net_client_socket();
	void *map = MAP_FAILED;
	unsigned int left;
	int ret;

	EXPECT(!abi_get(fd, ONLOAD_CONTEXT, &ctx, sizeof(ctx)));
	left = UNDER_FAULT(n, ret,
			   (map = mmap(NULL, ctx.map_size,
				       PROT_READ | PROT_WRITE, MAP_SHARED,
				       ctx.fd, 0)) == MAP_FAILED
				   ? -1
				   : 0);
	if (!ret)
		EXPECT(!munmap(map, ctx.map_size));
	close(ctx.fd);
	close(fd);
	return left;
}

static void mappings(void)
{
	fault_sweep(one_mapping);
}

/* How often the module was told of a new namespace: fault.sh has set a probe. */
static unsigned long announced(void)
{
	FILE *f = fopen("/sys/kernel/tracing/kprobe_profile", "r");
	unsigned long hits = 0, misses;
	char name[64];

	if (!f)
		check_skip("a kernel without probes");
	EXPECT_EQ(fscanf(f, "%63s %lu %lu", name, &hits, &misses), 3);
	fclose(f);
	return hits;
}

static int namespace(void *arg)
{
	unsigned long before = announced();
	struct fault_run *run = arg;
	int ret;

	run->left = UNDER_FAULT(run->n, ret, unshare(CLONE_NEWNET));
	run->reached = FAULT_UNKNOWN;
	if (ret) {
		run->reached = announced() > before ? FAULT_BEYOND
						    : FAULT_BEFORE;
		EXPECT(access("/proc/self/net/dev", R_OK) == 0);
		EXPECT(!unshare(CLONE_NEWNET));
	}
	EXPECT(access("/proc/sys/net/onload", R_OK) == 0);
	return CHECK_PASS;
}

static unsigned int one_namespace(unsigned int n)
{
	return fault_apart(namespace, n)->left;
}

static enum fault_reached namespace_reached(unsigned int n)
{
	return fault_apart(namespace, n)->reached;
}

static void namespaces(void)
{
	fault_sweep_within(one_namespace, "onload_net_init", namespace_reached);
}

/* Loaded, and then all of it; or not, and then with nothing left behind that
 * is in the way of the next attempt.
 */
static unsigned int one_load(unsigned int n)
{
	int fd = open(module_path, O_RDONLY | O_CLOEXEC);
	unsigned int left;
	int ret, sock;

	EXPECT(fd >= 0);
	left = UNDER_FAULT(n, ret, syscall(SYS_finit_module, fd, "", 0));
	close(fd);
	EXPECT_EQ(access("/proc/sys/net/onload", F_OK), ret);
	if (ret)
		return left;
	for (int protocol = 0; protocol <= ONLOADPROTO_TCP6;
	     protocol += ONLOADPROTO_TCP6) {
		sock = socket(AF_ONLOAD, SOCK_STREAM, protocol);
		EXPECT(sock >= 0);
		close(sock);
	}
	EXPECT(!syscall(SYS_delete_module, "af_onload", O_NONBLOCK));
	return left;
}

/* What comes before is for the loader's own needs. */
static void loads(void)
{
	EXPECT(access("/proc/sys/net/onload", F_OK));
	fault_sweep_back(one_load, "onload_init");
}

#define CHECK(name, run)       \
	{                      \
		name, run, 150 \
	}
static const struct check checks[] = {
	CHECK("sockets", sockets),
	CHECK("contexts", contexts),
	CHECK("mappings", mappings),
	CHECK("first_leases", fault_first_leases),
	CHECK("kicks", fault_kicks),
	CHECK("reclaims", fault_reclaims),
	CHECK("closes", fault_closes),
	CHECK("retirements", fault_retirements),
	CHECK("dumps", fault_dumps),
	CHECK("totals", fault_totals),
	{ "namespaces", namespaces, 400 },
	/* Last, as it shortens the term of leases */
	CHECK("watches", fault_watches),
};

int main(int argc, char **argv)
{
	net_family_onload = true;
	if (argc == 3 && !strcmp(argv[1], "load")) {
		module_path = argv[2];
		return check_one("loads", loads, 1200);
	}
	return check_all(checks, sizeof(checks) / sizeof(*checks),
			 argc > 1 ? argv[1] : NULL);
}
