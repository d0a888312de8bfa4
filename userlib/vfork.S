/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vfork(): the child runs in the parent's memory, so what it closes would be
 * forgotten in the parent, and what it opens taken for the parent's. While it
 * runs, the thread that made it stands still and lends it its thread-local
 * storage: a flag there tells the child apart, at no cost to other threads.
 *
 * In assembler because the child's return overwrites the parent's stack frame:
 * the return address must stay in a register.
 */
#include <asm/unistd.h>

	.text
	.globl	vfork
	.type	vfork, @function
vfork:
	.cfi_startproc
	endbr64
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rdi
	movq	ol_vforked@gottpoff(%rip), %rsi
	movl	%fs:(%rsi), %edx	# a child of vfork() may call it, too
	movl	$1, %fs:(%rsi)
	movl	$__NR_vfork, %eax
	syscall
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rip, 0
	testq	%rax, %rax
	jz	1f
	movl	%edx, %fs:(%rsi)
	cmpq	$-4095, %rax
	jae	2f
1:
	ret
2:
	negl	%eax
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	call	*__errno_location@GOTPCREL(%rip)
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	movl	%edx, (%rax)
	movq	$-1, %rax
	ret
	.cfi_endproc
	.size	vfork, . - vfork
	.globl	__vfork
	.set	__vfork, vfork
	.section .note.GNU-stack, "", @progbits
