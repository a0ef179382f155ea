/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hold_secrets(x0: what all of them have in common, x1: how long): a process whose registers
 * are secrets, each another one, while interrupts come, and over a system call in which other
 * processes run. Returns how many of them have changed.
 *
 * As pkvm_secrets.h of the kselftests has them: bits 23-12 say which register, and vectors begin
 * at 64, two for each.
 */
#define SYS_sched_yield	124

	.text
	.globl	hold_secrets
	.type	hold_secrets, %function
hold_secrets:
	stp	x29, x30, [sp, #-176]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	str	x0, [sp, #160]

	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, \
		22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	add	x2, x0, #(64 + 2 * \n), lsl #12
	fmov	d\n, x2
	add	x2, x0, #(65 + 2 * \n), lsl #12
	fmov	v\n\().d[1], x2
	.endr
	.irp	n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, \
		24, 25, 26, 27, 28
	add	x\n, x0, #\n, lsl #12
	.endr

1:	isb
	subs	x1, x1, #1
	b.ne	1b

	mov	x8, #SYS_sched_yield
	svc	#0
	ldr	x0, [sp, #160]
	add	x8, x0, #8, lsl #12

	.irp	n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, \
		24, 25, 26, 27, 28
	add	x30, x0, #\n, lsl #12
	cmp	x\n, x30
	cinc	x1, x1, ne
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, \
		22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	add	x2, x0, #(64 + 2 * \n), lsl #12
	fmov	x3, d\n
	cmp	x3, x2
	cinc	x1, x1, ne
	add	x2, x0, #(65 + 2 * \n), lsl #12
	fmov	x3, v\n\().d[1]
	cmp	x3, x2
	cinc	x1, x1, ne
	.endr
	mov	x0, x1

	ldp	d14, d15, [sp, #144]
	ldp	d12, d13, [sp, #128]
	ldp	d10, d11, [sp, #112]
	ldp	d8, d9, [sp, #96]
	ldp	x27, x28, [sp, #80]
	ldp	x25, x26, [sp, #64]
	ldp	x23, x24, [sp, #48]
	ldp	x21, x22, [sp, #32]
	ldp	x19, x20, [sp, #16]
	ldp	x29, x30, [sp], #176
	ret
	.size	hold_secrets, . - hold_secrets

	.section .note.GNU-stack, "", %progbits
