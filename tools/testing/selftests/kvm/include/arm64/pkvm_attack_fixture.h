/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixture of tests in which a VMM without privileges attacks a protected guest: two vCPUs,
 * of which the first runs and the second is off until the guest says otherwise.
 */
#ifndef SELFTEST_KVM_ARM64_PKVM_ATTACK_FIXTURE_H
#define SELFTEST_KVM_ARM64_PKVM_ATTACK_FIXTURE_H

#include "kselftest_harness.h"
#include "pkvm_attack.h"

#define SECRET		0x5ec2e700c0ffee11ULL
#define NEW_SECRET	0x5ec2e7001234d00dULL
#define FORGED		0xf02ed0f02ed0f0f0ULL

#define GPA(nr)		attack_gpa(&self->a, nr)
#define HVA(nr)		attack_hva(&self->a, nr)
#define SECRET_GPA	GPA(ATTACK_PAGE_SECRET)
#define SECRET_HVA	HVA(ATTACK_PAGE_SECRET)

FIXTURE(cpu) {
	struct attack a;
	struct pkvm_vcpu *vcpu;
	struct pkvm_vcpu *other;
};

FIXTURE_SETUP(cpu)
{
	attack_vm_create(&self->a, 2, PKVM_VM_PROTECTED | PKVM_VM_MANUAL_START);
	self->vcpu = self->a.vcpu;
	self->other = self->a.other;
}

FIXTURE_TEARDOWN(cpu)
{
	attack_vm_destroy(&self->a);
	EXPECT_EQ(0, attack_kmsg_bad());
}

/* From here on the guest runs, and has something to lose. */
static inline void start(FIXTURE_DATA(cpu) * self)
{
	guest_write64(self->vcpu, SECRET_GPA, SECRET);
}

/* The guest starts its second vCPU, which then waits for commands, too. */
static inline bool start_other(FIXTURE_DATA(cpu) * self)
{
	return !guest_cpu_on(self->vcpu, attack_mpidr(1), PKVM_CODE_GPA, 0) &&
	       !pkvm_vcpu_call(self->other, PKVM_OP_NOP, NULL, 0, 1);
}

/* Private, out of the VMM's reach, and as the guest wrote it. */
static inline bool safe(FIXTURE_DATA(cpu) * self, int nr, u64 secret)
{
	u64 val = 0;
	int attr, sig, ret;

	attr = gmem_set_attr(self->a.fd, nr * self->a.page, self->a.page, GMEM_SHARED);
	sig = gmem_host_read64(HVA(nr), &val);
	if (attr != -EPERM || sig != SIGBUS) {
		fprintf(stderr, "# the VMM has the page: SET shared %d, signal %d, found %#lx\n",
			attr, sig, (unsigned long)val);
		return false;
	}
	ret = __guest_read64(self->vcpu, GPA(nr), &val);
	if (ret || val != secret) {
		fprintf(stderr, "# the guest has lost its page: %d, esr %#lx, found %#lx\n", ret,
			(unsigned long)self->vcpu->esr, (unsigned long)val);
		return false;
	}
	return true;
}

static inline bool secret_is_safe(FIXTURE_DATA(cpu) * self)
{
	return safe(self, ATTACK_PAGE_SECRET, SECRET);
}

#endif /* SELFTEST_KVM_ARM64_PKVM_ATTACK_FIXTURE_H */
