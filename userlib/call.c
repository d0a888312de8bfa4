// SPDX-License-Identifier: LGPL-2.1-or-later
#include <poll.h>

#include "call.h"

enum ol_step ol_call_wait(struct ol_call *call, int *err)
{
	int ret;

	if (!call->until)
		call->until = call->limit
				      ? ol_wait_clock() + (uint64_t)call->limit
				      : OL_FOREVER;
	if (ol_wait_spin(&call->wait))
		return OL_STEP_AGAIN;
	ret = ol_wait_sleep(&call->wait, call->fd, call->events, call->until);
	if (ret == 0)
		return OL_STEP_AGAIN;
	if (ret == -ETIMEDOUT || ret == -EINTR) {
		*err = ret == -EINTR ? EINTR : EAGAIN;
		return OL_STEP_DONE;
	}
	return ol_lease_moving(call->wait.slot) ? OL_STEP_AGAIN
						: OL_STEP_KERNEL;
}

bool ol_call_error(int fd, short mask)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && p.revents & (mask | POLLNVAL);
}
