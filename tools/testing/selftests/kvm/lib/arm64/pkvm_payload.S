/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command interpreter that runs in a protected guest: see pkvm_guest.h.
 *
 * Runs at EL1 with the MMU off, in one page, on registers only. Position
 * independent. Accesses to the mailbox are plain 64-bit loads and stores without
 * writeback: others have no valid syndrome.
 *
 *   x19  mailbox		x28  operation word
 */
#include "pkvm_guest.h"

	.section .rodata
	.balign	4096
	.globl	pkvm_payload_start
pkvm_payload_start:
	movz	x19, #(PKVM_MBOX_GPA >> 16), lsl #16
	adr	x9, vectors		/* x0 is the context that a NOP may ask for */
	msr	vbar_el1, x9
	isb

next:
	ldr	x28, [x19, #PKVM_MBOX_OP]
	ubfx	x10, x28, #8, #8
	cbz	x10, 1f
	ldr	x0, [x19, #PKVM_MBOX_ARG(0)]
	sub	x10, x10, #1
	cbz	x10, 1f
	ldr	x1, [x19, #PKVM_MBOX_ARG(1)]
	sub	x10, x10, #1
	cbz	x10, 1f
	ldr	x2, [x19, #PKVM_MBOX_ARG(2)]
	sub	x10, x10, #1
	cbz	x10, 1f
	ldr	x3, [x19, #PKVM_MBOX_ARG(3)]
	sub	x10, x10, #1
	cbz	x10, 1f
	ldr	x4, [x19, #PKVM_MBOX_ARG(4)]
1:	and	x9, x28, #0xff
	cmp	x9, #PKVM_NR_OPS
	b.hs	done
	adr	x10, 2f
	add	x10, x10, x9, lsl #2
	br	x10
2:	b	done			/* NOP */
	b	op_read64
	b	op_write64
	b	op_hvc
	b	op_exec
	b	op_id
	b	op_off
	b	op_fill
	b	op_check
	b	op_pingpong
	b	op_batch
	b	op_cpu_off

	/* The store of result 0 tells the host that the others are there. */
done:
	ubfx	x10, x28, #16, #8
	cmp	x10, #2
	b.lo	1f
	str	x1, [x19, #PKVM_MBOX_RES(1)]
	b.eq	1f
	str	x2, [x19, #PKVM_MBOX_RES(2)]
	cmp	x10, #4
	b.lo	1f
	str	x3, [x19, #PKVM_MBOX_RES(3)]
	b.eq	1f
	str	x4, [x19, #PKVM_MBOX_RES(4)]
1:	str	x0, [x19, #PKVM_MBOX_RES(0)]
	b	next

op_read64:
	ldr	x0, [x0]
	dsb	sy
	b	done

op_write64:
	str	x1, [x0]
	dsb	sy
	b	done

op_hvc:
	hvc	#0
	b	done

op_exec:
	ic	iallu
	dsb	sy
	isb
	blr	x0
	b	done

op_id:
	mrs	x0, mpidr_el1
	mrs	x1, CurrentEL
	mrs	x2, sctlr_el1
	b	done

op_off:
	movz	x0, #(PKVM_HVC_SYSTEM_OFF >> 16), lsl #16
	movk	x0, #(PKVM_HVC_SYSTEM_OFF & 0xffff)
	hvc	#0
	b	done

op_cpu_off:
	movz	x0, #(PKVM_HVC_CPU_OFF >> 16), lsl #16
	movk	x0, #(PKVM_HVC_CPU_OFF & 0xffff)
	hvc	#0
	b	done

op_fill:
	cbz	x1, 2f
1:	str	x2, [x0]
	add	x0, x0, x4
	add	x2, x2, x3
	subs	x1, x1, #1
	b.ne	1b
2:	dsb	sy
	b	done

op_check:
	mov	x5, #0			/* mismatches */
	mov	x6, #0			/* the last one's address */
	mov	x7, #0			/* and what was there */
	cbz	x1, 3f
1:	ldr	x8, [x0]
	cmp	x8, x2
	b.eq	2f
	add	x5, x5, #1
	mov	x6, x0
	mov	x7, x8
2:	add	x0, x0, x4
	add	x2, x2, x3
	subs	x1, x1, #1
	b.ne	1b
3:	mov	x0, x5
	mov	x1, x6
	mov	x2, x7
	b	done

	/*
	 * Rounds of SHARE and UNSHARE, each until the whole range is done. With a
	 * stamp (x3 != 0) the first word of the range is this vCPU's alone: it must
	 * still be there after the round.
	 */
op_pingpong:
	mov	x20, x0			/* gpa */
	mov	x21, x1			/* granules */
	mov	x22, x2			/* rounds left, and the stamp */
	mov	x23, x3
	mov	x12, x4			/* size of a granule */
	mov	x24, #0			/* shared */
	mov	x25, #0			/* unshared */
	mov	x26, #0			/* refused */
	mov	x27, #0			/* odd: neither done nor refused */
	mov	x18, #0			/* torn: the stamp was lost */
	cbz	x22, 7f

1:	cbz	x23, 2f
	str	x22, [x20]
	dsb	sy
2:	movz	x16, #(PKVM_HVC_SHARE >> 16), lsl #16
	movk	x16, #(PKVM_HVC_SHARE & 0xffff)
	bl	hvc_all
	cbnz	x0, 3f
	add	x24, x24, #1
	b	4f
3:	cmn	x0, #3
	cinc	x26, x26, eq
	cinc	x27, x27, ne

4:	movz	x16, #(PKVM_HVC_UNSHARE >> 16), lsl #16
	movk	x16, #(PKVM_HVC_UNSHARE & 0xffff)
	bl	hvc_all
	cbnz	x0, 5f
	add	x25, x25, #1
	b	6f
5:	cmn	x0, #3
	cinc	x26, x26, eq
	cinc	x27, x27, ne

6:	cbz	x23, 8f
	ldr	x4, [x20]
	cmp	x4, x22
	cinc	x18, x18, ne
8:	subs	x22, x22, #1
	b.ne	1b

7:	mov	x0, x24
	mov	x1, x25
	mov	x2, x26
	mov	x3, x27
	mov	x4, x18
	b	done

	/* Function x16 on x21 granules at x20. x0: 0, or the code that ended it. */
hvc_all:
	mov	x14, x20
	mov	x15, x21
1:	mov	x0, x16
	mov	x1, x14
	mov	x2, x15
	mov	x3, #0
	hvc	#0
	cbnz	x0, 3f
	cbz	x1, 2f			/* success with nothing done: odd */
	cmp	x1, x15
	b.hi	2f			/* more than was asked for: odd */
	madd	x14, x1, x12, x14
	sub	x15, x15, x1
	cbnz	x15, 1b
	ret
2:	mov	x0, #1
3:	ret

	/*
	 * Commands from memory. x20: the current one, x21: how many are left. Where there is
	 * a GIC (x2), interrupts are on: one of them says that it is not to be done.
	 */
op_batch:
	mov	x20, x0
	mov	x21, x1
	cbz	x2, 1f
	mov	x9, #0xff
	msr	icc_pmr_el1, x9
	mov	x9, #1
	msr	icc_igrpen1_el1, x9
	isb
	msr	daifclr, #2
1:	cbz	x21, 8f
	ldr	x9, [x20]
	ldp	x0, x1, [x20, #8]
	ldp	x2, x3, [x20, #24]
	cmp	x9, #PKVM_NR_CMDS
	b.hs	7f
	adr	x10, 2f
	add	x10, x10, x9, lsl #2
	br	x10
2:	b	7f			/* NOP */
	b	3f
	b	4f
	b	5f
	b	cmd_fill
	b	cmd_check
3:	ldr	x0, [x0]
	b	7f
4:	str	x1, [x0]
	b	7f
5:	hvc	#0
7:	dsb	sy
	str	x0, [x20, #40]
	stp	x1, x2, [x20, #48]
skip:
	add	x20, x20, #PKVM_CMD_SIZE
	sub	x21, x21, #1
	b	1b
8:	msr	daifset, #2
	dsb	sy
	mov	x0, #0
	b	done

cmd_fill:
	mov	x2, #PKVM_CMD_LINES
1:	str	x1, [x0], #PKVM_CMD_LINE
	subs	x2, x2, #1
	b.ne	1b
	b	7b

cmd_check:
	mov	x2, x0
	mov	x1, #0
	mov	x3, #PKVM_CMD_LINES
	ldr	x0, [x2]
1:	ldr	x4, [x2], #PKVM_CMD_LINE
	cmp	x4, x0
	cinc	x1, x1, ne
	subs	x3, x3, #1
	b.ne	1b
	mov	x2, #0
	b	7b

	/* Whatever is taken is told to the host, and the next command is fetched. */
	.macro	tell
	.balign	128
	mrs	x0, elr_el1
	mrs	x1, far_el1
	mrs	x2, esr_el1
	str	x0, [x19, #PKVM_MBOX_ELR]
	str	x1, [x19, #PKVM_MBOX_FAR]
	str	x2, [x19, #PKVM_MBOX_ESR]
	b	next
	.endm

	.balign	2048
vectors:
	.rept	5
	tell
	.endr

	/* The host takes its line down when it is told, before the end of the interrupt. */
	.balign	128
	mrs	x9, icc_iar1_el1
	cmp	x9, #PKVM_SKIP_INTID
	b.ne	1f
	str	x21, [x19, #PKVM_MBOX_LEFT]
	msr	icc_eoir1_el1, x9
	adr	x9, skip
	msr	elr_el1, x9
1:	eret

	.rept	10
	tell
	.endr
	.balign	128
	.globl	pkvm_payload_end
pkvm_payload_end:

	.section .note.GNU-stack,"",%progbits
