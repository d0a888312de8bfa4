# SPDX-License-Identifier: GPL-2.0
#
# Takes out of a kernel log those reports of KCSAN in which neither access is made by our module's code, in a function
# of its own or in a copy that it calls for. Linux's own races are not ours to judge; how many there were is said at the
# end.

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
	depth = copies = 0
	next
}

/\+0x[0-9a-f]+\/0x/ {
	depth++
	if (/\[af_onload\]/ && (depth == 1 || (depth == 2 && copies)))
		ours = 1
	copies = / _*(mem(cpy|move|set|cmp)|copy_(to|from)_user|_copy_(to|from)_user)\+0x/
}

END {
	if (open)
		printf "%s", text
	if (foreign)
		print "kcsan.awk: left out " foreign " reports of races in Linux alone"
}
