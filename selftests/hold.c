// SPDX-License-Identifier: GPL-2.0
/*
 * hold inet|onload: a connection, both ends leased if this runs under the
 * library. Says "held" when it is up; at each line of input exchanges bytes on
 * it and says "works"; ends with its input.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "net.h"

int main(int argc, char **argv)
{
	struct pair p;
	char line[16];

	net_family_onload = argc > 1 && !strcmp(argv[1], "onload");
	setvbuf(stdout, NULL, _IOLBF, 0);
	p = net_warm_pair();
	puts("held");
	while (fgets(line, sizeof(line), stdin)) {
		net_exchange(p.c, p.s);
		puts("works");
	}
	return CHECK_PASS;
}
