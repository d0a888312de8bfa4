/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_REDIRECT_H
#define ONLOAD_REDIRECT_H

int onload_redirect_init(void);
void onload_redirect_uninit(void);

#endif
