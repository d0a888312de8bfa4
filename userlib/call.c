// SPDX-License-Identifier: LGPL-2.1-or-later
#include <poll.h>

#include "call.h"

/*
 * Its time runs from the first wait on. Who has done part of it returns with
 * that after a signal, as Linux does: not to be restarted.
 */
static void set_end(struct ol_call *call)
{
	if (!call->until)
		call->until = call->limit
				      ? ol_wait_clock() + (uint64_t)call->limit
				      : OL_FOREVER;
	if (call->until == OL_FOREVER && call->done)
		call->until = OL_ENDLESS;
}

enum ol_step ol_call_sleep(struct ol_call *call, int *err)
{
	int ret;

	set_end(call);
	call->slept = true;
	ret = ol_wait_sleep(&call->wait, call->fd, call->events, call->until);
	if (ret == 0)
		return OL_STEP_AGAIN;
	/* It may not wait, or not for ever: another process has seen to that. */
	if (ret == -EAGAIN) {
		ol_fd_stale(call->h, OL_STALE_FL | OL_STALE_OPTS);
		call->until = 0;
		return OL_STEP_AGAIN;
	}
	if (ret != -ETIMEDOUT && ret != -EINTR)
		return OL_STEP_KERNEL;
	*err = ret == -EINTR ? EINTR : EAGAIN;
	return OL_STEP_DONE;
}

enum ol_step ol_call_wait(struct ol_call *call, int *err)
{
	enum ol_step step = OL_STEP_AGAIN;

	set_end(call);
	ol_look_begin();
	if (!ol_wait_spin(&call->wait, call->until)) {
		step = ol_call_sleep(call, err);
		if (step == OL_STEP_KERNEL && ol_lease_moving(call->wait.slot))
			step = OL_STEP_AGAIN;
	}
	ol_look_end();
	return step;
}

/* What poll() says by the end of the call's time, which has begun */
static int poll_left(const struct ol_call *call, short event)
{
	struct pollfd p = { .fd = call->fd, .events = event };
	uint64_t now = ol_wait_clock(), left = 0;
	struct timespec ts;

	if (now < call->until)
		left = call->until - now;
	ts.tv_sec = (time_t)(left / 1000000000u);
	ts.tv_nsec = (long)(left % 1000000000u);
	return ppoll(&p, 1, &ts, NULL);
}

static bool limited(const struct ol_call *call, int64_t limit)
{
	return limit && call->until && call->until < OL_ENDLESS;
}

bool ol_call_ready(const struct ol_call *call, int64_t limit, short event)
{
	struct pollfd p = { .fd = call->fd, .events = event };

	if (call->nonblock)
		return true;
	if (limited(call, limit))
		return poll_left(call, event) > 0;
	return limit || poll(&p, 1, -1) > 0;
}

bool ol_call_leave(const struct ol_call *call, short event, ssize_t *ret)
{
	int n;

	if (!call->slept)
		return false;
	if (ol_call_closed(call))
		return ol_call_finish(call, EBADF, ret);
	if (call->nonblock || !limited(call, call->limit))
		return false;
	/* Linux's time would begin anew. */
	n = poll_left(call, event);
	if (n > 0)
		return false;
	return ol_call_finish(call, n ? errno : EAGAIN, ret);
}

bool ol_call_error(int fd, short mask)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && p.revents & (mask | POLLNVAL);
}
