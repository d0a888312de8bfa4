/* SPDX-License-Identifier: GPL-2.0 */
/* The module's numbers in words. A newer one may know more than these tools. */
#ifndef ONLOAD_TOOLS_REASON_H
#define ONLOAD_TOOLS_REASON_H

#include <stddef.h>

#include <linux/onload.h>

static inline const char *word_of(const char *const *words, size_t n,
				  unsigned int i)
{
	return i < n && words[i] ? words[i] : "unknown";
}

#define X(name, word, text) word,

static inline const char *reason_word(unsigned int reason)
{
	static const char *const words[] = { ONLOAD_REASONS(X) };

	return word_of(words, ONLOAD_R_MAX, reason);
}

/* Why a socket is not on a wire */
static inline const char *wire_word(unsigned int why)
{
	static const char *const words[] = { ONLOAD_WIRES(X) };

	return word_of(words, ONLOAD_X_MAX, why);
}

#undef X

static inline const char *path_word(unsigned int path)
{
	static const char *const words[] = {
		[ONLOAD_PATH_KERNEL] = "kernel",
		[ONLOAD_PATH_VI] = "leased",
		[ONLOAD_PATH_WIRE] = "wire",
	};

	return word_of(words, sizeof(words) / sizeof(*words), path);
}

#endif
