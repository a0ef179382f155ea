/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Vectors of a guest and of its VMM: see pkvm_sve.h.
 *
 * The guest's routines are position independent, run with the MMU off, get x1..x3, answer in
 * x0..x3, and leave x19, x28 and x30, which are the payload's, as they are.
 */
#include <asm/unistd.h>
#include "pkvm_sve.h"

	.arch_extension sve

	.macro	routine name
	.balign	4
	.globl	\name
\name:
	.endm

#define ALL_Z	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,		\
		16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
#define ALL_P	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15

	/* All vectors from the image at \from, which stays; \tmp does not. */
	.macro	load_image from, tmp
	addvl	\tmp, \from, #31
	addvl	\tmp, \tmp, #1
	ldr	p0, [\tmp, #16, mul vl]
	wrffr	p0.b
	.irp	n, ALL_P
	ldr	p\n, [\tmp, #\n, mul vl]
	.endr
	.irp	n, ALL_Z
	ldr	z\n, [\from, #\n, mul vl]
	.endr
	.endm

	/* And to it: they are what they were. */
	.macro	save_image to, tmp
	addvl	\tmp, \to, #31
	addvl	\tmp, \tmp, #1
	.irp	n, ALL_P
	str	p\n, [\tmp, #\n, mul vl]
	.endr
	.irp	n, ALL_Z
	str	z\n, [\to, #\n, mul vl]
	.endr
	rdffr	p0.b
	str	p0, [\tmp, #16, mul vl]
	ldr	p0, [\tmp]
	.endm

	/* Whoever traps the use of vectors, to switch them, does so here. */
	.macro	touch
	fmov	x9, d31
	.endm

	.section .rodata
	.balign	4096
routine sve_guest_start

	/* FP and SVE are not trapped, and ZCR_EL1 is x1: bytes in a vector, ZCR_EL1, CPACR_EL1. */
routine vec_on
	mrs	x2, cpacr_el1
	orr	x3, x2, #(3 << 20)
	orr	x3, x3, #(3 << 16)
	msr	cpacr_el1, x3
	isb
	mrs	x4, zcr_el1
	msr	zcr_el1, x1
	isb
	rdvl	x0, #1
	mov	x1, x4
	ret

	/*
	 * An image at x1, and all vectors from there: the words ~x2, ~x2 + 1, ... which not even
	 * the mailbox has seen; FFR has to be ones, then zeroes: ~x2 modulo 8 says how many.
	 */
routine vec_fill
	mvn	x2, x2
	and	x5, x2, #7
	mov	x4, x1
	addvl	x3, x1, #31
	addvl	x3, x3, #3
1:	str	x2, [x4], #8
	add	x2, x2, #1
	cmp	x4, x3
	b.lo	1b
	rdvl	x3, #1
	lsr	x3, x3, #3
	mov	w6, #0xff
2:	subs	x3, x3, #1
	b.eq	3f
	strb	w6, [x4], #1
	b	2b
3:	lsr	w6, w6, w5
	strb	w6, [x4]
	dsb	sy
	load_image x1, x4
	mov	x0, #0
	ret

	/* How many bytes of the vectors differ from the image at x1, and bytes in a vector. */
routine vec_check
	mov	x5, #SVE_SCRATCH
	add	x5, x1, x5
	save_image x5, x4
	dsb	sy
	mov	x0, #0
	rdvl	x6, #2
	lsr	x3, x6, #4
	add	x3, x3, x6
	add	x3, x3, x4		/* the end: P0-P15 take 2 vectors, FFR an eighth */
1:	ldrb	w7, [x1], #1
	ldrb	w8, [x5], #1
	cmp	w7, w8
	cinc	x0, x0, ne
	cmp	x5, x3
	b.lo	1b
	rdvl	x1, #1
	ret

routine vec_ids
	mrs	x0, id_aa64pfr0_el1
	mrs	x1, S3_0_C0_C4_4	/* ID_AA64ZFR0_EL1 */
	ret

	/* Ways to leave with the vectors of the guest in the CPU, and to need them right after. */
routine vec_load
	touch
	ldr	x0, [x1]
	touch
	ret
routine vec_store
	touch
	str	x2, [x1]
	dsb	sy
	touch
	mov	x0, #0
	ret
routine vec_hvc
	touch
	mov	x0, x1
	mov	x1, x2
	mov	x2, x3
	mov	x3, #0
	hvc	#0
	touch
	ret
routine vec_wfi
	touch
	wfi
	touch
	mov	x0, #0
	ret
routine vec_spin
	touch
	subs	x1, x1, #1
	b.ne	vec_spin
	mov	x0, #0
	ret

	/* For guests without SVE: V0 to V31 are the words ~x1, ~x1 + 1, ... */
routine fp_fill
	mvn	x1, x1
	mrs	x2, cpacr_el1
	orr	x2, x2, #(3 << 20)
	msr	cpacr_el1, x2
	isb
	.irp	n, ALL_Z
	fmov	d\n, x1
	add	x1, x1, #1
	ins	v\n\().d[1], x1
	add	x1, x1, #1
	.endr
	mov	x0, #0
	ret

	/* How many are not. */
routine fp_check
	mvn	x1, x1
	mov	x0, #0
	.irp	n, ALL_Z
	umov	x2, v\n\().d[0]
	cmp	x2, x1
	cinc	x0, x0, ne
	add	x1, x1, #1
	umov	x2, v\n\().d[1]
	cmp	x2, x1
	cinc	x0, x0, ne
	add	x1, x1, #1
	.endr
	ret

	/* Which bits are set in any word of any of them. */
routine fp_any
	mrs	x2, cpacr_el1
	orr	x2, x2, #(3 << 20)
	msr	cpacr_el1, x2
	isb
	mov	x0, #0
	.irp	n, ALL_Z
	umov	x2, v\n\().d[0]
	orr	x0, x0, x2
	umov	x2, v\n\().d[1]
	orr	x0, x0, x2
	.endr
	ret

	/* CPACR_EL1 as x1 is, for what comes next. */
routine sve_cpacr
	mrs	x0, cpacr_el1
	msr	cpacr_el1, x1
	isb
	ret
routine sve_rdvl
	rdvl	x0, #1
	ret
routine sve_dup
	mov	z7.d, x1
	ret
routine sve_ptrue
	ptrue	p0.b
	ret
routine sve_rdffr
	rdffr	p0.b
	ret
routine sve_str
	str	z7, [x1]
	ret
routine sve_zcr
	mrs	x0, zcr_el1
	ret
routine sve_guest_end

	.text
routine sve_host_vl
	rdvl	x0, #1
	ret

	/* Callers have only the low halves of V8 to V15 to be kept. */
	.macro	enter
	stp	d8, d9, [sp, #-64]!
	stp	d10, d11, [sp, #16]
	stp	d12, d13, [sp, #32]
	stp	d14, d15, [sp, #48]
	.endm
	.macro	leave
	ldp	d10, d11, [sp, #16]
	ldp	d12, d13, [sp, #32]
	ldp	d14, d15, [sp, #48]
	ldp	d8, d9, [sp], #64
	ret
	.endm

routine sve_host_ioctl
	enter
	load_image x2, x4
	mov	x2, #0
	mov	x8, #__NR_ioctl
	svc	#0
	save_image x3, x4
	leave

routine sve_host_hold
	enter
	load_image x1, x4
1:	subs	x0, x0, #1
	b.ne	1b
	save_image x2, x4
	leave

	.section .note.GNU-stack,"",%progbits
