/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef OL_EXPORT_H
#define OL_EXPORT_H

#define OL_EXPORT __attribute__((visibility("default")))

/* An alias whose attributes differ from its target's is a warning to gcc. */
#if __has_attribute(copy)
#define OL_COPY(name) __attribute__((copy(name)))
#else
#define OL_COPY(name)
#endif

/* The same function by another of the C library's names for it */
#define OL_ALIAS(other, name)                                 \
	extern OL_EXPORT OL_COPY(name) __typeof__(name) other \
		__attribute__((alias(#name)))

#endif
