// SPDX-License-Identifier: GPL-2.0
/* linked VERSION: a program that is linked with libonload, whose version begins so. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <onload.h>

int main(int argc, char **argv)
{
	if (argc != 2 || strncmp(onload_version(), argv[1], strlen(argv[1]))) {
		printf("the library is %s\n", onload_version());
		return 1;
	}
	return onload_is_accelerated(STDIN_FILENO) != -1;
}
