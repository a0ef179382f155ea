// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the ioctls that touch a vCPU's state answer for a protected guest, before its first run
 * and after it; and that they are what they were for a guest that is not protected. Each test
 * runs on both. The VMM has no privileges.
 */
#include <errno.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "pkvm_attack.h"

#define PSCI_FEATURE	(1U << KVM_ARM_VCPU_PSCI_0_2)
#define OFF_FEATURE	(1U << KVM_ARM_VCPU_POWER_OFF)
#define PAC_FEATURES	(1U << KVM_ARM_VCPU_PTRAUTH_ADDRESS | 1U << KVM_ARM_VCPU_PTRAUTH_GENERIC)

FIXTURE(uapi) {
	struct attack a;
	struct pkvm_vcpu *vcpu;
	struct pkvm_vcpu *other;
};

FIXTURE_VARIANT(uapi) {
	u32 flags;
	/* What a call that is refused answers, where it has no other reason to be. */
	int eperm;
	int einval;
};

FIXTURE_VARIANT_ADD(uapi, protected) {
	.flags = PKVM_VM_PROTECTED,
	.eperm = -EPERM,
	.einval = -EINVAL,
};

FIXTURE_VARIANT_ADD(uapi, unprotected) {
};

FIXTURE_SETUP(uapi)
{
	attack_vm_create(&self->a, 2, variant->flags | PKVM_VM_MANUAL_START);
	self->vcpu = self->a.vcpu;
	self->other = self->a.other;
}

FIXTURE_TEARDOWN(uapi)
{
	attack_vm_destroy(&self->a);
	EXPECT_EQ(0, attack_kmsg_bad());
}

static void start(FIXTURE_DATA(uapi) * self)
{
	guest_write64(self->vcpu, attack_gpa(&self->a, ATTACK_PAGE_FREE), 0x1234);
}

static bool works(FIXTURE_DATA(uapi) * self, struct pkvm_vcpu *vcpu)
{
	u64 val = 0;

	return !__guest_read64(vcpu, attack_gpa(&self->a, ATTACK_PAGE_FREE), &val) &&
	       val == 0x1234;
}

static bool start_other(FIXTURE_DATA(uapi) * self)
{
	return !guest_cpu_on(self->vcpu, attack_mpidr(1), PKVM_CODE_GPA, 0) &&
	       works(self, self->other);
}

static int vm_ioctl_errno(FIXTURE_DATA(uapi) * self, unsigned long cmd, void *arg)
{
	return ioctl(self->a.vm.fd, cmd, arg) < 0 ? -errno : 0;
}

/*
 * KVM_ARM_VCPU_INIT of a vCPU that is no more than that, in a VM of its own: features that
 * differ from those of another vCPU would be refused for that.
 */
static int init_fresh(u32 vm_flags, u32 features)
{
	struct pkvm_vcpu vcpu = {};
	struct pkvm_vm vm = { .fd = pkvm_vm_open(vm_flags) };
	int ret;

	TEST_ASSERT(vm.fd >= 0, "a VM: %d", vm.fd);
	vcpu.vm = &vm;
	vcpu.fd = ioctl(vm.fd, KVM_CREATE_VCPU, 0UL);
	TEST_ASSERT(vcpu.fd >= 0, "a vCPU: errno %d", errno);
	ret = attack_init(&vcpu, features);
	close(vcpu.fd);
	close(vm.fd);
	return ret;
}

/*
 * Before the first run.
 */

TEST_F(uapi, init_with_features_that_a_protected_guest_has)
{
	EXPECT_EQ(0, init_fresh(variant->flags, PSCI_FEATURE));
	EXPECT_EQ(0, init_fresh(variant->flags, PSCI_FEATURE | OFF_FEATURE));
	if (gmem_check_cap(self->a.vm.fd, KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0)
		EXPECT_EQ(0, init_fresh(variant->flags, PSCI_FEATURE | PAC_FEATURES));
}

TEST_F(uapi, init_without_psci)
{
	EXPECT_EQ(variant->einval, init_fresh(variant->flags, 0));
	EXPECT_EQ(variant->einval, init_fresh(variant->flags, OFF_FEATURE));
}

/* What the host itself does not have is refused on both kinds, by the same errno. */
TEST_F(uapi, init_with_features_that_a_protected_guest_has_not)
{
	static const struct {
		const char *name;
		u32 feature;
		int cap;
	} rows[] = {
		{ "32 bit",	KVM_ARM_VCPU_EL1_32BIT,		KVM_CAP_ARM_EL1_32BIT },
		{ "PMU",	KVM_ARM_VCPU_PMU_V3,		KVM_CAP_ARM_PMU_V3 },
		{ "EL2",	KVM_ARM_VCPU_HAS_EL2,		KVM_CAP_ARM_EL2 },
		{ "EL2 E2H0",	KVM_ARM_VCPU_HAS_EL2_E2H0,	KVM_CAP_ARM_EL2_E2H0 },
	};
	struct pkvm_vm vm = { .fd = pkvm_vm_open(0) };
	size_t i;

	ASSERT_LE(0, vm.fd);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		bool has = gmem_check_cap(vm.fd, rows[i].cap) > 0;
		int want = has ? variant->einval : -EINVAL;

		/* Without EL2 it means nothing, and an ordinary guest may have it. */
		if (rows[i].feature == KVM_ARM_VCPU_HAS_EL2_E2H0 && !variant->einval)
			continue;
		EXPECT_EQ(want, init_fresh(variant->flags, PSCI_FEATURE | 1U << rows[i].feature))
			TH_LOG("%s, which the host %s", rows[i].name, has ? "has" : "has not");
	}
	/* One half of pointer authentication is none, for anybody. */
	EXPECT_EQ(-EINVAL, init_fresh(variant->flags,
				      PSCI_FEATURE | 1U << KVM_ARM_VCPU_PTRAUTH_ADDRESS));
	close(vm.fd);
}

TEST_F(uapi, init_with_unknown_features)
{
	EXPECT_EQ(-ENOENT, init_fresh(variant->flags, PSCI_FEATURE | 1U << 31));
}

/* Taken, and of no effect: what the guest starts with is the architecture's, and EL2's. */
TEST_F(uapi, writes_before_the_run)
{
	u64 record = attack_gpa(&self->a, ATTACK_PAGE_RECORD), word[ATTACK_BOOT_WORDS];
	bool protected = variant->flags & PKVM_VM_PROTECTED;
	int i;

	EXPECT_EQ(0, attack_set_reg(self->vcpu, ATTACK_REG_PC, attack_code(attack_boot)));
	EXPECT_EQ(0, attack_set_reg(self->vcpu, ATTACK_REG_X(0), record));
	for (i = 4; i <= 30; i++)
		EXPECT_EQ(0, attack_set_reg(self->vcpu, ATTACK_REG_X(i), 0xbad00 + i));
	EXPECT_EQ(0, attack_set_reg(self->vcpu, ATTACK_REG_TTBR0, 0x123000));
	EXPECT_EQ(0, attack_set_reg(self->vcpu, ARM64_SYS_REG(3, 0, 13, 0, 4), 0x124));
	EXPECT_EQ(0, attack_set_reg(self->vcpu, ARM64_SYS_REG(3, 0, 12, 0, 0), 0x125000));

	ASSERT_EQ(0, attack_call(self->vcpu, 1000, PKVM_OP_NOP, NULL, 0, 1));
	for (i = 0; i < ATTACK_BOOT_WORDS; i++)
		word[i] = guest_read64(self->vcpu, record + 8 * i);
	EXPECT_EQ(1, word[ATTACK_BOOT_MARK]);
	EXPECT_EQ(record, word[ATTACK_BOOT_X(0)]);
	for (i = 4; i <= 30; i++)
		EXPECT_EQ(protected ? 0 : 0xbad00 + i, word[ATTACK_BOOT_X(i)])
			TH_LOG("x%d", i);
	EXPECT_EQ(protected ? 0 : 0x123000, word[ATTACK_BOOT_TTBR0]);
	EXPECT_EQ(protected ? 0 : 0x124, word[ATTACK_BOOT_TPIDR]);
	EXPECT_EQ(protected ? 0 : 0x125000, word[ATTACK_BOOT_VBAR]);
}

/* The primary's argument is the VMM's to give; those that no boot protocol needs may be zero. */
TEST_F(uapi, arguments_of_the_primary)
{
	u64 record = attack_gpa(&self->a, ATTACK_PAGE_RECORD), val;
	int i;

	EXPECT_EQ(0, attack_set_reg(self->vcpu, ATTACK_REG_PC, attack_code(attack_boot)));
	EXPECT_EQ(0, attack_set_reg(self->vcpu, ATTACK_REG_X(0), record));
	for (i = 1; i <= 3; i++)
		EXPECT_EQ(0, attack_set_reg(self->vcpu, ATTACK_REG_X(i), 0x1000 + i));
	ASSERT_EQ(0, attack_call(self->vcpu, 1000, PKVM_OP_NOP, NULL, 0, 1));
	EXPECT_EQ(record, guest_read64(self->vcpu, record));
	for (i = 1; i <= 3; i++) {
		val = guest_read64(self->vcpu, record + 8 * ATTACK_BOOT_X(i));
		EXPECT_TRUE(val == 0x1000 + i || (!val && variant->flags & PKVM_VM_PROTECTED))
			TH_LOG("x%d: %#lx", i, (unsigned long)val);
	}
}

TEST_F(uapi, mp_state_before_the_run)
{
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, attack_get_mp_state(self->vcpu));
	EXPECT_EQ(0, attack_set_mp_state(self->vcpu, KVM_MP_STATE_STOPPED));
	EXPECT_EQ(0, attack_set_mp_state(self->vcpu, KVM_MP_STATE_RUNNABLE));
	/* As a VMM does that makes its secondaries without POWER_OFF. */
	EXPECT_EQ(0, attack_init(self->other, PSCI_FEATURE));
	EXPECT_EQ(0, attack_set_mp_state(self->other, KVM_MP_STATE_STOPPED));
	start(self);
	EXPECT_TRUE(start_other(self));
}

TEST_F(uapi, mp_state_unknown)
{
	EXPECT_EQ(-EINVAL, attack_set_mp_state(self->vcpu, KVM_MP_STATE_HALTED));
	start(self);
	EXPECT_EQ(-EINVAL, attack_set_mp_state(self->vcpu, KVM_MP_STATE_HALTED));
}

TEST_F(uapi, psci_version)
{
	bool protected = variant->flags & PKVM_VM_PROTECTED;

	EXPECT_EQ(variant->einval, attack_set_reg(self->vcpu, KVM_REG_ARM_PSCI_VERSION, 0x2));
	EXPECT_EQ(variant->einval, attack_set_reg(self->vcpu, KVM_REG_ARM_PSCI_VERSION, 0x10000));
	EXPECT_EQ(0, attack_set_reg(self->vcpu, KVM_REG_ARM_PSCI_VERSION, 0x10001));
	start(self);
	EXPECT_EQ(0x10001, guest_hvc(self->vcpu, PSCI_VERSION_FN, 0, 0, 0, NULL));
	if (protected)
		EXPECT_EQ(-EPERM, attack_set_reg(self->vcpu, KVM_REG_ARM_PSCI_VERSION, 0x10001));
}

/*
 * Of the VM, at any time.
 */

TEST_F(uapi, counter_offset)
{
	struct kvm_arm_counter_offset offset = { .counter_offset = 0x1000 };

	EXPECT_EQ(variant->einval, vm_ioctl_errno(self, KVM_ARM_SET_COUNTER_OFFSET, &offset));
	start(self);
	EXPECT_EQ(variant->einval, vm_ioctl_errno(self, KVM_ARM_SET_COUNTER_OFFSET, &offset));
	EXPECT_TRUE(works(self, self->vcpu));
}

TEST_F(uapi, writable_id_masks)
{
	u64 masks[KVM_ARM_FEATURE_ID_RANGE_SIZE];
	struct reg_mask_range range = { .addr = (u64)masks };

	EXPECT_EQ(variant->einval, vm_ioctl_errno(self, KVM_ARM_GET_REG_WRITABLE_MASKS, &range));
}

static int set_smccc_filter(FIXTURE_DATA(uapi) * self)
{
	struct kvm_smccc_filter filter = {
		.base = PSCI_CPU_ON,
		.nr_functions = 1,
		.action = KVM_SMCCC_FILTER_FWD_TO_USER,
	};
	struct kvm_device_attr attr = {
		.group = KVM_ARM_VM_SMCCC_CTRL,
		.attr = KVM_ARM_VM_SMCCC_FILTER,
		.addr = (u64)&filter,
	};

	return vm_ioctl_errno(self, KVM_SET_DEVICE_ATTR, &attr);
}

TEST_F(uapi, smccc_filter)
{
	EXPECT_EQ(variant->einval, set_smccc_filter(self));
	start(self);
	/* Too late for an ordinary guest as well. */
	EXPECT_EQ(variant->einval ?: -EBUSY, set_smccc_filter(self));
}

static int set_pvtime(struct pkvm_vcpu *vcpu, u64 ipa)
{
	struct kvm_device_attr attr = {
		.group = KVM_ARM_VCPU_PVTIME_CTRL,
		.attr = KVM_ARM_VCPU_PVTIME_IPA,
		.addr = (u64)&ipa,
	};

	return ioctl(vcpu->fd, KVM_SET_DEVICE_ATTR, &attr) ? -errno : 0;
}

TEST_F(uapi, pvtime)
{
	bool has = gmem_check_cap(self->vcpu->vm->fd, KVM_CAP_STEAL_TIME) > 0;
	bool protected = variant->flags & PKVM_VM_PROTECTED;

	if (protected)
		EXPECT_FALSE(has);
	EXPECT_EQ(has ? 0 : -ENXIO,
		  set_pvtime(self->vcpu, attack_gpa(&self->a, ATTACK_PAGE_FREE + 1)));
}

TEST_F(uapi, capabilities)
{
	bool protected = variant->flags & PKVM_VM_PROTECTED;
	static const int caps[] = {
		KVM_CAP_ARM_INJECT_EXT_DABT, KVM_CAP_SET_GUEST_DEBUG, KVM_CAP_SET_GUEST_DEBUG2,
		KVM_CAP_COUNTER_OFFSET, KVM_CAP_ARM_SUPPORTED_REG_MASK_RANGES,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(caps); i++)
		EXPECT_EQ(!protected, gmem_check_cap(self->a.vm.fd, caps[i]) > 0)
			TH_LOG("capability %d", caps[i]);
	EXPECT_EQ(1, gmem_check_cap(self->a.vm.fd, KVM_CAP_ARM_PSCI_0_2));
}

/*
 * After the first run.
 */

TEST_F(uapi, get_one_reg)
{
	u64 val = 0;

	EXPECT_EQ(0, attack_get_reg(self->vcpu, ATTACK_REG_X(0), &val));
	start(self);
	EXPECT_EQ(variant->eperm, attack_get_reg(self->vcpu, ATTACK_REG_X(0), &val));
	EXPECT_EQ(variant->eperm, attack_get_reg(self->vcpu, ATTACK_REG_PC, &val));
	EXPECT_EQ(variant->eperm, attack_get_reg(self->vcpu, ATTACK_REG_SCTLR, &val));
	EXPECT_EQ(variant->eperm, attack_get_reg(self->vcpu, KVM_REG_ARM_TIMER_CNT, &val));
	EXPECT_EQ(variant->eperm, attack_get_reg(self->vcpu, KVM_REG_ARM_PSCI_VERSION, &val));
	EXPECT_TRUE(works(self, self->vcpu));
}

TEST_F(uapi, set_one_reg)
{
	u64 pc = PKVM_CODE_GPA;

	EXPECT_EQ(0, attack_set_reg(self->vcpu, ATTACK_REG_X(7), 7));
	start(self);
	EXPECT_EQ(variant->eperm, attack_set_reg(self->vcpu, ATTACK_REG_X(7), 8));
	EXPECT_EQ(variant->eperm, attack_set_reg(self->vcpu, ATTACK_REG_TTBR0, 0));
	EXPECT_EQ(variant->eperm, attack_set_reg(self->vcpu, ATTACK_REG_PC, pc));
	EXPECT_TRUE(works(self, self->vcpu));
}

TEST_F(uapi, vcpu_init)
{
	start(self);
	EXPECT_EQ(variant->eperm, attack_init(self->vcpu, PSCI_FEATURE));
	if (!variant->eperm) {
		/* The store at which it was is no more. */
		self->vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
		EXPECT_EQ(0, attack_set_reg(self->vcpu, ATTACK_REG_PC, PKVM_CODE_GPA));
	}
	EXPECT_TRUE(works(self, self->vcpu));
}

TEST_F(uapi, set_guest_debug)
{
	start(self);
	EXPECT_EQ(variant->eperm, attack_debug(self->vcpu, KVM_GUESTDBG_ENABLE, 0));
	EXPECT_EQ(variant->eperm, attack_debug(self->vcpu, 0, 0));
	EXPECT_TRUE(works(self, self->vcpu));
}

TEST_F(uapi, single_step)
{
	int ret;

	start(self);
	EXPECT_EQ(variant->eperm, attack_debug(self->vcpu,
					       KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP, 0));
	ret = attack_exec(self->vcpu, attack_count, 0, 0, 0);
	if (variant->eperm) {
		EXPECT_EQ(0, ret);
		return;
	}
	EXPECT_EQ(PKVM_STOP_OTHER, ret);
	EXPECT_EQ(KVM_EXIT_DEBUG, self->vcpu->run->exit_reason);
	EXPECT_EQ(0, attack_debug(self->vcpu, 0, 0));
	EXPECT_EQ(0, attack_resume(self->vcpu, 1000));
	EXPECT_EQ(8, self->vcpu->res[0]);
}

TEST_F(uapi, set_vcpu_events)
{
	struct kvm_vcpu_events events;
	u64 val = 0;

	start(self);
	EXPECT_EQ(0, ioctl(self->vcpu->fd, KVM_GET_VCPU_EVENTS, &events));
	EXPECT_EQ(PKVM_STOP_OTHER, __guest_read64(self->vcpu, ATTACK_PROBE_GPA, &val));
	EXPECT_EQ(variant->eperm, attack_abort(self->vcpu));
	/* At a load from a device: an ordinary guest takes the abort. */
	EXPECT_EQ(variant->eperm ? 0 : PKVM_STOP_EXCEPTION, attack_resume(self->vcpu, 1000));
	EXPECT_TRUE(works(self, self->vcpu));
	EXPECT_EQ(0, attack_serror(self->vcpu));
	EXPECT_TRUE(works(self, self->vcpu));
}

TEST_F(uapi, mp_state_of_a_vcpu_that_the_guest_has_off)
{
	bool protected = variant->flags & PKVM_VM_PROTECTED;

	start(self);
	ASSERT_TRUE(start_other(self));
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, attack_get_mp_state(self->other));
	ASSERT_TRUE(guest_cpu_off(self->other, attack_mpidr(1), self->vcpu));
	EXPECT_EQ(protected ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_STOPPED,
		  attack_get_mp_state(self->other));
	if (protected)
		EXPECT_TRUE(attack_never_runs(self->other));
	EXPECT_EQ(variant->eperm, attack_set_mp_state(self->other, KVM_MP_STATE_SUSPENDED));
	EXPECT_EQ(variant->eperm, attack_set_mp_state(self->other, KVM_MP_STATE_RUNNABLE));
	if (protected) {
		EXPECT_EQ(KVM_MP_STATE_UNINITIALIZED, attack_get_mp_state(self->other));
		EXPECT_TRUE(attack_never_runs(self->other));
		EXPECT_TRUE(start_other(self));
		EXPECT_EQ(KVM_MP_STATE_RUNNABLE, attack_get_mp_state(self->other));
	}
}

/* A VMM may stop a vCPU and let it go on; the guest does not notice. */
TEST_F(uapi, mp_state_pauses_a_vcpu_that_the_guest_has_on)
{
	start(self);
	ASSERT_TRUE(start_other(self));
	EXPECT_EQ(0, attack_set_mp_state(self->other, KVM_MP_STATE_STOPPED));
	EXPECT_EQ(KVM_MP_STATE_STOPPED, attack_get_mp_state(self->other));
	EXPECT_EQ(-EINTR, attack_run(self->other, 50));
	EXPECT_TRUE(works(self, self->vcpu));
	if (variant->flags & PKVM_VM_PROTECTED)
		EXPECT_EQ(0, guest_hvc(self->vcpu, PSCI_AFFINITY_INFO, attack_mpidr(1), 0, 0,
				       NULL));
	EXPECT_EQ(0, attack_set_mp_state(self->other, KVM_MP_STATE_RUNNABLE));
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, attack_get_mp_state(self->other));
	EXPECT_TRUE(works(self, self->other));

	/* The first one, too, in the middle of something. */
	EXPECT_EQ(PKVM_STOP_OTHER, attack_exec(self->vcpu, attack_ldr, ATTACK_PROBE_GPA, 0, 0));
	memset(self->vcpu->run->mmio.data, 0x11, 8);
	EXPECT_EQ(0, attack_set_mp_state(self->vcpu, KVM_MP_STATE_STOPPED));
	EXPECT_EQ(-EINTR, attack_run(self->vcpu, 50));
	EXPECT_EQ(0, attack_set_mp_state(self->vcpu, KVM_MP_STATE_RUNNABLE));
	EXPECT_EQ(0, attack_resume(self->vcpu, 1000));
	EXPECT_EQ(0x1111111111111111, self->vcpu->res[0]);
}

int main(int argc, char **argv)
{
	attack_drop_privileges();
	return test_harness_run(argc, argv);
}
