/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Vectors of a guest and of its VMM: routines that fill and check them, for the payload's
 * PKVM_OP_EXEC in memory of their own, and their counterparts for the test's own process. What
 * both and their test agree on.
 *
 * An image of all vectors is Z0 to Z31, P0 to P15 and FFR as they lie one after the other.
 */
#ifndef SELFTEST_KVM_ARM64_PKVM_SVE_H
#define SELFTEST_KVM_ARM64_PKVM_SVE_H

/* The guest's memory: code, then for each image 64 KiB, the second half of which is scratch. */
#define SVE_GPA			0x90000000
#define SVE_CHUNK		0x10000
#define SVE_SCRATCH		0x8000
#define SVE_NR_IMAGES		3
#define SVE_MEM_SIZE		((1 + SVE_NR_IMAGES) * SVE_CHUNK)

/* Those that KVM and these routines can have: bytes in a vector, and in an image of them. */
#define SVE_MAX_VL		256
#define SVE_MAX_IMAGE		(35 * SVE_MAX_VL)

#ifndef __ASSEMBLER__

#include <linux/types.h>

struct sve_image {
	u8 bytes[SVE_MAX_IMAGE];
} __attribute__((aligned(16)));

/* Of this process. */
u64 sve_host_vl(void);
/* Vectors from @in; ioctl(@fd, @cmd, 0); to @out what they are then. -errno, not errno. */
long sve_host_ioctl(int fd, unsigned long cmd, const struct sve_image *in,
		    struct sve_image *out);
/* The same, but no system call: @rounds of a loop. */
void sve_host_hold(u64 rounds, const struct sve_image *in, struct sve_image *out);

extern const char sve_guest_start[], sve_guest_end[];
/* With x1..x3; what they answer is in x0..x3. See pkvm_sve.S. */
extern const char vec_on[], vec_fill[], vec_check[], vec_ids[], vec_load[], vec_store[],
	vec_hvc[], vec_wfi[], vec_spin[], fp_fill[], fp_check[], fp_any[];
/* CPACR_EL1 = x1; single instructions. */
extern const char sve_cpacr[], sve_rdvl[], sve_dup[], sve_ptrue[], sve_rdffr[], sve_str[],
	sve_zcr[];

#endif /* __ASSEMBLER__ */
#endif /* SELFTEST_KVM_ARM64_PKVM_SVE_H */
