/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest under attack does: routines that the payload's PKVM_OP_EXEC calls, in a page of
 * the guest's memory. They get x1..x3, answer in x0..x3, and leave x19, x28 and x30, which
 * are the payload's, as they are. Position independent, MMU off.
 */
#include "pkvm_attack.h"

	.macro	routine name
	.balign	4
	.globl	\name
\name:
	.endm

	.section .rodata
	.balign	4096
routine attack_guest_start

	/* Accesses of every width, to x1. */
routine attack_ldrb
	ldrb	w0, [x1]
	ret
routine attack_ldrh
	ldrh	w0, [x1]
	ret
routine attack_ldrsb
	ldrsb	x0, [x1]
	ret
routine attack_ldrsh_w
	ldrsh	w0, [x1]
	ret
routine attack_ldr_w
	ldr	w0, [x1]
	ret
routine attack_ldrsw
	ldrsw	x0, [x1]
	ret
routine attack_ldr
	ldr	x0, [x1]
	ret
routine attack_strb
	strb	w2, [x1]
	dsb	sy
	mov	x0, #0
	ret
routine attack_str
	str	x2, [x1]
	dsb	sy
	mov	x0, #0
	ret

	/* A value that only the guest knows: not even the mailbox has seen it. */
routine attack_str_not
	mvn	x2, x2
	str	x2, [x1]
	dsb	sy
	mov	x0, #0
	mov	x2, #0
	ret

	/* Those without a valid syndrome. */
routine attack_ldp
	ldp	x0, x2, [x1]
	ret
routine attack_ldr_post
	ldr	x0, [x1], #8
	ret
routine attack_stp
	stp	x2, x3, [x1]
	ret
routine attack_str_post
	str	x2, [x1], #8
	ret

	/* From x1, then from x2: both values. Neither register is what it was before. */
routine attack_two_loads
	mov	x5, #-1
	mov	x6, #-1
	ldr	x5, [x1]
	ldr	x6, [x2]
	mov	x0, x5
	mov	x1, x6
	ret

	/* Enroll in MMIO guard, and name the mailbox's page: without it there is no way out. */
routine attack_enroll
	mov	x0, #(ATTACK_HVC_GUARD_ENROLL & 0xffff)
	movk	x0, #(ATTACK_HVC_GUARD_ENROLL >> 16), lsl #16
	mov	x1, #0
	mov	x2, #0
	mov	x3, #0
	hvc	#0
	mov	x20, x0
	mov	x0, #(ATTACK_HVC_GUARD_MAP & 0xffff)
	movk	x0, #(ATTACK_HVC_GUARD_MAP >> 16), lsl #16
	mov	x1, x19
	mov	x2, #1
	mov	x3, #0
	hvc	#0
	mov	x2, x1
	mov	x1, x0
	mov	x0, x20
	ret

	/*
	 * x1, a secret, to every register that a guest has; then a load from x2, at which the
	 * host has all the time that it wants; x0: how many have changed.
	 */
	.macro	each_sysreg op
	\op	tpidr_el0
	\op	tpidrro_el0
	\op	tpidr_el1
	\op	ttbr0_el1
	\op	ttbr1_el1
	\op	far_el1
	\op	elr_el1
	\op	contextidr_el1
	\op	sp_el0
	\op	par_el1
	\op	cntv_cval_el0
	.endm
	.macro	put reg
	msr	\reg, x1
	.endm
	/* Some are narrower than 64 bits: it is what came of the secret that must stay. */
	.macro	push reg
	mrs	x9, \reg
	str	x9, [x3], #8
	.endm
	.macro	compare reg
	mrs	x9, \reg
	ldr	x10, [x3], #8
	cmp	x9, x10
	cinc	x0, x0, ne
	.endm
	/* x3: memory of the guest's, for what the registers have to be. */
routine attack_secrets
	mov	x29, x3
	each_sysreg put
	isb
	each_sysreg push
	mov	x3, x29
	.irp	n, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18
	mov	x\n, x1
	.endr
	.irp	n, 20, 21, 22, 23, 24, 25, 26, 27
	mov	x\n, x1
	.endr
	mrs	x0, cpacr_el1
	orr	x0, x0, #(3 << 20)
	msr	cpacr_el1, x0
	isb
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 30, 31
	dup	v\n\().2d, x1
	.endr

	ldr	x0, [x2]

	mov	x0, #0
	.irp	n, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18
	cmp	x\n, x1
	cinc	x0, x0, ne
	.endr
	.irp	n, 20, 21, 22, 23, 24, 25, 26, 27
	cmp	x\n, x1
	cinc	x0, x0, ne
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 30, 31
	umov	x4, v\n\().d[0]
	cmp	x4, x1
	cinc	x0, x0, ne
	umov	x4, v\n\().d[1]
	cmp	x4, x1
	cinc	x0, x0, ne
	.endr
	each_sysreg compare
	ret

routine attack_counters
	isb
	mrs	x0, cntpct_el0
	isb
	mrs	x1, cntvct_el0
	isb
	mrs	x2, cntpct_el0
	ret

	/* For CPU_ON: the context id is where to store what is found. Then the payload. */
routine attack_boot
	str	x0, [x0]
	.irp	n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	str	x\n, [x0, #(8 * \n)]
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
	str	x\n, [x0, #(8 * \n)]
	.endr
	mov	x1, sp
	str	x1, [x0, #(8 * ATTACK_BOOT_SP)]
	.macro	record reg, word
	mrs	x1, \reg
	str	x1, [x0, #(8 * \word)]
	.endm
	record	sctlr_el1, ATTACK_BOOT_SCTLR
	record	daif, ATTACK_BOOT_DAIF
	record	CurrentEL, ATTACK_BOOT_EL
	record	SPSel, ATTACK_BOOT_SPSEL
	record	mpidr_el1, ATTACK_BOOT_MPIDR
	record	ttbr0_el1, ATTACK_BOOT_TTBR0
	record	ttbr1_el1, ATTACK_BOOT_TTBR1
	record	vbar_el1, ATTACK_BOOT_VBAR
	record	tpidr_el1, ATTACK_BOOT_TPIDR
	record	tpidr_el0, ATTACK_BOOT_TPIDR0
	record	contextidr_el1, ATTACK_BOOT_CONTEXTIDR
	record	nzcv, ATTACK_BOOT_NZCV
	mrs	x1, cpacr_el1
	orr	x1, x1, #(3 << 20)
	msr	cpacr_el1, x1
	isb
	umov	x1, v0.d[0]
	str	x1, [x0, #(8 * ATTACK_BOOT_V0)]
	mov	x1, #1
	str	x1, [x0, #(8 * ATTACK_BOOT_MARK)]
	dsb	sy
	mov	x1, #0x40000000		/* PKVM_CODE_GPA */
	br	x1

	/* Comes back only if it is refused. */
routine attack_cpu_off
	mov	x0, #(PSCI_CPU_OFF & 0xffff)
	movk	x0, #(PSCI_CPU_OFF >> 16), lsl #16
	hvc	#0
	ret

routine attack_smc
	mov	x0, x1
	smc	#0
	ret

	/* 8, unless somebody else has taken a hand. */
routine attack_count
	mov	x0, #0
	add	x0, x0, #1
	add	x0, x0, #1
	add	x0, x0, #1
routine attack_count_mid
	add	x0, x0, #1
	add	x0, x0, #1
	add	x0, x0, #1
	add	x0, x0, #1
	add	x0, x0, #1
	ret

	/* Count at x1 until there is something at x1 + 8. */
routine attack_spin
	mov	x0, #0
1:	add	x0, x0, #1
	str	x0, [x1]
	dsb	sy
	ldr	x2, [x1, #8]
	cbz	x2, 1b
	ret

routine attack_pmcr
	mrs	x0, pmcr_el0
	ret
routine attack_set_pmcr
	msr	pmcr_el0, x1
	ret
routine attack_impdef
	mrs	x0, S3_1_C15_C2_0
	ret
	/* Debug that a guest was not given: it reads as zero, whatever was written. */
routine attack_mdscr
	msr	mdscr_el1, x1
	isb
	mrs	x0, mdscr_el1
	ret
routine attack_guest_end

	.section .note.GNU-stack,"",%progbits
