/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_DEVICE_H
#define ONLOAD_DEVICE_H

int onload_device_init(void);
void onload_device_uninit(void);

#endif
