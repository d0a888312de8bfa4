/* SPDX-License-Identifier: GPL-2.0 */
#ifndef API_H
#define API_H

#include "check.h"

/* Each file's table: what is a check's, is in the file that its name says. */
extern const struct check api_data[];
extern const size_t api_data_count;
extern const struct check api_option[];
extern const size_t api_option_count;
extern const struct check api_process[];
extern const size_t api_process_count;
extern const struct check api_signal[];
extern const size_t api_signal_count;
extern const struct check api_wait[];
extern const size_t api_wait_count;

#endif
