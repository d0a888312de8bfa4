// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stddef.h>

#include "export.h"
#include "fd.h"
#include "lease.h"
#include "onload.h"
#include "stats.h"
#include "wait.h"

OL_EXPORT const char *onload_version(void)
{
	return ONLOAD_VERSION;
}

OL_EXPORT int onload_is_accelerated(int fd)
{
	ol_handle h = ol_fd_find(fd);

	return h ? ol_lease_now(ol_ep_of(h)) : -1;
}

OL_EXPORT int onload_reason(int fd)
{
	ol_handle h = ol_fd_find(fd);

	return h ? (int)ol_lease_reason(ol_ep_of(h)) : -1;
}

OL_EXPORT const char *onload_why_not(int fd)
{
	ol_handle h = ol_fd_find(fd);

	if (!h)
		return "not a socket that the library manages";
	if (ol_lease_now(ol_ep_of(h)))
		return NULL;
	return ol_reason_text(ol_lease_reason(ol_ep_of(h)));
}

OL_EXPORT int onload_hand_back(int fd)
{
	ol_handle h = ol_fd_find(fd);

	if (!h)
		return -1;
	ol_lease_end(h, fd);
	return 0;
}

OL_EXPORT void onload_set_spin(unsigned int usec)
{
	ol_wait_set_spin(usec);
}

OL_EXPORT unsigned int onload_get_spin(void)
{
	return ol_wait_get_spin();
}
