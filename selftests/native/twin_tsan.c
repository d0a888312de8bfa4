// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * For ThreadSanitizer: the other end's area at the address where that end
 * writes it. The linker puts this before ol_wire_begin().
 */
#include "../../userlib/wire.h"
#include "twin_kernel.h"

void __real_ol_wire_begin(struct ol_ep *e, struct onload_wire_head *own,
			  const struct onload_wire_head *peer);
void __wrap_ol_wire_begin(struct ol_ep *e, struct onload_wire_head *own,
			  const struct onload_wire_head *peer);

void __wrap_ol_wire_begin(struct ol_ep *e, struct onload_wire_head *own,
			  const struct onload_wire_head *peer)
{
	const struct twin_flow *f;

	twin_lock();
	for (f = twin->flow; twin_flow_head(f) != own; f++)
		;
	peer = twin_flow_head(twin_flow_mirror(f));
	twin_unlock();
	__real_ol_wire_begin(e, own, peer);
}
