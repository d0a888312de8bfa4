/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only place that knows how kernels differ, by configuration or by
 * version.
 */
#ifndef ONLOAD_COMPAT_H
#define ONLOAD_COMPAT_H

#include <linux/rcupdate.h>

/* Where kernel code is not preempted, RCU tasks are RCU; the macros for
 * call_rcu_tasks() and synchronize_rcu_tasks() are there, this one is not.
 */
#ifndef CONFIG_TASKS_RCU
#define rcu_barrier_tasks rcu_barrier
#endif

#endif
