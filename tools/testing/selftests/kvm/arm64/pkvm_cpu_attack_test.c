// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VMM without privileges attacks the CPU of a protected guest: registers, debugging,
 * exceptions, power and time. What comes of it must be nothing: each test asserts that what the
 * guest hides stays hidden and that the guest does what its own code says. MMIO is in
 * pkvm_cpu_mmio_test.
 */
#include <errno.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "pkvm_attack_fixture.h"

#define DEBUG_STEP	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP)
#define DEBUG_BREAK	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW)
#define PSCI_FEATURE	(1U << KVM_ARM_VCPU_PSCI_0_2)
#define OFF_FEATURE	(1U << KVM_ARM_VCPU_POWER_OFF)

TEST(the_attacker_has_no_privileges)
{
	EXPECT_FALSE(attack_has_privileges());
}

/*
 * The five of which each gave away a guest's memory.
 */

/* A vCPU that the guest never started calls MEM_SHARE for it. */
TEST_F(cpu, share_by_a_vcpu_never_started)
{
	start(self);
	attack_set_call(self->other, attack_gadget(ATTACK_INSN_HVC), PKVM_HVC_SHARE, SECRET_GPA, 1);
	attack_set_mp_state(self->other, KVM_MP_STATE_RUNNABLE);
	attack_run(self->other, 50);
	EXPECT_TRUE(secret_is_safe(self));

	/* Once more, by the book: init, registers, run. */
	attack_init(self->other, PSCI_FEATURE);
	attack_set_call(self->other, attack_gadget(ATTACK_INSN_HVC), PKVM_HVC_SHARE, SECRET_GPA, 1);
	attack_run(self->other, 50);
	EXPECT_TRUE(secret_is_safe(self));
}

/* The VMM answers an UNSHARE that waits for it, so that the guest believes in it. */
TEST_F(cpu, unshare_answered_by_the_vmm)
{
	struct gmem_pin pin;
	u64 pc = 0, val = 0;
	int ret;

	start(self);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, SECRET_GPA, 1, NULL));
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, SECRET_HVA, self->a.page));
	EXPECT_EQ(-EFAULT, __guest_hvc(self->vcpu, PKVM_HVC_UNSHARE, SECRET_GPA, 1, 0));

	EXPECT_EQ(-EPERM, attack_get_reg(self->vcpu, ATTACK_REG_PC, &pc));
	if (!pc)
		pc = attack_gadget(ATTACK_INSN_HVC);
	EXPECT_EQ(0, attack_set_call(self->vcpu, pc + 4, PKVM_SUCCESS, 1, 0));
	ret = attack_resume(self->vcpu, 100);
	EXPECT_EQ(-EFAULT, ret) TH_LOG("the guest was told %ld", (long)self->vcpu->res[0]);

	/* A guest that takes this for done goes on to write what nobody may see. */
	if (!ret) {
		guest_write64(self->vcpu, SECRET_GPA, NEW_SECRET);
		if (!gmem_host_read64(SECRET_HVA, &val))
			EXPECT_NE(NEW_SECRET, val) TH_LOG("the VMM reads the new secret");
		gmem_pin_drop(&pin);
		return;
	}
	gmem_pin_drop(&pin);
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, ret, self->a.fd, ATTACK_MEM_GPA));
	EXPECT_EQ(PKVM_SUCCESS, (s64)self->vcpu->res[0]);
	EXPECT_TRUE(secret_is_safe(self));
}

/* A load of the guest's, run where the VMM likes; then its register is read. */
TEST_F(cpu, register_read_after_a_load_elsewhere)
{
	u64 val = 0;

	start(self);
	attack_set_call(self->other, attack_gadget(ATTACK_INSN_LOAD), SECRET_GPA, 0, 0);
	attack_set_mp_state(self->other, KVM_MP_STATE_RUNNABLE);
	attack_run(self->other, 50);
	attack_get_reg(self->other, ATTACK_REG_X(0), &val);
	EXPECT_NE(SECRET, val) TH_LOG("x0 is the secret");
	EXPECT_FALSE(attack_find_in_run(self->other, SECRET));
	EXPECT_EQ(0, attack_find_in_regs(self->other, SECRET));
	EXPECT_TRUE(secret_is_safe(self));
}

/* Memory that the VMM tells the guest of and gives no slot: stores to it come to the VMM. */
TEST_F(cpu, stores_to_memory_without_a_slot)
{
	u64 val = 0;
	int ret;

	start(self);
	EXPECT_EQ(0, attack_exec(self->vcpu, attack_enroll, 0, 0, 0));
	EXPECT_EQ(PKVM_SUCCESS, (s64)self->vcpu->res[0]);

	ret = __guest_write64(self->vcpu, ATTACK_HOLE_GPA, SECRET);
	EXPECT_EQ(PKVM_STOP_EXCEPTION, ret) TH_LOG("exit %u", self->vcpu->run->exit_reason);
	if (ret == PKVM_STOP_OTHER && self->vcpu->run->exit_reason == KVM_EXIT_MMIO)
		memcpy(&val, self->vcpu->run->mmio.data, sizeof(val));
	EXPECT_NE(SECRET, val) TH_LOG("the store is in mmio.data");
	EXPECT_FALSE(attack_find_in_run(self->vcpu, SECRET));
}

/* A RELINQUISH that the guest did not call, and then the VMM's own content in its place. */
TEST_F(cpu, relinquish_forged)
{
	u64 off = ATTACK_PAGE_SECRET * self->a.page;

	start(self);
	attack_set_call(self->other, attack_gadget(ATTACK_INSN_HVC), PKVM_HVC_RELINQUISH,
			SECRET_GPA, 1);
	attack_set_mp_state(self->other, KVM_MP_STATE_RUNNABLE);
	attack_run(self->other, 50);
	EXPECT_EQ(-EPERM, gmem_set_attr(self->a.fd, off, self->a.page, GMEM_SHARED));
	EXPECT_EQ(SIGBUS, gmem_host_write64(SECRET_HVA, FORGED));
	gmem_set_attr(self->a.fd, off, self->a.page, GMEM_PRIVATE);
	EXPECT_EQ(SECRET, guest_read64(self->vcpu, SECRET_GPA));
}

/*
 * Registers.
 */

/* The guest stops at a load of its own with a secret in every register that it has. */
static int fill_registers(FIXTURE_DATA(cpu) * self)
{
	return attack_exec(self->vcpu, attack_secrets, SECRET, ATTACK_PROBE_GPA,
			   GPA(ATTACK_PAGE_RECORD));
}

TEST_F(cpu, registers_are_hidden)
{
	start(self);
	ASSERT_EQ(PKVM_STOP_OTHER, fill_registers(self));
	ASSERT_EQ(KVM_EXIT_MMIO, self->vcpu->run->exit_reason);
	EXPECT_EQ(0, attack_find_in_regs(self->vcpu, SECRET));
	EXPECT_FALSE(attack_find_in_run(self->vcpu, SECRET));
	EXPECT_EQ(0, attack_resume(self->vcpu, 1000));
	EXPECT_EQ(0, self->vcpu->res[0]);
}

TEST_F(cpu, registers_are_kept)
{
	struct kvm_reg_list *list;
	u64 val[32];
	int taken = 0;
	u64 i;

	start(self);
	ASSERT_EQ(PKVM_STOP_OTHER, fill_registers(self));
	list = calloc(1, sizeof(*list) + 4096 * sizeof(u64));
	list->n = 4096;
	if (ioctl(self->vcpu->fd, KVM_GET_REG_LIST, list))
		list->n = 0;
	memset(val, 0xa5, sizeof(val));
	for (i = 0; i < list->n; i++) {
		struct kvm_one_reg reg = { list->reg[i], (u64)val };

		/* The interesting ones only: not where it goes on, nor how. */
		if (reg.id == ATTACK_REG_PC || reg.id == ATTACK_REG_PSTATE)
			continue;
		taken += !ioctl(self->vcpu->fd, KVM_SET_ONE_REG, &reg);
	}
	EXPECT_EQ(0, taken) TH_LOG("%d registers of %llu were written", taken, list->n);
	free(list);

	/* On a kernel that believes them the guest is lost, and says so by not coming back. */
	EXPECT_EQ(0, attack_resume(self->vcpu, 1000));
	EXPECT_EQ(0, self->vcpu->res[0]);
	EXPECT_FALSE(attack_find_in_run(self->vcpu, SECRET));
}

/* The store at which it is idle is not completed: that would move the PC. */
static void run_gadget(FIXTURE_DATA(cpu) * self)
{
	self->vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	attack_run(self->vcpu, 50);
}

TEST_F(cpu, pc_set_to_a_gadget)
{
	start(self);
	EXPECT_EQ(0, attack_set_call(self->vcpu, attack_gadget(ATTACK_INSN_LOAD), SECRET_GPA,
				     0, 0));
	run_gadget(self);
	EXPECT_FALSE(attack_find_in_run(self->vcpu, SECRET));
	EXPECT_EQ(0, attack_set_call(self->vcpu, attack_gadget(ATTACK_INSN_HVC), PKVM_HVC_SHARE,
				     SECRET_GPA, 1));
	run_gadget(self);
	EXPECT_TRUE(secret_is_safe(self));
}

/* While the guest is at an exit: page tables of the VMM's choice, and the MMU on. */
TEST_F(cpu, ttbr0_swapped)
{
	u64 sctlr = 0x30d00801;

	start(self);
	ASSERT_EQ(PKVM_STOP_OTHER, fill_registers(self));
	EXPECT_EQ(-EPERM, attack_set_reg(self->vcpu, ATTACK_REG_TTBR0, GPA(ATTACK_PAGE_FREE)));
	EXPECT_EQ(-EPERM, attack_set_reg(self->vcpu, ATTACK_REG_SCTLR, sctlr));
	EXPECT_EQ(0, attack_resume(self->vcpu, 1000));
	EXPECT_EQ(0, self->vcpu->res[0]);
}

/*
 * What the guest finds as its own number is not the VMM's to say. A host that has been told
 * another one may not find the vCPU: that denies the guest a CPU, and the guest knows it.
 */
TEST_F(cpu, mpidr_changed)
{
	s64 ret;

	attack_set_reg(self->vcpu, ATTACK_REG_MPIDR, 0x80000000 | attack_mpidr(5));
	EXPECT_EQ(attack_mpidr(0), guest_mpidr(self->vcpu) & 0xff00ffffff);
	start(self);
	attack_set_reg(self->other, ATTACK_REG_MPIDR, 0x80000000 | attack_mpidr(0));
	ret = guest_cpu_on(self->vcpu, attack_mpidr(1), PKVM_CODE_GPA, 0);
	if (!ret) {
		EXPECT_EQ(attack_mpidr(1), guest_mpidr(self->other) & 0xff00ffffff);
		return;
	}
	EXPECT_EQ(PSCI_INTERNAL_FAILURE, ret);
	EXPECT_EQ(1, guest_hvc(self->vcpu, PSCI_AFFINITY_INFO, attack_mpidr(1), 0, 0, NULL));
	EXPECT_TRUE(attack_never_runs(self->other));
}

TEST_F(cpu, mpidr_of_another_primary_changed)
{
	EXPECT_EQ(0, attack_init(self->other, PSCI_FEATURE));
	EXPECT_EQ(0, attack_set_reg(self->other, ATTACK_REG_PC, PKVM_CODE_GPA));
	attack_set_reg(self->other, ATTACK_REG_MPIDR, 0x80000000 | attack_mpidr(0));
	EXPECT_EQ(attack_mpidr(1), guest_mpidr(self->other) & 0xff00ffffff);
}

/*
 * Debugging.
 */

/* Whatever was asked for, the guest's eight additions come to eight, and nobody looks on. */
static bool not_debugged(struct pkvm_vcpu *vcpu)
{
	int ret = attack_exec(vcpu, attack_count, 0, 0, 0);

	if (!ret && vcpu->res[0] == 8)
		return true;
	fprintf(stderr, "# KVM_RUN %d, exit %u\n", ret, vcpu->run->exit_reason);
	return false;
}

TEST_F(cpu, single_step)
{
	start(self);
	EXPECT_EQ(-EPERM, attack_debug(self->vcpu, DEBUG_STEP, 0));
	EXPECT_TRUE(not_debugged(self->vcpu));
}

TEST_F(cpu, single_step_set_before_the_run)
{
	attack_debug(self->vcpu, DEBUG_STEP, 0);
	EXPECT_TRUE(not_debugged(self->vcpu));
}

TEST_F(cpu, breakpoint)
{
	start(self);
	EXPECT_EQ(-EPERM, attack_debug(self->vcpu, DEBUG_BREAK, attack_code(attack_count_mid)));
	EXPECT_TRUE(not_debugged(self->vcpu));
}

TEST_F(cpu, breakpoint_set_before_the_run)
{
	attack_debug(self->vcpu, DEBUG_BREAK, attack_code(attack_count_mid));
	EXPECT_TRUE(not_debugged(self->vcpu));
}

/*
 * Exceptions.
 */

TEST_F(cpu, external_abort_at_idle)
{
	start(self);
	EXPECT_EQ(-EPERM, attack_abort(self->vcpu));
	EXPECT_EQ(SECRET, guest_read64(self->vcpu, SECRET_GPA));
}

TEST_F(cpu, external_abort_at_a_memory_abort)
{
	u64 off = ATTACK_PAGE_FREE * self->a.page, val = 0;

	/* Before the guest runs: it gets all that is private around what it touches. */
	EXPECT_EQ(0, gmem_set_attr(self->a.fd, off, self->a.page, GMEM_SHARED));
	start(self);
	EXPECT_EQ(-EFAULT, __guest_read64(self->vcpu, GPA(ATTACK_PAGE_FREE), &val));
	EXPECT_EQ(-EPERM, attack_abort(self->vcpu));
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, -EFAULT, self->a.fd, ATTACK_MEM_GPA));
	EXPECT_EQ(0, self->vcpu->esr);
}

TEST_F(cpu, external_abort_at_a_hypercall)
{
	struct gmem_pin pin;

	start(self);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, SECRET_GPA, 1, NULL));
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, SECRET_HVA, self->a.page));
	EXPECT_EQ(-EFAULT, __guest_hvc(self->vcpu, PKVM_HVC_UNSHARE, SECRET_GPA, 1, 0));
	EXPECT_EQ(-EPERM, attack_abort(self->vcpu));
	EXPECT_EQ(-EFAULT, attack_resume(self->vcpu, 1000));
	EXPECT_EQ(-EPERM, attack_abort(self->vcpu));
	gmem_pin_drop(&pin);
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, -EFAULT, self->a.fd, ATTACK_MEM_GPA));
	EXPECT_EQ(PKVM_SUCCESS, (s64)self->vcpu->res[0]);
	EXPECT_EQ(0, self->vcpu->esr);
	EXPECT_TRUE(secret_is_safe(self));
}

/* Allowed, and the guest's PSTATE.A keeps it out: it starts with DAIF masked. */
TEST_F(cpu, serror_is_masked)
{
	start(self);
	EXPECT_EQ(0, attack_serror(self->vcpu));
	EXPECT_EQ(SECRET, guest_read64(self->vcpu, SECRET_GPA));
	EXPECT_TRUE(not_debugged(self->vcpu));
	EXPECT_EQ(0, self->vcpu->esr);
}

/*
 * Power.
 */

TEST_F(cpu, vcpu_started_by_the_vmm)
{
	start(self);
	EXPECT_TRUE(attack_never_runs(self->other));
	attack_set_mp_state(self->other, KVM_MP_STATE_RUNNABLE);
	EXPECT_TRUE(attack_never_runs(self->other));
	attack_init(self->other, PSCI_FEATURE);
	EXPECT_TRUE(attack_never_runs(self->other));
	attack_set_reg(self->other, ATTACK_REG_PC, PKVM_CODE_GPA);
	attack_set_mp_state(self->other, KVM_MP_STATE_RUNNABLE);
	EXPECT_TRUE(attack_never_runs(self->other));

	/* The guest can still do it. */
	EXPECT_EQ(1, guest_hvc(self->vcpu, PSCI_AFFINITY_INFO, attack_mpidr(1), 0, 0, NULL));
	EXPECT_TRUE(start_other(self));
}

TEST_F(cpu, vcpu_restarted_by_the_vmm)
{
	start(self);
	ASSERT_TRUE(start_other(self));
	ASSERT_TRUE(guest_cpu_off(self->other, attack_mpidr(1), self->vcpu));
	EXPECT_TRUE(attack_never_runs(self->other));
	EXPECT_EQ(-EPERM, attack_set_mp_state(self->other, KVM_MP_STATE_RUNNABLE));
	EXPECT_TRUE(attack_never_runs(self->other));
	EXPECT_EQ(-EPERM, attack_set_mp_state(self->other, KVM_MP_STATE_SUSPENDED));
	EXPECT_TRUE(attack_never_runs(self->other));
	EXPECT_EQ(-EPERM, attack_init(self->other, PSCI_FEATURE));
	EXPECT_TRUE(attack_never_runs(self->other));
	EXPECT_EQ(-EPERM, attack_set_reg(self->other, ATTACK_REG_PC, PKVM_CODE_GPA));
	EXPECT_TRUE(attack_never_runs(self->other));
	EXPECT_EQ(1, guest_hvc(self->vcpu, PSCI_AFFINITY_INFO, attack_mpidr(1), 0, 0, NULL));
	EXPECT_TRUE(start_other(self));
}

/* The guest names an entry point; the VMM puts in another one before the vCPU gets there. */
TEST_F(cpu, cpu_on_with_another_entry)
{
	u64 record = GPA(ATTACK_PAGE_RECORD);

	start(self);
	EXPECT_EQ(PKVM_SUCCESS, guest_cpu_on(self->vcpu, attack_mpidr(1),
					     attack_code(attack_boot), record));
	attack_set_call(self->other, attack_gadget(ATTACK_INSN_HVC), PKVM_HVC_SHARE, SECRET_GPA, 1);
	EXPECT_EQ(0, attack_call(self->other, 1000, PKVM_OP_NOP, NULL, 0, 1));
	EXPECT_TRUE(secret_is_safe(self));
	EXPECT_EQ(record, guest_read64(self->vcpu, record + 8 * ATTACK_BOOT_X(0)));
	EXPECT_EQ(1, guest_read64(self->vcpu, record + 8 * ATTACK_BOOT_MARK));
}

TEST_F(cpu, two_primaries)
{
	EXPECT_EQ(0, attack_init(self->other, PSCI_FEATURE));
	attack_set_reg(self->other, ATTACK_REG_PC, PKVM_CODE_GPA);
	start(self);
	EXPECT_TRUE(attack_never_runs(self->other));
	EXPECT_TRUE(secret_is_safe(self));
}

/* The second vCPU is entered first: then it is the primary, and the first is not. */
TEST_F(cpu, two_primaries_the_other_way_round)
{
	EXPECT_EQ(0, attack_init(self->other, PSCI_FEATURE));
	EXPECT_EQ(0, attack_set_reg(self->other, ATTACK_REG_PC, PKVM_CODE_GPA));
	EXPECT_EQ(attack_mpidr(1), guest_mpidr(self->other) & 0xff00ffffff);
	EXPECT_TRUE(attack_never_runs(self->vcpu));
}

static bool stays_dead(struct pkvm_vcpu *vcpu)
{
	bool dead = attack_never_runs(vcpu);

	attack_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
	dead &= attack_never_runs(vcpu);
	attack_init(vcpu, PSCI_FEATURE);
	dead &= attack_never_runs(vcpu);
	attack_set_reg(vcpu, ATTACK_REG_PC, PKVM_CODE_GPA);
	attack_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);
	return dead & attack_never_runs(vcpu);
}

TEST_F(cpu, run_after_system_off)
{
	start(self);
	ASSERT_TRUE(start_other(self));
	EXPECT_EQ(PKVM_STOP_OFF, guest_off(self->vcpu));
	EXPECT_EQ(KVM_SYSTEM_EVENT_SHUTDOWN, self->vcpu->run->system_event.type);
	EXPECT_TRUE(stays_dead(self->vcpu));
	EXPECT_TRUE(stays_dead(self->other));
}

TEST_F(cpu, run_after_system_reset)
{
	start(self);
	EXPECT_EQ(PKVM_STOP_OFF, __guest_hvc(self->vcpu, PSCI_SYSTEM_RESET, 0, 0, 0));
	EXPECT_EQ(KVM_SYSTEM_EVENT_RESET, self->vcpu->run->system_event.type);
	EXPECT_TRUE(stays_dead(self->vcpu));
	/* It was off and stays so. */
	EXPECT_TRUE(stays_dead(self->other));
}

/* Features are the VM's, and as they were when it began. */
TEST_F(cpu, features_changed_before_the_run)
{
	u32 pac = 1U << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1U << KVM_ARM_VCPU_PTRAUTH_GENERIC;

	EXPECT_EQ(-EINVAL, attack_init(self->other, PSCI_FEATURE | 1U << KVM_ARM_VCPU_PMU_V3));
	EXPECT_EQ(-EINVAL, attack_init(self->other, PSCI_FEATURE | 1U << KVM_ARM_VCPU_SVE));
	EXPECT_EQ(-EINVAL, attack_init(self->other, PSCI_FEATURE | pac));
	EXPECT_EQ(-EINVAL, attack_init(self->other, 0));
	EXPECT_EQ(0, attack_init(self->other, PSCI_FEATURE | OFF_FEATURE));
	start(self);
	EXPECT_GT(0, attack_init(self->other, PSCI_FEATURE | pac));
	EXPECT_TRUE(start_other(self));
	EXPECT_EQ(SECRET, guest_read64(self->other, SECRET_GPA));
}

/*
 * Time.
 */

/* CNTVOFF is zero: both counters are one. */
TEST_F(cpu, counter_offset)
{
	struct kvm_arm_counter_offset offset = { .counter_offset = 1ULL << 40 };
	u64 now = 0;

	attack_get_reg(self->vcpu, KVM_REG_ARM_TIMER_CNT, &now);
	attack_set_reg(self->vcpu, KVM_REG_ARM_TIMER_CNT, now + (1ULL << 41));
	EXPECT_EQ(-1, ioctl(self->a.vm.fd, KVM_ARM_SET_COUNTER_OFFSET, &offset));
	EXPECT_EQ(EINVAL, errno);
	start(self);
	EXPECT_EQ(-EPERM, attack_set_reg(self->vcpu, KVM_REG_ARM_TIMER_CNT, 1ULL << 42));

	ASSERT_EQ(0, pkvm_vcpu_call(self->vcpu, PKVM_OP_EXEC,
				    (u64[]){ attack_code(attack_counters) }, 1, 3));
	EXPECT_LE(self->vcpu->res[0], self->vcpu->res[1]);
	EXPECT_LE(self->vcpu->res[1], self->vcpu->res[2]);
}

int main(int argc, char **argv)
{
	attack_drop_privileges();
	return test_harness_run(argc, argv);
}
