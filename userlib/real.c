// SPDX-License-Identifier: LGPL-2.1-or-later
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "real.h"

struct ol_real ol_real;

static const struct {
	const char *name;
	size_t at;
} calls[] = {
#define X(name) { #name, offsetof(struct ol_real, name) },
	OL_REAL_CALLS(X)
#undef X
};

__attribute__((constructor)) void ol_real_init(void)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		void *f = dlsym(RTLD_NEXT, calls[i].name);

		/* POSIX lets an object pointer from dlsym() be a function's. */
		memcpy((char *)&ol_real + calls[i].at, &f, sizeof(f));
	}
}
