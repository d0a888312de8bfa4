/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ONLOAD_TOOLS_ELF_H
#define ONLOAD_TOOLS_ELF_H

/* Why the dynamic linker would not preload a library into the program at
 * @path, or NULL if nothing speaks against it.
 */
const char *elf_no_preload(const char *path);

#endif
