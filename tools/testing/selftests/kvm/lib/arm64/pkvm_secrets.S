/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest that keeps secrets: see pkvm_secrets.h.
 *
 * For each site, that is an instruction which leaves the guest, it fills all registers, goes
 * there by ERET, so that none is needed for the address, and compares all of them afterwards.
 * SP and x29 are checked together: their sum is formed before anything else is touched, which
 * makes x29 free to lead to the data.
 *
 * Runs at EL1 with the MMU off, interrupts masked, without a stack, and from wherever it is.
 *
 *   x19  data	x20  the secrets' common part	x21  vCPU	x22  site
 *   x23  its descriptor	x24  the descriptor's flags
 */
#include "pkvm_secrets.h"

/* Data */
#define D_GPR		0x000
#define D_NZCV		0x0e8		/* x29 has no place there */
#define D_SUM		0x0f8		/* SP + x29 */
#define D_V		0x100
#define D_EXPECT	0x300		/* system registers, as they read back */
#define D_GIVEN		0x400		/* x0-x3 as they were given */
#define D_COMMON	0x420
#define D_SITE		0x428
#define D_SITE_ADDR	0x430
#define D_ITER		0x438
#define D_LEFT		0x440
#define D_CONTEXT	0x448
#define D_BOOT		0x450		/* a CPU_ON is on its way */
#define D_DONE		0x458
#define D_TOOK		0x460		/* an exception at the site */
#define D_ALLOWED	0x468		/* how many, in all */
#define D_KEYS		0x470		/* there are pointer authentication keys */
#define D_REPORT_LINK	0x478
#define D_CVAL		0x488
#define D_CTL		0x490
#define D_COUNTER	0x498
#define D_CHUNK		0x4a0
#define D_CPU		0x4a8
#define D_FP		0x4b0		/* FPCR, FPSR */
#define D_TAKEN		0x500		/* like D_GPR, when an exception is taken */
#define D_ID		0x600		/* of vCPU 0: ID registers */

/* Flags of a site */
#define F_X(n)		(1 << (n))	/* xN is given, and no secret */
#define F_RESULTS	(1 << 4)	/* x0-x3 may be anything afterwards */
#define F_RESULT	(1 << 5)	/* x0 may */
#define F_CPU_PAGE	(1 << 6)	/* x1 is an address: this vCPU's page there */
#define F_CPU_ID	(1 << 7)	/* x1 is this vCPU's MPIDR */
#define F_UNDEF		(1 << 8)	/* exceptions that the host may cause */
#define F_SEA		(1 << 9)
#define FB_UNDEF	8
#define FB_SEA		9

/* What is done before (pre) and looked at after (post) a site. */
#define PRE_NONE	0
#define PRE_TIMER	1
#define PRE_RELINQUISH	2
#define PRE_MARK	3
#define POST_NONE	0
#define POST_ZERO	1		/* x0 == 0 */
#define POST_UNKNOWN	2		/* x0 == NOT_SUPPORTED */
#define POST_REFUSED	3		/* x0 is an error */
#define POST_ONE	4		/* x0 == 0 and x1 == 1 */
#define POST_STORED	5		/* the page has what was stored */
#define POST_MARK	6		/* the shared page has what was written */
#define POST_UNSIGNED	8		/* + log2 of the size: x0 is no larger */
#define POST_SIGNED32	12		/* a load into w0 with sign extension */
#define POST_SIGNED64	16

	.macro	common reg, n, from=x20
	add	\reg, \from, #(\n), lsl #12
	.endm

	/* Every GPR is in the data, the sum of SP and x29, too; x29 leads there. */
	.macro	save at=D_GPR
	add	sp, sp, x29
	adr	x29, pkvm_secrets_start + SECRETS_DATA + \at
	stp	x0, x1, [x29]
	stp	x2, x3, [x29, #0x10]
	stp	x4, x5, [x29, #0x20]
	stp	x6, x7, [x29, #0x30]
	stp	x8, x9, [x29, #0x40]
	stp	x10, x11, [x29, #0x50]
	stp	x12, x13, [x29, #0x60]
	stp	x14, x15, [x29, #0x70]
	stp	x16, x17, [x29, #0x80]
	stp	x18, x19, [x29, #0x90]
	stp	x20, x21, [x29, #0xa0]
	stp	x22, x23, [x29, #0xb0]
	stp	x24, x25, [x29, #0xc0]
	stp	x26, x27, [x29, #0xd0]
	str	x28, [x29, #0xe0]
	str	x30, [x29, #0xf0]
	mov	x0, sp
	str	x0, [x29, #D_SUM]
	mrs	x0, nzcv
	str	x0, [x29, #D_NZCV]
	adr	x19, pkvm_secrets_start + SECRETS_DATA
	ldr	x20, [x19, #D_COMMON]
	ldr	x21, [x19, #D_CPU]
	ldr	x22, [x19, #D_SITE]
	.endm

	/* \do for each system register that holds a secret; an exception changes the last four. */
	.macro	each_sys_reg do
	.set	nr_sys, 0
	.irp	reg, tpidr_el0, tpidrro_el0, tpidr_el1, sp_el0, ttbr0_el1, ttbr1_el1, tcr_el1, \
		mair_el1, amair_el1, contextidr_el1, par_el1, afsr0_el1, afsr1_el1, cntkctl_el1, \
		vbar_el1, cpacr_el1, sctlr_el1, far_el1, esr_el1, elr_el1, spsr_el1
	\do	\reg, nr_sys
	.set	nr_sys, nr_sys + 1
	.endr
	.endm
#define NR_SYS		21
#define FIRST_OF_EXCEPTION	17

	/* Those that decide how the guest runs have no room for a secret. */
	.macro	fill_sys_reg reg, n
	.ifnc	\reg, vbar_el1
	.ifnc	\reg, cpacr_el1
	.ifnc	\reg, sctlr_el1
	.ifnc	\reg, elr_el1
	.ifnc	\reg, spsr_el1
	common	x1, SECRETS_SYS + \n
	.ifc	\reg, cntkctl_el1
	and	x1, x1, #0x300
	.endif
	msr	\reg, x1
	.endif
	.endif
	.endif
	.endif
	.endif
	.endm

	.macro	remember_sys_reg reg, n
	mrs	x1, \reg
	str	x1, [x19, #D_EXPECT + 8 * \n]
	.endm

	.macro	check_sys_reg reg, n
	.if	\n == FIRST_OF_EXCEPTION
	ldr	x1, [x19, #D_TOOK]
	cbnz	x1, sys_regs_checked
	.endif
	mrs	x4, \reg
	ldr	x3, [x19, #D_EXPECT + 8 * \n]
	mov	x2, #(SECRETS_SYS + \n)
	bl	compare
	.endm

	.macro	each_key do
	.set	nr_key, 0
	.irp	reg, s3_0_c2_c1_0, s3_0_c2_c1_1, s3_0_c2_c1_2, s3_0_c2_c1_3, s3_0_c2_c2_0, \
		s3_0_c2_c2_1, s3_0_c2_c2_2, s3_0_c2_c2_3
	\do	\reg, nr_key
	.set	nr_key, nr_key + 1
	.endr
	.endm

	.macro	fill_key reg, n
	common	x1, SECRETS_KEY + \n
	msr	\reg, x1
	.endm

	.macro	check_key reg, n
	mrs	x4, \reg
	common	x3, SECRETS_KEY + \n
	mov	x2, #(SECRETS_KEY + \n)
	bl	compare
	.endm

	/* What the CPU says that it is. CTR and the like are the host's to say. */
	.macro	each_id_reg do
	.set	nr_id, 0
	.irp	reg, midr_el1, id_aa64pfr0_el1, id_aa64pfr1_el1, s3_0_c0_c4_2, s3_0_c0_c4_4, \
		s3_0_c0_c4_5, id_aa64dfr0_el1, id_aa64dfr1_el1, id_aa64isar0_el1, \
		id_aa64isar1_el1, id_aa64isar2_el1, id_aa64mmfr0_el1, id_aa64mmfr1_el1, \
		id_aa64mmfr2_el1, s3_0_c0_c7_3, s3_0_c0_c7_4
	\do	\reg, nr_id
	.set	nr_id, nr_id + 1
	.endr
	.endm

	.macro	remember_id_reg reg, n
	mrs	x1, \reg
	str	x1, [x19, #D_ID + 8 * \n]
	eor	x9, x1, x9, ror #7
	.endm

	.macro	check_id_reg reg, n
	mrs	x4, \reg
	ldr	x3, [x6, #D_ID + 8 * \n]
	mov	x2, #(SECRETS_ID + \n)
	bl	compare
	.endm

	.section .rodata
	.balign	4096
	.globl	pkvm_secrets_start
pkvm_secrets_start:
	adr	x19, pkvm_secrets_start + SECRETS_DATA
	bl	this_place
	str	x21, [x19, #D_CPU]
	adr	x1, vectors
	msr	vbar_el1, x1
	mov	x1, #(3 << 20)
	msr	cpacr_el1, x1
	isb
	mrs	x1, mpidr_el1
	and	x1, x1, #0xff
	cmp	x1, x21
	b.ne	gadget
	cbz	x21, primary

	/* A secondary: as vCPU 0 asked for it, and once for each time that it did. */
	ldr	x1, [x19, #D_BOOT]
	str	xzr, [x19, #D_BOOT]
	cbz	x1, gadget
	ldr	x1, [x19, #D_CONTEXT]
	cmp	x0, x1
	b.ne	gadget
	b	started

	/* The start of vCPU 0, once. */
primary:
	ldr	x1, [x19, #D_BOOT]
	cbnz	x1, gadget
	mov	x1, #1
	str	x1, [x19, #D_BOOT]
	str	x0, [x19, #D_CONTEXT]
	mov	w1, w0
	str	x1, [x19, #D_LEFT]
	tbz	x0, #SECRETS_GUARD, 1f
	bl	enroll
1:	bl	touch_all
	mov	x9, #0
	each_id_reg remember_id_reg
	mov	x22, #0
	mov	x0, #SECRETS_READY
	eor	x1, x9, x9, lsr #32
	mov	x2, #0
	bl	report

started:
	mrs	x1, id_aa64isar1_el1
	ubfx	x2, x1, #4, #8
	mrs	x1, id_aa64isar2_el1
	ubfx	x3, x1, #12, #4
	orr	x2, x2, x3
	str	x2, [x19, #D_KEYS]
	mov	x1, #SECRETS_CHUNK
	str	x1, [x19, #D_CHUNK]

next_iteration:
	ldr	x1, [x19, #D_LEFT]
	cbz	x1, finished
	sub	x1, x1, #1
	str	x1, [x19, #D_LEFT]
	ldr	x1, [x19, #D_ITER]
	add	x1, x1, #1
	str	x1, [x19, #D_ITER]
	and	x1, x1, #0xfff
	movz	x20, #(SECRETS_HIGH >> 16), lsl #48
	movk	x20, #(SECRETS_HIGH & 0xffff), lsl #32
	movk	x20, #(SECRETS_LOW << 8), lsl #16
	orr	x20, x20, x21, lsl #32
	orr	x20, x20, x1
	ldr	x1, [x19, #D_CONTEXT]
	ubfx	x1, x1, #SECRETS_CONTROL, #1
	eor	x20, x20, x1, lsl #SECRETS_CONTROL_BIT
	str	x20, [x19, #D_COMMON]
	bl	look_at_counter
	bl	look_at_ids
	bl	look_at_debug
	cbnz	x21, 1f
	bl	wake_others
1:	mov	x22, #0
	ldr	x1, [x19, #D_CONTEXT]
	lsr	x1, x1, #SECRETS_SITE_SHIFT
	cbz	x1, next_site
	sub	x22, x1, #1

next_site:
	str	x22, [x19, #D_SITE]
	str	xzr, [x19, #D_TOOK]
	adr	x23, descriptors
	add	x23, x23, x22, lsl #6
	ldr	w24, [x23, #4]
	ldr	w1, [x23, #40]
	adr	x2, pre
	add	x2, x2, x1, lsl #2
	br	x2
pre:	b	fill
	b	pre_timer
	b	pre_relinquish
	b	pre_mark

site_done:
	ldr	x1, [x19, #D_CONTEXT]
	lsr	x1, x1, #SECRETS_SITE_SHIFT
	cbnz	x1, all_sites
	add	x22, x22, #1
	ldr	w1, number_of_sites
	cmp	x22, x1
	b.lo	next_site
all_sites:
	cbz	x21, next_iteration
	ldr	x1, [x19, #D_CHUNK]
	sub	x1, x1, #1
	str	x1, [x19, #D_CHUNK]
	cbnz	x1, next_iteration
	ldr	x1, [x19, #D_LEFT]
	cbz	x1, finished
go_off:	movz	x0, #0x8400, lsl #16
	movk	x0, #2
	hvc	#0
	b	gadget			/* CPU_OFF comes back from nowhere */

finished:
	mov	x1, #1
	str	x1, [x19, #D_DONE]
	mov	x0, #SECRETS_ALLOWED
	mov	x2, #0
	ldr	x1, [x19, #D_ALLOWED]
	bl	report
	mov	x0, #SECRETS_DONE
	mov	x2, #0
	ldr	x1, [x19, #D_ITER]
	bl	report
	cbnz	x21, go_off
1:	bl	wake_others
	cbnz	x5, 1b
	movz	x0, #0x8400, lsl #16
	movk	x0, #8
	hvc	#0
	b	gadget			/* so does SYSTEM_OFF */

	/* Not called by anybody. */
gadget:
	adr	x19, pkvm_secrets_start + SECRETS_DATA
	ldr	x21, [x19, #D_CPU]
	mov	x22, #0xff
	mov	x0, #SECRETS_BAD_START
	mov	x1, #0
	mov	x2, #0
	bl	report
	b	.

	/* A start of every other vCPU that is off and has not finished. x5: how many have not. */
wake_others:
	mov	x28, x30
	mov	x5, #0
	mov	x6, #1
	ldrb	w7, [x19, #D_CONTEXT + 4]
1:	cmp	x6, x7
	b.hs	3f
	add	x8, x19, x6, lsl #SECRETS_IMAGE_SHIFT
	ldr	x1, [x8, #D_DONE]
	cbnz	x1, 4f
	add	x5, x5, #1
4:	movz	x0, #0xc400, lsl #16
	movk	x0, #4
	mov	x1, x6
	mov	x2, #0
	mov	x3, #0
	hvc	#0
	/* A vCPU that is done counts until it is off: it must not be lost on its way. */
	ldr	x1, [x8, #D_DONE]
	cbz	x1, 5f
	cmp	x0, #1
	b.eq	2f
	add	x5, x5, #1
	b	2f
5:	cmp	x0, #1
	b.ne	2f
	/* Off: what it is to do, and when it was told. */
	ldr	x1, [x8, #D_LEFT]
	cbnz	x1, 6f
	ldr	x1, [x19, #D_CONTEXT]
	mov	w1, w1
	str	x1, [x8, #D_LEFT]
6:	ldr	x3, [x19, #D_CONTEXT]
	str	x3, [x8, #D_CONTEXT]
	mov	x1, #1
	str	x1, [x8, #D_BOOT]
	dsb	sy
	movz	x0, #0xc400, lsl #16
	movk	x0, #3
	mov	x1, x6
	adr	x2, pkvm_secrets_start
	add	x2, x2, x6, lsl #SECRETS_IMAGE_SHIFT
	hvc	#0
2:	add	x6, x6, #1
	b	1b
3:	ret	x28

	/* The host may abort a first access, to memory and to code: there are none later. */
touch_all:
	adr	x1, pkvm_secrets_start
	ldrb	w7, [x19, #D_CONTEXT + 4]
	movz	x4, #(SECRETS_SHARED_GPA >> 16), lsl #16
	movk	x4, #(SECRETS_SHARED_GPA & 0xffff)
1:	mov	x2, #0
2:	ldr	x3, [x1, x2]
	add	x2, x2, #0x1000
	cmp	x2, #SECRETS_DATA
	b.ls	2b
	ldr	x3, [x4]
	mov	x2, #(1 << SECRETS_IMAGE_SHIFT)
	add	x1, x1, x2
	add	x4, x4, x2
	subs	x7, x7, #1
	b.ne	1b
	ret

enroll:
	mov	x28, x30
	mov	x1, #0
	mov	x2, #0
	mov	x3, #0
	movz	x0, #0xc600, lsl #16
	movk	x0, #6
	hvc	#0
	cbnz	x0, 1f
	movz	x0, #0xc600, lsl #16
	movk	x0, #7
	movz	x1, #(SECRETS_REPORT_GPA >> 16), lsl #16
	mov	x2, #2
	mov	x3, #0
	hvc	#0
1:	ret	x28

	/* No offset of the host's making: the counter goes on, and not by years. */
look_at_counter:
	isb
	mrs	x1, cntvct_el0
	ldr	x2, [x19, #D_COUNTER]
	str	x1, [x19, #D_COUNTER]
	cbz	x2, 1f
	sub	x1, x1, x2
	lsr	x1, x1, #44
	cbz	x1, 1f
	mov	x28, x30
	mov	x0, #SECRETS_CHANGED
	mov	x2, #SECRETS_COUNTER
	bl	report
	ret	x28
1:	ret

	/* x21: which vCPU's image this is. */
this_place:
	adr	x21, pkvm_secrets_start
	ubfx	x21, x21, #SECRETS_IMAGE_SHIFT, #8
	ret

	/* The same CPU at every look, and all of them alike but for their numbers. */
look_at_ids:
	mov	x28, x30
	mrs	x4, mpidr_el1
	mov	x3, #0x80000000
	orr	x3, x3, x21
	mov	x2, #SECRETS_MPIDR
	bl	compare
	sub	x6, x19, x21, lsl #SECRETS_IMAGE_SHIFT
	each_id_reg check_id_reg
	ret	x28

	/* Zero whatever is written there, if the traps are EL2's. An ordinary guest has them. */
look_at_debug:
	ldr	x1, [x19, #D_CONTEXT]
	tbnz	x1, #SECRETS_CONTROL, 1f
	mov	x28, x30
	mov	x1, #0x1000			/* MDSCR_EL1.TDCC: harmless */
	msr	mdscr_el1, x1
	isb
	mrs	x4, mdscr_el1
	msr	mdscr_el1, xzr
	mov	x3, #0
	mov	x2, #SECRETS_DEBUG
	bl	compare
	ret	x28
1:	ret

	/* x0: kind, x1: 32 bits, x2: which. Keeps x5-x8, x19-x28. */
report:
	str	x30, [x19, #D_REPORT_LINK]
	mov	w1, w1
	orr	x1, x1, x2, lsl #32
	orr	x1, x1, x22, lsl #48
	orr	x1, x1, x0, lsl #56
	movz	x2, #(SECRETS_REPORT_GPA >> 16), lsl #16
report_store:
	str	x1, [x2]
	ret

	/* x2: which, x3: expected, x4: found. What is reported is none of both. */
compare:
	cmp	x3, x4
	b.ne	1f
	ret
1:	eor	x1, x3, x4
	lsr	x3, x1, #32
	eor	x1, x1, x3
	mov	x0, #SECRETS_CHANGED
	b	report

	/* ---- before a site ---- */

pre_timer:
	isb
	mrs	x1, cntvct_el0
	add	x1, x1, #0x400
	msr	cntv_cval_el0, x1
	mov	x2, #1
	msr	cntv_ctl_el0, x2
	isb
	b	fill

pre_relinquish:
	movz	x0, #0xc600, lsl #16
	movk	x0, #9
	ldr	x1, [x23, #16]
	add	x1, x1, x21, lsl #SECRETS_IMAGE_SHIFT
	mov	x2, #1
	mov	x3, #0
	hvc	#0
	b	fill

pre_mark:
	ldr	x1, [x23, #16]
	add	x1, x1, x21, lsl #SECRETS_IMAGE_SHIFT
	ldr	x2, [x19, #D_ITER]
	str	x2, [x1, #8]
	dsb	sy
	b	fill

	/* ---- all registers ---- */

fill:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, \
		22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	common	x1, SECRETS_V + 2 * \n
	common	x2, SECRETS_V + 2 * \n + 1
	fmov	d\n, x1
	fmov	v\n\().d[1], x2
	.endr
	ubfiz	x1, x20, #22, #2		/* the rounding mode */
	msr	fpcr, x1
	and	x1, x20, #0x1f
	msr	fpsr, x1
	mrs	x1, fpcr
	mrs	x2, fpsr
	str	x1, [x19, #D_FP]
	str	x2, [x19, #D_FP + 8]

	ldr	x1, [x19, #D_KEYS]
	cbz	x1, 1f
	each_key fill_key
1:
	each_sys_reg fill_sys_reg
	ldr	w1, [x23]
	adr	x2, pkvm_secrets_start
	add	x1, x1, x2
	str	x1, [x19, #D_SITE_ADDR]
	msr	elr_el1, x1
	mov	x1, #0x3c5
	bfi	x1, x20, #28, #4
	msr	spsr_el1, x1
	isb
	each_sys_reg remember_sys_reg
	mrs	x1, cntv_cval_el0
	str	x1, [x19, #D_CVAL]
	mrs	x1, cntv_ctl_el0
	str	x1, [x19, #D_CTL]

	/* x0-x3 are the call's, or secrets like the others. */
	mov	x30, x20
	common	x4, SECRETS_SP
	mov	sp, x4
	.irp	n, 0, 1, 2, 3
	common	x\n, \n
	tbz	w24, #\n, 1f
	ldr	x\n, [x23, #8 + 8 * \n]
1:
	.endr
	tst	w24, #F_CPU_PAGE
	b.eq	1f
	add	x1, x1, x21, lsl #SECRETS_IMAGE_SHIFT
1:	tst	w24, #F_CPU_ID
	csel	x1, x21, x1, ne
	add	x4, x19, #D_GIVEN
	stp	x0, x1, [x4]
	stp	x2, x3, [x4, #0x10]
	.irp	n, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, \
		25, 26, 27, 28, 29
	common	x\n, \n, x30
	.endr
	common	x30, 30, x30
	eret

	/* ---- and a look at them ---- */

skipped:
	save
	mov	x0, #SECRETS_SKIPPED
	mov	x1, #0
	mov	x2, #0
	bl	report
	b	checked

check:
	save
checked:
	adr	x23, descriptors
	add	x23, x23, x22, lsl #6
	ldr	w24, [x23, #4]

	/* First of all, before FP is used. */
	mrs	x4, fpcr
	ldr	x3, [x19, #D_FP]
	mov	x2, #SECRETS_NZCV
	bl	compare
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, \
		22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	str	q\n, [x19, #D_V + 16 * \n]
	.endr
	mrs	x4, fpsr
	ldr	x3, [x19, #D_FP + 8]
	mov	x2, #SECRETS_NZCV
	bl	compare

	mov	x5, #0
1:	add	x6, x19, x5, lsl #3
	ldr	x4, [x6, #D_V]
	add	x2, x5, #SECRETS_V
	add	x3, x20, x2, lsl #12
	bl	compare
	add	x5, x5, #1
	cmp	x5, #64
	b.lo	1b

	each_sys_reg check_sys_reg
sys_regs_checked:
	ldr	x1, [x19, #D_KEYS]
	cbz	x1, 1f
	each_key check_key
1:	mrs	x4, cntv_cval_el0
	ldr	x3, [x19, #D_CVAL]
	mov	x2, #SECRETS_TIMER
	bl	compare
	mrs	x4, cntv_ctl_el0
	and	x4, x4, #3
	ldr	x3, [x19, #D_CTL]
	and	x3, x3, #3
	mov	x2, #SECRETS_TIMER
	bl	compare
	msr	cntv_ctl_el0, xzr

	/* The flags: of the exception, if there was one. */
	ldr	x4, [x19, #D_NZCV]
	ldr	x1, [x19, #D_TOOK]
	cbz	x1, 1f
	mrs	x4, spsr_el1
	and	x4, x4, #0xf0000000
1:	mov	x3, #0
	bfi	x3, x20, #28, #4
	mov	x2, #SECRETS_NZCV
	bl	compare

	/* x29 and SP have gone into one. */
	ldr	x4, [x19, #D_SUM]
	common	x3, 29
	common	x1, SECRETS_SP
	add	x3, x3, x1
	mov	x2, #SECRETS_SP
	bl	compare
	mov	x5, #0
1:	cmp	x5, #29
	b.eq	3f
	cmp	x5, #4
	b.hs	2f
	tst	w24, #F_RESULTS
	b.ne	3f
	cbnz	x5, 2f
	tst	w24, #F_RESULT
	b.ne	3f
2:	add	x6, x19, x5, lsl #3
	ldr	x4, [x6, #D_GPR]
	add	x3, x20, x5, lsl #12
	cmp	x5, #4
	b.hs	4f
	ldr	x3, [x6, #D_GIVEN]
4:	mov	x2, x5
	bl	compare
3:	add	x5, x5, #1
	cmp	x5, #31
	b.lo	1b

	ldr	x1, [x19, #D_TOOK]
	cbnz	x1, site_done
	ldr	x0, [x19, #D_GPR]
	ldr	x1, [x19, #D_GPR + 8]
	ldr	w2, [x23, #44]
	adr	x3, post
	add	x3, x3, x2, lsl #2
	br	x3
post:	b	site_done
	b	post_zero
	b	post_unknown
	b	post_refused
	b	post_one
	b	post_stored
	b	post_mark
	b	site_done
	b	post_unsigned1
	b	post_unsigned2
	b	post_unsigned4
	b	site_done
	b	post_signed32_1
	b	post_signed32_2
	b	site_done
	b	site_done
	b	post_signed64_1
	b	post_signed64_2
	b	post_signed64_4
	b	site_done

post_zero:
	mov	x3, #0
result:	mov	x4, x0
	mov	x2, #SECRETS_RESULT
	bl	compare
	b	site_done
post_unknown:
	mov	x3, #-1
	b	result
post_refused:
	asr	x0, x0, #63
	mov	x3, #-1
	b	result
post_one:
	cbnz	x0, post_zero
	mov	x0, x1
	mov	x3, #1
	b	result
post_stored:
	ldr	x1, [x23, #16]
	add	x1, x1, x21, lsl #SECRETS_IMAGE_SHIFT
	ldr	x4, [x1]
	ldr	x3, [x19, #D_GIVEN]
memory:	mov	x2, #SECRETS_MEMORY
	bl	compare
	b	site_done
post_mark:
	cbnz	x0, post_zero
	ldr	x1, [x23, #16]
	add	x1, x1, x21, lsl #SECRETS_IMAGE_SHIFT
	ldr	x4, [x1, #8]
	ldr	x3, [x19, #D_ITER]
	b	memory
post_unsigned1:
	and	x3, x0, #0xff
	b	result
post_unsigned2:
	and	x3, x0, #0xffff
	b	result
post_unsigned4:
	and	x3, x0, #0xffffffff
	b	result
post_signed32_1:
	sxtb	w3, w0
	b	result
post_signed32_2:
	sxth	w3, w0
	b	result
post_signed64_1:
	sxtb	x3, w0
	b	result
post_signed64_2:
	sxth	x3, w0
	b	result
post_signed64_4:
	sxtw	x3, w0
	b	result

	/* ---- exceptions ---- */

exception:
	save	D_TAKEN
	mrs	x0, elr_el1
	mrs	x1, esr_el1
	/* The host may abort any access to a device: the value is out, and the report made. */
	adr	x2, report_store
	cmp	x0, x2
	b.eq	report_aborted
	adr	x23, descriptors
	add	x23, x23, x22, lsl #6
	ldr	w24, [x23, #4]
	ldr	x2, [x19, #D_SITE_ADDR]
	cmp	x0, x2
	b.ne	bad_exception
	ubfx	x2, x1, #26, #6
	cbz	x2, 1f
	cmp	x2, #0x25			/* data abort */
	b.ne	bad_exception
	and	x2, x1, #0x3f
	cmp	x2, #0x10			/* external */
	b.ne	bad_exception
	tbz	w24, #FB_SEA, bad_exception
	b	2f
1:	tbz	w24, #FB_UNDEF, bad_exception
2:	mov	x2, #1
	str	x2, [x19, #D_TOOK]
	ldr	x2, [x19, #D_ALLOWED]
	add	x2, x2, #1
	str	x2, [x19, #D_ALLOWED]
	mov	x2, #0
1:	add	x3, x19, x2
	ldr	x1, [x3, #D_TAKEN]
	str	x1, [x3, #D_GPR]
	add	x2, x2, #8
	cmp	x2, #0x100
	b.lo	1b
	b	checked

	/* Whoever reports something has nothing in x19 to x22 but what is there again. */
report_aborted:
	ldr	x30, [x19, #D_REPORT_LINK]
	ret

bad_exception:
	mov	x0, #SECRETS_EXCEPTION
	mov	x2, #0
	bl	report
	movz	x0, #0x8400, lsl #16
	movk	x0, #8
	hvc	#0
	b	.

other_exception:
	save	D_TAKEN
	mrs	x1, esr_el1
	b	bad_exception

	.balign	2048
vectors:
	.rept	4
	.balign	128
	b	other_exception
	.endr
	.balign	128
	b	exception
	.rept	11
	.balign	128
	b	other_exception
	.endr

	/* ---- the sites ---- */

	.set	nr_sites, 0

	.macro	site insn:vararg
	\insn
	b	check
	b	skipped
	.endm

	/* 64 bytes: where, flags, x0-x3, pre, post */
	.macro	describe at, flags, x0=0, x1=0, x2=0, x3=0, pre=PRE_NONE, post=POST_NONE
	.word	\at - pkvm_secrets_start
	.word	\flags
	.quad	\x0, \x1, \x2, \x3
	.word	\pre, \post
	.balign	64
	.set	nr_sites, nr_sites + 1
	.endm

#define CALL		(F_X(0) | F_X(1) | F_X(2) | F_X(3) | F_RESULTS)
#define CALL0		(F_X(0) | F_RESULTS)
#define LOAD		(F_X(1) | F_RESULT | F_SEA)
#define STORE		(F_X(1) | F_SEA)

s_hvc:	site	hvc	#0
s_wfe:	site	wfe
s_wfi:	site	wfi
s_ctr:	site	mrs x0, ctr_el0
s_cntp:	site	mrs x0, cntp_ctl_el0
s_sgi:	site	msr s3_0_c12_c11_5, x0
s_cssel: site	msr csselr_el1, x0
s_ccsid: site	mrs x0, ccsidr_el1
s_strb:	site	strb w0, [x1]
s_strh:	site	strh w0, [x1]
s_strw:	site	str w0, [x1]
s_strx:	site	str x0, [x1]
s_strz:	site	str xzr, [x1]
s_ldrb:	site	ldrb w0, [x1]
s_ldrh:	site	ldrh w0, [x1]
s_ldrw:	site	ldr w0, [x1]
s_ldrx:	site	ldr x0, [x1]
s_ldsbw: site	ldrsb w0, [x1]
s_ldshw: site	ldrsh w0, [x1]
s_ldsbx: site	ldrsb x0, [x1]
s_ldshx: site	ldrsh x0, [x1]
s_ldswx: site	ldrsw x0, [x1]
s_ldrz:	site	ldr xzr, [x1]
s_smc:	site	smc #0

	.balign	64
descriptors:
	describe s_hvc, CALL0, 0x84000000
	describe s_hvc, CALL0, 0xc60000ff, post=POST_UNKNOWN
	describe s_hvc, CALL0, 0x8600ff01
	describe s_hvc, CALL | F_CPU_ID, 0xc4000004, post=POST_ZERO
	describe s_wfe, 0
	describe s_wfi, 0, pre=PRE_TIMER
	describe s_ctr, F_RESULT | F_UNDEF
	describe s_cntp, F_RESULT | F_UNDEF
	describe s_sgi, F_X(0) | F_UNDEF
	describe s_cssel, F_X(0) | F_UNDEF
	describe s_ccsid, F_RESULT | F_UNDEF
	describe s_strb, STORE, 0, SECRETS_DEVICE_GPA
	describe s_strh, STORE, 0, SECRETS_DEVICE_GPA
	describe s_strw, STORE, 0, SECRETS_DEVICE_GPA
	describe s_strx, STORE | F_X(0), 0x1122334455667788, SECRETS_DEVICE_GPA
	describe s_strz, STORE, 0, SECRETS_DEVICE_GPA
	describe s_ldrb, LOAD, 0, SECRETS_DEVICE_GPA, post=POST_UNSIGNED
	describe s_ldrh, LOAD, 0, SECRETS_DEVICE_GPA, post=POST_UNSIGNED + 1
	describe s_ldrw, LOAD, 0, SECRETS_DEVICE_GPA, post=POST_UNSIGNED + 2
	describe s_ldrx, LOAD, 0, SECRETS_DEVICE_GPA
	describe s_ldsbw, LOAD, 0, SECRETS_DEVICE_GPA, post=POST_SIGNED32
	describe s_ldshw, LOAD, 0, SECRETS_DEVICE_GPA, post=POST_SIGNED32 + 1
	describe s_ldsbx, LOAD, 0, SECRETS_DEVICE_GPA, post=POST_SIGNED64
	describe s_ldshx, LOAD, 0, SECRETS_DEVICE_GPA, post=POST_SIGNED64 + 1
	describe s_ldswx, LOAD, 0, SECRETS_DEVICE_GPA, post=POST_SIGNED64 + 2
	describe s_ldrz, STORE, 0, SECRETS_DEVICE_GPA
	describe s_strx, STORE | F_CPU_PAGE, 0, SECRETS_TOUCH_GPA, pre=PRE_RELINQUISH, \
		post=POST_STORED
	describe s_ldrx, LOAD | F_CPU_PAGE, 0, SECRETS_TOUCH_GPA, pre=PRE_RELINQUISH
	describe s_hvc, CALL | F_CPU_PAGE, 0xc6000009, SECRETS_TOUCH_GPA, 1, post=POST_ONE
	describe s_hvc, CALL | F_CPU_PAGE, 0xc6000003, SECRETS_SHARED_GPA, 1, pre=PRE_MARK, \
		post=POST_ONE
	describe s_hvc, CALL | F_CPU_PAGE, 0xc6000004, SECRETS_SHARED_GPA, 1, post=POST_MARK
	describe s_smc, CALL0 | F_UNDEF, 0x84000000
	describe s_hvc, CALL, 0xc4000003, 0xff, SECRETS_GPA, post=POST_REFUSED
	describe s_hvc, CALL | F_CPU_ID, 0xc4000003, 0, SECRETS_GPA, post=POST_REFUSED

	.set	nr_usual, nr_sites
	/* Only where it is asked for: the guest shows a device a secret. */
	describe s_strx, STORE, 0, SECRETS_DEVICE_GPA

number_of_sites:
	.word	nr_usual
	.balign	8
	.globl	pkvm_secrets_end
pkvm_secrets_end:
	/* An error here: the code reaches into the data. */
	.org	pkvm_secrets_start + SECRETS_DATA

	.globl	pkvm_secrets_leak, pkvm_secrets_gadget, pkvm_secrets_hvc
pkvm_secrets_leak:
	.word	nr_usual
pkvm_secrets_gadget:
	.word	gadget - pkvm_secrets_start
pkvm_secrets_hvc:
	.word	s_hvc - pkvm_secrets_start
