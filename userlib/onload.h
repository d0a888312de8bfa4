/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libonload: TCP sockets whose data path may run in the process.
 *
 * Nothing here is needed to use the library: programs run under it unchanged
 * ("onload COMMAND"). This is for those that want to know or to tune. Link
 * with -lonload, or look the functions up with dlsym(RTLD_DEFAULT, ...).
 */
#ifndef ONLOAD_H
#define ONLOAD_H

#ifdef __cplusplus
extern "C" {
#endif

/* "MAJOR.MINOR.PATCH" */
const char *onload_version(void);

/*
 * 1: fd's data path is in this process at the moment; 0: it is the kernel's;
 * -1: the library does not manage fd. The kernel may change it at any time.
 */
int onload_is_accelerated(int fd);

/*
 * Why fd's data path is not in this process, in a few English words, or NULL
 * if it is. The text is constant and must not be freed.
 */
const char *onload_why_not(int fd);

/* The same as enum onload_reason of <linux/onload.h>; -1 if not managed. */
int onload_reason(int fd);

/*
 * Gives fd's data path back to the kernel, for instance before the program
 * leaves the socket alone for long. The library takes it again when it is
 * used next. 0, even if nothing was given back because another thread stays
 * inside a call on fd; -1 if the library does not manage fd.
 */
int onload_hand_back(int fd);

/*
 * For how many microseconds a blocking call polls the memory before it
 * sleeps, for the whole process; 1000000 at most. Initially the environment's
 * ONLOAD_SPIN_USEC, or 0. Takes a CPU in exchange for the time of a wake-up.
 */
void onload_set_spin(unsigned int usec);
unsigned int onload_get_spin(void);

#ifdef __cplusplus
}
#endif

#endif
