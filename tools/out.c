// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>

#include "out.h"

static void indent(struct out *o)
{
	if (!o->pretty)
		return;
	fputc('\n', o->file);
	for (int i = 0; i < o->depth; i++)
		fputs("  ", o->file);
}

static void quote(struct out *o, const char *s)
{
	fputc('"', o->file);
	for (; *s; s++) {
		unsigned char c = *s;

		if (c == '"' || c == '\\')
			fprintf(o->file, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			/* A process may call itself any bytes: Latin-1. */
			fprintf(o->file, "\\u%04x", c);
		else
			fputc(c, o->file);
	}
	fputc('"', o->file);
}

static void element(struct out *o, const char *key)
{
	if (o->some)
		fputc(',', o->file);
	if (o->depth)
		indent(o);
	o->some = true;
	if (key) {
		quote(o, key);
		fputs(o->pretty ? ": " : ":", o->file);
	}
}

void out_begin(struct out *o, const char *key, char bracket)
{
	if (!o->json)
		return;
	element(o, key);
	fputc(bracket, o->file);
	o->depth++;
	o->some = false;
}

void out_end(struct out *o, char bracket)
{
	if (!o->json)
		return;
	o->depth--;
	if (o->some)
		indent(o);
	fputc(bracket, o->file);
	o->some = true;
}

/* The formats are the callers' literals. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

void out_str(struct out *o, const char *key, const char *fmt, const char *val)
{
	if (o->json) {
		element(o, key);
		quote(o, val);
	} else if (fmt) {
		fprintf(o->file, fmt, val);
	}
}

void out_u64(struct out *o, const char *key, const char *fmt,
	     unsigned long long val)
{
	if (o->json) {
		element(o, key);
		fprintf(o->file, "%llu", val);
	} else if (fmt) {
		fprintf(o->file, fmt, val);
	}
}

void out_f64(struct out *o, const char *key, const char *fmt, double val)
{
	if (o->json) {
		element(o, key);
		fprintf(o->file, "%.6g", val);
	} else if (fmt) {
		fprintf(o->file, fmt, val);
	}
}

#pragma GCC diagnostic pop

void out_text(struct out *o, const char *fmt, ...)
{
	va_list ap;

	if (o->json)
		return;
	va_start(ap, fmt);
	vfprintf(o->file, fmt, ap);
	va_end(ap);
}

bool out_finish(struct out *o)
{
	if (o->json)
		fputc('\n', o->file);
	return !fflush(o->file) && !ferror(o->file);
}
