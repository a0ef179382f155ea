// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reset of a protected vCPU: its first entry, and each after the guest's CPU_ON.
 *
 * Nothing of the host's but the entry point of the first vCPU; the rest is what the
 * architecture and the boot protocol ask for, and zero where they leave it open.
 */
#include <linux/kvm_host.h>

#include <asm/kvm_emulate.h>

#include <nvhe/pkvm.h>
#include <nvhe/pvm_vcpu.h>

/* MMU and caches off; the bits that are RES1 in a CPU without the features behind them. */
#define SCTLR_EL1_RESET		0x00c50078UL

#define PSTATE_RESET		(PSR_MODE_EL1h | PSR_D_BIT | PSR_A_BIT | PSR_I_BIT | PSR_F_BIT)

/**
 * pvm_mpidr() - MPIDR_EL1 of a protected vCPU
 * @vcpu: the hyp vCPU, whose number EL2 has checked
 *
 * Sixteen CPUs to a cluster, as KVM numbers them for any guest: GICv3's SGIs reach 16 at a time.
 */
u64 pvm_mpidr(const struct kvm_vcpu *vcpu)
{
	u64 id = vcpu->vcpu_id;

	return BIT_ULL(31) |
	       (id & 0xf) << MPIDR_LEVEL_SHIFT(0) |
	       ((id >> 4) & 0xff) << MPIDR_LEVEL_SHIFT(1) |
	       ((id >> 12) & 0xff) << MPIDR_LEVEL_SHIFT(2);
}

/**
 * pvm_reset_vcpu() - a vCPU begins
 * @hyp_vcpu: loaded, and not running
 * @entry: where, and with what
 */
void pvm_reset_vcpu(struct pkvm_hyp_vcpu *hyp_vcpu, const struct pvm_entry_point *entry)
{
	struct kvm_vcpu *vcpu = &hyp_vcpu->vcpu;
	struct kvm_cpu_context *ctxt = &vcpu->arch.ctxt;
	u64 sctlr = SCTLR_EL1_RESET;

	if (entry->big_endian)
		sctlr |= SCTLR_ELx_EE;

	memset(ctxt, 0, sizeof(*ctxt));
	pvm_reset_sve(vcpu);
	ctxt->regs.pc = entry->pc;
	ctxt->regs.regs[0] = entry->r0;
	ctxt->regs.pstate = PSTATE_RESET;
	ctxt_sys_reg(ctxt, SCTLR_EL1) = sctlr;
	ctxt_sys_reg(ctxt, MPIDR_EL1) = pvm_mpidr(vcpu);

	memset(&vcpu->arch.fault, 0, sizeof(vcpu->arch.fault));
	hyp_vcpu->pvm.exit = PVM_EXIT_NOTHING;
}
