// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"
#include "real.h"
#include "stats.h"

struct ol_stats ol_stats;
bool ol_stats_on;
bool ol_verbose;

static uint64_t noted;

static_assert(ONLOAD_R_MAX <= 64, "reasons fit the bitmap");

static const char *const words[] = {
#define X(name, word, text) word,
	ONLOAD_REASONS(X)
#undef X
};

static const char *const texts[] = {
#define X(name, word, text) text,
	ONLOAD_REASONS(X)
#undef X
};

static bool wanted(const char *name)
{
	const char *v = secure_getenv(name);

	return v && *v && strcmp(v, "0");
}

__attribute__((constructor)) static void read_environment(void)
{
	ol_stats_on = wanted("ONLOAD_STATS");
	ol_verbose = wanted("ONLOAD_VERBOSE");
}

void ol_stats_reset(void)
{
	memset(&ol_stats, 0, sizeof(ol_stats));
}

const char *ol_reason_text(uint32_t reason)
{
	return reason < ONLOAD_R_MAX ? texts[reason] : "unknown reason";
}

/* The application's own stderr may be anything by now: best effort. */
static void say(const char *line, int n)
{
	if (n > 0 && OL_REAL(write)(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

/* Once for each reason; no stdio stream, for signal handlers' sake. */
void ol_note_refused(int fd, uint32_t reason)
{
	char line[128];

	if (!ol_verbose || reason >= ONLOAD_R_MAX)
		return;
	if (ol_or(&noted, 1ull << reason) & 1ull << reason)
		return;
	say(line,
	    snprintf(line, sizeof(line), "onload: fd %d: not leased: %s\n", fd,
		     ol_reason_text(reason)));
}

void ol_note(const char *text)
{
	char line[128];

	if (ol_verbose)
		say(line, snprintf(line, sizeof(line), "onload: %s\n", text));
}

static void print_reasons(const char *what, const uint64_t *count)
{
	for (unsigned int i = 0; i < ONLOAD_R_MAX; i++)
		if (count[i])
			fprintf(stderr, "onload: %12llu %s: %s\n",
				(unsigned long long)count[i], what, words[i]);
}

__attribute__((destructor)) static void print_stats(void)
{
	/* A child that has made no socket inherits its parent's numbers. */
	if (!ol_stats_on || !ol_page || !ol_alive())
		return;
	if (!ol_stats.sockets)
		return;
#define X(name, text)                                \
	fprintf(stderr, "onload: %12llu " text "\n", \
		(unsigned long long)ol_stats.name);
	OL_STATS(X)
#undef X
	print_reasons("refused", ol_stats.refused);
	print_reasons("taken back", ol_stats.lost_by);
	print_reasons("handed back", ol_stats.handed_back);
}
