// SPDX-License-Identifier: GPL-2.0
/*
 * api inet|onload [4|6 [NAME]]: the socket API, the same checks on a plain
 * socket and on one of ours. A check that fails on inet is a wrong check.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "net.h"

int main(int argc, char **argv)
{
	size_t n = api_data_count + api_option_count + api_process_count +
		   api_signal_count + api_wait_count;
	struct check *all = calloc(n, sizeof(*all)), *c = all;

	if (!all || argc < 2 ||
	    (strcmp(argv[1], "inet") && strcmp(argv[1], "onload"))) {
		fprintf(stderr, "usage: api inet|onload [4|6 [NAME]]\n");
		return CHECK_FAIL;
	}
	net_family_onload = !strcmp(argv[1], "onload");
	net_ipv6 = argc > 2 && !strcmp(argv[2], "6");
#define ADD(table)                                                         \
	c = (struct check *)memcpy(c, table, table##_count * sizeof(*c)) + \
	    table##_count
	ADD(api_wait);
	ADD(api_data);
	ADD(api_option);
	ADD(api_process);
	ADD(api_signal);
#undef ADD
	n = check_all(all, n, argc > 3 ? argv[3] : NULL);
	free(all);
	return (int)n;
}
