/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that keeps secrets in all its registers and looks at them after every exit. What it
 * and its test agree on; for assembly, too.
 */
#ifndef SELFTEST_KVM_ARM64_PKVM_SECRETS_H
#define SELFTEST_KVM_ARM64_PKVM_SECRETS_H

/* Each vCPU has an image of its own: code, and at SECRETS_DATA what it remembers. */
#define SECRETS_GPA		0x80000000
#define SECRETS_IMAGE_SHIFT	16
#define SECRETS_DATA		0x8000
/* Each vCPU has two pages of memory that come and go, and are shared. */
#define SECRETS_TOUCH_GPA	0x90000000
#define SECRETS_SHARED_GPA	0x90001000
/* Stores to the first word are reports; the second page is some device. */
#define SECRETS_REPORT_GPA	0x10000000
#define SECRETS_DEVICE_GPA	0x10001000

#define SECRETS_MAX_VCPUS	4
/* How many iterations a vCPU does before it goes off. */
#define SECRETS_CHUNK		16

/*
 * A secret: 0x5ec2e700 | vCPU in bits 63-32, SECRETS_LOW in bits 31-24, which register in bits
 * 23-12, the iteration in bits 11-0.
 */
#define SECRETS_HIGH		0x5ec2e700
#define SECRETS_LOW		0xa7
/* The complement of what all have in common, which may stand in memory. */
#define SECRETS_MASK		0xfffffffcff000000
#define SECRETS_ANTI_TAG	0xa13d18fc58000000
/* Secrets with SECRETS_CONTROL differ from all others in this bit. */
#define SECRETS_CONTROL_BIT	39

/* Which register: x0-x30 have their own numbers. */
#define SECRETS_SP		31
#define SECRETS_SYS		32	/* in the order of the list in pkvm_secrets.S */
#define SECRETS_V		64	/* two for each */
#define SECRETS_KEY		128
#define SECRETS_NZCV		140
#define SECRETS_RESULT		141	/* not a register: the call's result is wrong */
#define SECRETS_MEMORY		142	/* what was written is not there */
#define SECRETS_TIMER		143
#define SECRETS_COUNTER		144
#define SECRETS_MPIDR		145	/* not the vCPU's place in memory */
#define SECRETS_ID		146	/* in the order of each_id_reg */
#define SECRETS_DEBUG		162	/* a debug register that holds something */

/* A report: kind in bits 63-56, site in 55-48, which in 47-32, and 32 bits of what differs. */
#define SECRETS_CHANGED		1	/* expected ^ found */
#define SECRETS_SKIPPED		2	/* an instruction was not executed */
#define SECRETS_EXCEPTION	3	/* one that nobody may cause; ESR */
#define SECRETS_BAD_START	4	/* a vCPU started where or how it should not */
#define SECRETS_DONE		5	/* all is over; iterations */
#define SECRETS_ALLOWED		6	/* exceptions that the host may cause; how many */
/* All memory is there: what the host does now counts. 32 bits that stand for all ID registers. */
#define SECRETS_READY		7

/* x0 at the start: iterations in bits 31-0, vCPUs in 39-32, and these. */
#define SECRETS_GUARD		40	/* enroll in MMIO guard, where it is offered */
#define SECRETS_CONTROL		41	/* secrets that are no harm where they lie about */
#define SECRETS_SITE_SHIFT	48	/* 1 + the only site to be run, 0: all */

#ifndef __ASSEMBLER__
extern const char pkvm_secrets_start[], pkvm_secrets_end[];
/* The site that is not run unless it is the only one: it shows a device a secret. */
extern const unsigned int pkvm_secrets_leak;
/* From the start of the image: code that nobody calls, which reports SECRETS_BAD_START. */
extern const unsigned int pkvm_secrets_gadget;
/* The HVC of most sites. */
extern const unsigned int pkvm_secrets_hvc;
#endif

#endif /* SELFTEST_KVM_ARM64_PKVM_SECRETS_H */
