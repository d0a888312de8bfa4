/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Text or JSON from the same calls, so that neither can forget what the
 * other shows. A value's fmt is its text; NULL leaves it out of the text. A
 * NULL key is an element of an array. out_text() is the text's alone.
 */
#ifndef ONLOAD_TOOLS_OUT_H
#define ONLOAD_TOOLS_OUT_H

#include <stdbool.h>
#include <stdio.h>

struct out {
	FILE *file;
	bool json;
	bool pretty;
	bool some; /* the open object or array has an element */
	int depth;
};

void out_begin(struct out *o, const char *key, char bracket);
void out_end(struct out *o, char bracket);

void out_str(struct out *o, const char *key, const char *fmt, const char *val);
void out_u64(struct out *o, const char *key, const char *fmt,
	     unsigned long long val);
void out_f64(struct out *o, const char *key, const char *fmt, double val);

void out_text(struct out *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The last newline, and whether everything could be written. */
bool out_finish(struct out *o);

#endif
