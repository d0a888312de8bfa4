/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_TOOLS_REASON_H
#define ONLOAD_TOOLS_REASON_H

#include <linux/onload.h>

/* A newer module may know reasons that this tool does not. */
static inline const char *reason_word(unsigned int reason)
{
	static const char *const words[] = {
#define X(name, word, text) word,
		ONLOAD_REASONS(X)
#undef X
	};

	return reason < ONLOAD_R_MAX ? words[reason] : "unknown";
}

/* Ditto, why it is not on a wire */
static inline const char *wire_word(unsigned int why)
{
	static const char *const words[] = {
#define X(name, word, text) word,
		ONLOAD_WIRES(X)
#undef X
	};

	return why < ONLOAD_X_MAX ? words[why] : "unknown";
}

static inline const char *path_word(unsigned int path)
{
	static const char *const words[] = {
		[ONLOAD_PATH_KERNEL] = "kernel",
		[ONLOAD_PATH_VI] = "leased",
		[ONLOAD_PATH_WIRE] = "wire",
	};

	return path < sizeof(words) / sizeof(*words) ? words[path] : "unknown";
}

#endif
