# SPDX-License-Identifier: GPL-2.0
#
# Takes out of a kernel log those reports of KCSAN in which neither access is made by our module's code, in a function
# of its own or in what that calls, such as memcpy(). Linux's own races are not ours to judge; how many there were is
# said at the end.

# From one line of "=" to the next
/^(\[ *[0-9.]+\] )?=+$/ {
	if (open && report) {
		if (ours)
			printf "%s", text
		else
			foreign++
		open = 0
		next
	}
	if (open)
		printf "%s", text
	open = 1
	report = ours = depth = 0
	text = ""
	next
}

!open {
	print
	next
}

{
	text = text $0 "\n"
}

/BUG: KCSAN:/ {
	report = 1
}

# Each access begins a stack; the two innermost frames tell whose it is.
/(read|write|assert|reordered).* to 0x.* (of|by) / {
	depth = 0
	next
}

/\+0x[0-9a-f]+\/0x/ {
	if (++depth <= 2 && /\[af_onload\]/)
		ours = 1
}

END {
	if (open)
		printf "%s", text
	if (foreign)
		print "kcsan.awk: left out " foreign " reports of races in Linux alone"
}
