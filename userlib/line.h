/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hints to the caches, which change nothing but the time that things take. */
#ifndef OL_LINE_H
#define OL_LINE_H

#define OL_LINE 64

/* It is about to be written: fetch it meanwhile. */
static inline void ol_line_mine(const void *line)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)line));
#else
	__builtin_prefetch(line, 1);
#endif
}

/* It is about to be read elsewhere: nearer to there. */
static inline void ol_line_yours(const void *line)
{
#if defined(__x86_64__)
	__asm__ volatile("cldemote %0" : : "m"(*(const char *)line));
#else
	(void)line;
#endif
}

#endif
