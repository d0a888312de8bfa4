/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A position in an iovec. */
#ifndef OL_CURSOR_H
#define OL_CURSOR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* @off may lie beyond the first element: the next piece begins there. */
struct ol_cursor {
	const struct iovec *iov;
	size_t n;
	size_t off;
};

/* The next contiguous piece, at most @want bytes; 0 at the end. */
static inline size_t ol_cursor_next(struct ol_cursor *cur, size_t want,
				    uint8_t **at)
{
	size_t room;

	while (cur->n && cur->off >= cur->iov->iov_len) {
		cur->off -= cur->iov->iov_len;
		cur->iov++;
		cur->n--;
	}
	if (!cur->n)
		return 0;
	room = cur->iov->iov_len - cur->off;
	if (want < room)
		room = want;
	*at = (uint8_t *)cur->iov->iov_base + cur->off;
	cur->off += room;
	return room;
}

#endif
