// SPDX-License-Identifier: GPL-2.0
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf.h"

/* Also bounds the interpreters' chain, as the kernel does. */
#define SCRIPT_DEPTH 4

static bool has_interp(int fd, const ElfW(Ehdr) * eh)
{
	ElfW(Phdr) ph;

	if (eh->e_phentsize != sizeof(ph))
		return true;
	for (unsigned int i = 0; i < eh->e_phnum; i++) {
		off_t at = eh->e_phoff + i * sizeof(ph);

		if (pread(fd, &ph, sizeof(ph), at) != sizeof(ph))
			return true;
		if (ph.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* The interpreter named in the first line, within the buffer itself. */
static char *script_interp(char *line)
{
	char *path = line + 2 + strspn(line + 2, " \t");

	path[strcspn(path, " \t\r\n")] = '\0';
	return path;
}

static const char *judge(int fd, char *head, size_t len)
{
	ElfW(Ehdr) eh;
	struct stat st;

	if (!fstat(fd, &st) && (st.st_mode & (S_ISUID | S_ISGID)))
		return "it is set-user-ID or set-group-ID";
	if (len < sizeof(eh) || memcmp(head, ELFMAG, SELFMAG))
		return NULL;
	memcpy(&eh, head, sizeof(eh));
	if (eh.e_ident[EI_CLASS] !=
	    (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		return "its word size is not that of libonload.so";
	return has_interp(fd, &eh) ? NULL : "it is statically linked";
}

const char *elf_no_preload(const char *path)
{
	char head[256];
	const char *why = NULL;

	for (int depth = 0; depth < SCRIPT_DEPTH; depth++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t len;

		if (fd < 0)
			return NULL;
		len = read(fd, head, sizeof(head) - 1);
		if (len < 0)
			len = 0;
		head[len] = '\0';
		why = judge(fd, head, len);
		close(fd);
		if (why || len < 2 || memcmp(head, "#!", 2))
			break;
		path = script_interp(head);
	}
	return why;
}
