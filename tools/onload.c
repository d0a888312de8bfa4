// SPDX-License-Identifier: GPL-2.0
/*
 * onload CMD...: run a program with libonload.so preloaded. Ends in exec, so
 * the program has the process, its parent and its signals to itself.
 */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf.h"

#define SYSCTLS "/proc/sys/net/onload"

/* As env(1) and nohup(1) have them. */
enum {
	EXIT_OWN = 125,
	EXIT_NOEXEC = 126,
	EXIT_NOENT = 127,
};

static const char usage[] =
	"usage: onload [-v] [--stats] [--] COMMAND [ARG...]\n"
	"       onload show [-j] [-p] [-n NETNS]\n"
	"       onload --help | --version\n"
	"\n"
	"Run COMMAND with its TCP sockets accelerated, or show the sockets.\n"
	"  -v, --verbose  say on stderr why a socket is not accelerated\n"
	"      --stats    print counters on stderr when COMMAND ends\n";

static void die(const char *what, const char *why)
{
	fprintf(stderr, "onload: %s: %s\n", what, why);
	exit(EXIT_OWN);
}

static void set(const char *name, const char *value)
{
	if (setenv(name, value, 1))
		die(name, strerror(errno));
}

/* The directory of this program, in which the other tools are too. */
static const char *own_dir(void)
{
	static char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (len < 0)
		die("/proc/self/exe", strerror(errno));
	path[len] = '\0';
	return dirname(path);
}

/* The library of the tree that this program was built in, or the installed. */
static char *library(void)
{
	char *tree, *lib;

	if (asprintf(&tree, "%s/../userlib/libonload.so", own_dir()) < 0)
		die("libonload.so", strerror(errno));
	lib = realpath(tree, NULL);
	free(tree);
	if (!lib && !access(LIBDIR "/libonload.so", R_OK))
		lib = strdup(LIBDIR "/libonload.so");
	if (!lib)
		die(LIBDIR "/libonload.so", strerror(errno));
	if (strpbrk(lib, ": \t"))
		die(lib, "LD_PRELOAD cannot hold a blank or a colon");
	return lib;
}

/* Appended: what the user preloads (a malloc, a tracer) stays in front. */
static void preload(void)
{
	const char *old = getenv("LD_PRELOAD");
	char *lib = library(), *all;

	if (!old || !*old) {
		set("LD_PRELOAD", lib);
	} else if (!strstr(old, lib)) {
		if (asprintf(&all, "%s:%s", old, lib) < 0)
			die("LD_PRELOAD", strerror(errno));
		set("LD_PRELOAD", all);
		free(all);
	}
	free(lib);
}

/* Where execvp() would find @name, or NULL. */
static char *find(const char *name)
{
	const char *path = getenv("PATH"), *end;

	if (strchr(name, '/'))
		return strdup(name);
	for (; path; path = *end ? end + 1 : NULL) {
		char *file;
		int dir;

		end = strchrnul(path, ':');
		dir = end - path;
		if (asprintf(&file, "%.*s%s%s", dir, path, dir ? "/" : "",
			     name) < 0)
			return NULL;
		if (!access(file, X_OK))
			return file;
		free(file);
	}
	return NULL;
}

/* What can be foreseen; the library itself tells the rest. */
static void foresee(const char *name)
{
	char *file = find(name);
	const char *why = file ? elf_no_preload(file) : NULL;

	if (why)
		fprintf(stderr, "onload: %s is not accelerated: %s\n", file,
			why);
	/* A socket of the family loads it, if the system has it at all. */
	if (access(SYSCTLS, F_OK) && errno == ENOENT)
		fprintf(stderr, "onload: the module af_onload is not loaded: "
				"sockets may be plain\n");
	free(file);
}

static int show(char **argv)
{
	char *tool;

	if (asprintf(&tool, "%s/onload-show", own_dir()) < 0)
		die("onload-show", strerror(errno));
	execv(tool, argv);
	die(tool, strerror(errno));
	return EXIT_OWN;
}

int main(int argc, char **argv)
{
	enum { STATS = 256, VERSION_OPT };
	static const struct option options[] = {
		{ "verbose", no_argument, NULL, 'v' },
		{ "stats", no_argument, NULL, STATS },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, VERSION_OPT },
		{}
	};
	bool verbose = false, dashes;
	int opt, err;

	while ((opt = getopt_long(argc, argv, "+vh", options, NULL)) != -1) {
		switch (opt) {
		case 'v':
			verbose = true;
			set("ONLOAD_VERBOSE", "1");
			break;
		case STATS:
			set("ONLOAD_STATS", "1");
			break;
		case VERSION_OPT:
			puts("onload " VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return EXIT_OWN;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_OWN;
	}
	dashes = optind > 1 && !strcmp(argv[optind - 1], "--");
	argv += optind;
	if (!dashes && !strcmp(argv[0], "show"))
		return show(argv);

	preload();
	if (verbose)
		foresee(argv[0]);
	execvp(argv[0], argv);
	err = errno;
	fprintf(stderr, "onload: %s: %s\n", argv[0], strerror(err));
	return err == ENOENT ? EXIT_NOENT : EXIT_NOEXEC;
}
