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

#endif
