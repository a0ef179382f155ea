// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VMM without privileges answers a protected guest's MMIO as it should not, answers what was
 * none, and looks for the guest's memory in what the exits show.
 *
 * Whether an access is MMIO the guest alone can say: by MMIO guard. What a guest that does not
 * say so shows is asserted here as well.
 */
#include <errno.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "pkvm_attack_fixture.h"

/* ESR_EL1 of a synchronous external abort at a data access. */
#define ESR_EC(esr)	((esr) >> 26)
#define ESR_FSC(esr)	((esr) & 0x3f)
#define EC_DABT_CUR	0x25
#define FSC_EXTABT	0x10

#define WIDE		0xf1e2d3c4b5a69788ULL

static bool is_mmio(struct pkvm_vcpu *vcpu, u64 gpa, u32 len, bool is_write)
{
	struct kvm_run *run = vcpu->run;

	if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.phys_addr == gpa &&
	    run->mmio.len == len && run->mmio.is_write == is_write)
		return true;
	fprintf(stderr, "# exit %u, MMIO at %#llx, %u bytes, write %u\n", run->exit_reason,
		run->mmio.phys_addr, run->mmio.len, run->mmio.is_write);
	return false;
}

static u64 mmio_data(struct pkvm_vcpu *vcpu)
{
	u64 data;

	memcpy(&data, vcpu->run->mmio.data, sizeof(data));
	return data;
}

/* Eight bytes, whatever the access was. */
static void forge(struct pkvm_vcpu *vcpu, u64 data)
{
	memcpy(vcpu->run->mmio.data, &data, sizeof(data));
}

/* An exit that was something else is made to look like a load that waits for its answer. */
static void forge_exit(struct pkvm_vcpu *vcpu, u64 data)
{
	vcpu->run->exit_reason = KVM_EXIT_MMIO;
	vcpu->run->mmio.phys_addr = ATTACK_PROBE_GPA;
	vcpu->run->mmio.len = sizeof(data);
	vcpu->run->mmio.is_write = 0;
	forge(vcpu, data);
}

static bool took_external_abort(struct pkvm_vcpu *vcpu, const char *at, int ret)
{
	if (ret == PKVM_STOP_EXCEPTION && ESR_EC(vcpu->esr) == EC_DABT_CUR &&
	    ESR_FSC(vcpu->esr) == FSC_EXTABT && vcpu->elr == attack_code(at))
		return true;
	fprintf(stderr, "# KVM_RUN %d, exit %u, esr %#lx, elr %#lx (%#lx)\n", ret,
		vcpu->run->exit_reason, (unsigned long)vcpu->esr, (unsigned long)vcpu->elr,
		(unsigned long)attack_code(at));
	return false;
}

static const struct load {
	const char *routine;
	u32 len;
	u64 val;		/* what the guest's register holds of WIDE */
} loads[] = {
	{ attack_ldrb,		1, 0x88 },
	{ attack_ldrh,		2, 0x9788 },
	{ attack_ldrsb,		1, 0xffffffffffffff88 },
	{ attack_ldrsh_w,	2, 0x00000000ffff9788 },
	{ attack_ldr_w,		4, 0xb5a69788 },
	{ attack_ldrsw,		4, 0xffffffffb5a69788 },
	{ attack_ldr,		8, WIDE },
};

/* More than was asked for: the guest takes the width of its own access. */
TEST_F(cpu, load_answered_with_more_than_its_width)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(loads); i++) {
		ASSERT_EQ(PKVM_STOP_OTHER, attack_exec(self->vcpu, loads[i].routine,
						       ATTACK_PROBE_GPA, 0, 0));
		ASSERT_TRUE(is_mmio(self->vcpu, ATTACK_PROBE_GPA, loads[i].len, false));
		forge(self->vcpu, WIDE);
		ASSERT_EQ(0, attack_resume(self->vcpu, 1000));
		EXPECT_EQ(loads[i].val, self->vcpu->res[0]) TH_LOG("load %zu", i);
	}
}

/* kvm_run says what the access was. It is not asked again. */
TEST_F(cpu, load_with_another_description)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(loads); i++) {
		ASSERT_EQ(PKVM_STOP_OTHER, attack_exec(self->vcpu, loads[i].routine,
						       ATTACK_PROBE_GPA, 0, 0));
		forge(self->vcpu, WIDE);
		self->vcpu->run->mmio.len = i & 1 ? 8 : 0xffffffff;
		self->vcpu->run->mmio.is_write = i & 1;
		self->vcpu->run->mmio.phys_addr = SECRET_GPA;
		ASSERT_EQ(0, attack_resume(self->vcpu, 1000));
		EXPECT_EQ(loads[i].val, self->vcpu->res[0]) TH_LOG("load %zu", i);
	}
}

/* Answered while a signal is pending, then a second time with something else. */
TEST_F(cpu, load_answered_twice_after_a_signal)
{
	ASSERT_EQ(PKVM_STOP_OTHER, attack_exec(self->vcpu, attack_two_loads, ATTACK_PROBE_GPA,
					       ATTACK_PROBE_GPA + 8, 0));
	ASSERT_TRUE(is_mmio(self->vcpu, ATTACK_PROBE_GPA, 8, false));
	forge(self->vcpu, WIDE);
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, pkvm_vcpu_resume(self->vcpu));
	forge_exit(self->vcpu, FORGED);
	EXPECT_EQ(-EINTR, pkvm_vcpu_resume(self->vcpu));
	forge_exit(self->vcpu, FORGED);
	self->vcpu->run->immediate_exit = 0;
	EXPECT_EQ(PKVM_STOP_OTHER, attack_resume(self->vcpu, 1000));

	/* The first answer counts, and the guest is one instruction further. */
	ASSERT_TRUE(is_mmio(self->vcpu, ATTACK_PROBE_GPA + 8, 8, false));
	forge(self->vcpu, 0x1111);
	EXPECT_EQ(0, attack_resume(self->vcpu, 1000));
	EXPECT_EQ(WIDE, self->vcpu->res[0]);
	EXPECT_EQ(0x1111, self->vcpu->res[1]);
}

/* Not answered at all: the guest does its load again. */
TEST_F(cpu, load_not_answered)
{
	ASSERT_EQ(PKVM_STOP_OTHER, attack_exec(self->vcpu, attack_two_loads, ATTACK_PROBE_GPA,
					       ATTACK_PROBE_GPA + 8, 0));
	self->vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	EXPECT_EQ(PKVM_STOP_OTHER, attack_resume(self->vcpu, 1000));
	EXPECT_TRUE(is_mmio(self->vcpu, ATTACK_PROBE_GPA, 8, false));
}

/* The answer goes to a vCPU that did not ask: one that waits for its call, one at a store. */
TEST_F(cpu, load_answered_on_another_vcpu)
{
	struct gmem_pin pin;

	start(self);
	ASSERT_TRUE(start_other(self));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->other, SECRET_GPA, 1, NULL));
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, SECRET_HVA, self->a.page));
	EXPECT_EQ(-EFAULT, __guest_hvc(self->other, PKVM_HVC_UNSHARE, SECRET_GPA, 1, 0));

	ASSERT_EQ(PKVM_STOP_OTHER, attack_exec(self->vcpu, attack_ldr, ATTACK_PROBE_GPA, 0, 0));
	forge_exit(self->other, PKVM_SUCCESS);
	EXPECT_EQ(-EFAULT, attack_resume(self->other, 1000));
	gmem_pin_drop(&pin);
	EXPECT_EQ(0, pkvm_vcpu_handle(self->other, -EFAULT, self->a.fd, ATTACK_MEM_GPA));
	EXPECT_EQ(PKVM_SUCCESS, (s64)self->other->res[0]);
	EXPECT_EQ(1, self->other->res[1]);

	/* It is idle now, at the store of its result. */
	forge_exit(self->other, FORGED);
	EXPECT_EQ(SECRET, guest_read64(self->other, SECRET_GPA));

	forge(self->vcpu, WIDE);
	EXPECT_EQ(0, attack_resume(self->vcpu, 1000));
	EXPECT_EQ(WIDE, self->vcpu->res[0]);
}

/* No access at all: a hypercall that waits. The guest's PC would move, and x0 be the VMM's. */
TEST_F(cpu, answer_to_a_hypercall)
{
	struct gmem_pin pin;
	int i, ret = -EFAULT;

	start(self);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, SECRET_GPA, 1, NULL));
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, SECRET_HVA, self->a.page));
	EXPECT_EQ(-EFAULT, __guest_hvc(self->vcpu, PKVM_HVC_UNSHARE, SECRET_GPA, 1, 0));
	for (i = 0; i < 3 && ret == -EFAULT; i++) {
		forge_exit(self->vcpu, PKVM_SUCCESS);
		ret = attack_resume(self->vcpu, 1000);
		EXPECT_EQ(-EFAULT, ret);
	}
	gmem_pin_drop(&pin);
	if (ret == -EFAULT)
		EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, ret, self->a.fd, ATTACK_MEM_GPA));
	EXPECT_TRUE(secret_is_safe(self));
}

TEST_F(cpu, answer_before_the_first_run)
{
	forge_exit(self->vcpu, FORGED);
	start(self);
	EXPECT_TRUE(secret_is_safe(self));
}

/* The guest's load of memory that is not there yet. Page FREE is the host's until then. */
static void make_free_page_shared(FIXTURE_DATA(cpu) * self)
{
	int ret = gmem_set_attr(self->a.fd, ATTACK_PAGE_FREE * self->a.page, self->a.page,
				GMEM_SHARED);

	TEST_ASSERT(!ret, "a page to shared: %d", ret);
}

TEST_F(cpu, answer_to_a_memory_abort)
{
	int ret;

	make_free_page_shared(self);
	gmem_host_set64(HVA(ATTACK_PAGE_FREE), 0x2222);
	EXPECT_EQ(-EFAULT, attack_exec(self->vcpu, attack_ldr, GPA(ATTACK_PAGE_FREE), 0, 0));
	forge_exit(self->vcpu, FORGED);
	ret = attack_resume(self->vcpu, 1000);
	EXPECT_EQ(-EFAULT, ret);
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, ret, self->a.fd, ATTACK_MEM_GPA));
	EXPECT_EQ(0x2222, self->vcpu->res[0]);
}

/*
 * The same with an MMIO load before, which the VMM leaves open: it gives the address memory
 * instead, and the guest gets past it. KVM still waits for an answer then.
 */
TEST_F(cpu, answer_to_a_memory_abort_after_an_open_load)
{
	int fd, ret;

	make_free_page_shared(self);
	gmem_host_set64(HVA(ATTACK_PAGE_FREE), 0x2222);
	ASSERT_EQ(PKVM_STOP_OTHER, attack_exec(self->vcpu, attack_two_loads, ATTACK_PROBE_GPA,
					       GPA(ATTACK_PAGE_FREE), 0));
	ASSERT_TRUE(is_mmio(self->vcpu, ATTACK_PROBE_GPA, 8, false));

	fd = gmem_create(self->a.vm.fd, self->a.page,
			 GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, gmem_set_attr(fd, 0, self->a.page, GMEM_PRIVATE));
	ASSERT_EQ(0, pkvm_slot_gmem(&self->a.vm, 1, ATTACK_PROBE_GPA, self->a.page, fd, 0));
	self->vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	ASSERT_EQ(-EFAULT, attack_resume(self->vcpu, 1000));
	EXPECT_TRUE(pkvm_fault_is(self->vcpu, KVM_MEMORY_EXIT_FLAG_PRIVATE,
				  GPA(ATTACK_PAGE_FREE), self->a.page));

	forge_exit(self->vcpu, FORGED);
	ret = attack_resume(self->vcpu, 1000);
	EXPECT_EQ(-EFAULT, ret) TH_LOG("the guest goes on");
	if (ret == -EFAULT)
		EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, ret, self->a.fd, ATTACK_MEM_GPA));
	EXPECT_EQ(0, self->vcpu->res[0]);
	EXPECT_EQ(0x2222, self->vcpu->res[1]);
	close(fd);
}

/* What has no valid syndrome is no MMIO: it would take the instruction to know what it was. */
TEST_F(cpu, access_without_a_syndrome)
{
	static const char * const routines[] = {
		attack_ldp, attack_ldr_post, attack_stp, attack_str_post,
	};
	size_t i;
	int ret;

	start(self);
	for (i = 0; i < ARRAY_SIZE(routines); i++) {
		ret = attack_exec(self->vcpu, routines[i], ATTACK_PROBE_GPA, SECRET, SECRET);
		EXPECT_TRUE(took_external_abort(self->vcpu, routines[i], ret));
		EXPECT_EQ(ATTACK_PROBE_GPA, self->vcpu->far);
		EXPECT_FALSE(attack_find_in_run(self->vcpu, SECRET));
	}
	EXPECT_TRUE(secret_is_safe(self));
}

/*
 * A guest that has not enrolled. Nobody tells memory from devices then: a store to where no slot
 * is goes to the VMM, as on a kernel without MMIO guard.
 */
TEST_F(cpu, not_enrolled_a_store_without_a_slot_is_shown)
{
	start(self);
	EXPECT_EQ(PKVM_STOP_OTHER, __guest_write64(self->vcpu, ATTACK_HOLE_GPA, SECRET));
	EXPECT_TRUE(is_mmio(self->vcpu, ATTACK_HOLE_GPA, 8, true));
	EXPECT_EQ(SECRET, mmio_data(self->vcpu));
	EXPECT_EQ(0, attack_resume(self->vcpu, 1000));
}

/* Stores to memory that has a slot are no MMIO for the VMM in any case. */
TEST_F(cpu, not_enrolled_the_first_store_to_a_page)
{
	int i;

	start(self);
	for (i = ATTACK_PAGE_FREE; i < ATTACK_NR_PAGES; i++) {
		EXPECT_EQ(0, attack_exec(self->vcpu, attack_str, GPA(i), NEW_SECRET, 0));
		EXPECT_FALSE(attack_find_in_run(self->vcpu, NEW_SECRET));
	}
}

/* The guest enrolls, with the mailbox as its only device. */
static bool enroll(struct pkvm_vcpu *vcpu)
{
	u64 args[] = { attack_code(attack_enroll) };
	int ret = pkvm_vcpu_call(vcpu, PKVM_OP_EXEC, args, 1, 3);

	if (!ret && !vcpu->res[0] && !vcpu->res[1] && vcpu->res[2] == 1)
		return true;
	fprintf(stderr, "# MMIO guard: %d, ENROLL %ld, MAP %ld, %ld done\n", ret,
		(long)vcpu->res[0], (long)vcpu->res[1], (long)vcpu->res[2]);
	return false;
}

static s64 guard_map(struct pkvm_vcpu *vcpu, u64 gpa)
{
	return guest_hvc(vcpu, ATTACK_HVC_GUARD_MAP, gpa, 1, 0, NULL);
}

TEST_F(cpu, enrolled_an_access_without_a_slot)
{
	int ret;

	EXPECT_TRUE(enroll(self->vcpu));
	ret = attack_exec(self->vcpu, attack_str, ATTACK_HOLE_GPA, SECRET, 0);
	EXPECT_TRUE(took_external_abort(self->vcpu, attack_str, ret));
	EXPECT_EQ(ATTACK_HOLE_GPA, self->vcpu->far);
	EXPECT_FALSE(attack_find_in_run(self->vcpu, SECRET));
	if (ret == PKVM_STOP_OTHER)
		attack_resume(self->vcpu, 1000);

	ret = attack_exec(self->vcpu, attack_ldr, ATTACK_HOLE_GPA + 8, 0, 0);
	EXPECT_TRUE(took_external_abort(self->vcpu, attack_ldr, ret));
	EXPECT_EQ(ATTACK_HOLE_GPA + 8, self->vcpu->far);
}

/* What the guest has named works as before, and is forged as little. */
TEST_F(cpu, enrolled_a_guarded_page)
{
	size_t i;

	EXPECT_TRUE(enroll(self->vcpu));
	EXPECT_EQ(PKVM_SUCCESS, guard_map(self->vcpu, ATTACK_PROBE_GPA));
	EXPECT_EQ(PKVM_STOP_OTHER, __guest_write64(self->vcpu, ATTACK_PROBE_GPA + 16, 0x77));
	EXPECT_TRUE(is_mmio(self->vcpu, ATTACK_PROBE_GPA + 16, 8, true));
	EXPECT_EQ(0x77, mmio_data(self->vcpu));
	ASSERT_EQ(0, attack_resume(self->vcpu, 1000));

	for (i = 0; i < ARRAY_SIZE(loads); i++) {
		ASSERT_EQ(PKVM_STOP_OTHER, attack_exec(self->vcpu, loads[i].routine,
						       ATTACK_PROBE_GPA, 0, 0));
		forge(self->vcpu, WIDE);
		ASSERT_EQ(0, attack_resume(self->vcpu, 1000));
		EXPECT_EQ(loads[i].val, self->vcpu->res[0]) TH_LOG("load %zu", i);
	}
}

/*
 * The VMM gives a guarded page memory. That denies the guest its device, for good, since slots
 * of a protected VM stay. The page does not become the guest's, nor does anything else happen.
 */
TEST_F(cpu, enrolled_a_slot_at_a_guarded_page)
{
	int fd, ret;

	start(self);
	EXPECT_TRUE(enroll(self->vcpu));
	EXPECT_EQ(PKVM_SUCCESS, guard_map(self->vcpu, ATTACK_PROBE_GPA));
	fd = gmem_create(self->a.vm.fd, self->a.page,
			 GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, gmem_set_attr(fd, 0, self->a.page, GMEM_PRIVATE));
	ASSERT_EQ(0, pkvm_slot_gmem(&self->a.vm, 1, ATTACK_PROBE_GPA, self->a.page, fd, 0));

	ret = attack_exec(self->vcpu, attack_ldr, ATTACK_PROBE_GPA, 0, 0);
	EXPECT_TRUE(took_external_abort(self->vcpu, attack_ldr, ret));
	EXPECT_EQ(-EPERM, gmem_set_slot(self->a.vm.fd, 1, ATTACK_PROBE_GPA, 0, NULL, fd, 0));
	ret = attack_exec(self->vcpu, attack_str, ATTACK_PROBE_GPA, SECRET, 0);
	EXPECT_TRUE(took_external_abort(self->vcpu, attack_str, ret));
	EXPECT_FALSE(attack_find_in_run(self->vcpu, SECRET));
	EXPECT_TRUE(secret_is_safe(self));
	close(fd);
}

/* A byte's store shows a byte, not the register. */
TEST_F(cpu, enrolled_a_store_shows_its_width)
{
	EXPECT_TRUE(enroll(self->vcpu));
	EXPECT_EQ(PKVM_SUCCESS, guard_map(self->vcpu, ATTACK_PROBE_GPA));
	memset(self->vcpu->run->mmio.data, 0, 8);
	EXPECT_EQ(PKVM_STOP_OTHER, attack_exec(self->vcpu, attack_strb, ATTACK_PROBE_GPA,
					       SECRET, 0));
	EXPECT_TRUE(is_mmio(self->vcpu, ATTACK_PROBE_GPA, 1, true));
	EXPECT_EQ(SECRET & 0xff, mmio_data(self->vcpu));
	EXPECT_FALSE(attack_find_in_run(self->vcpu, SECRET));
	EXPECT_EQ(0, attack_resume(self->vcpu, 1000));
}

/*
 * Neither kvm_run nor the trace of MMIO, which needs privileges to read, has a store to memory.
 * The guest makes its value itself: what it is told, and answers, is MMIO by way of the mailbox.
 */
TEST_F(cpu, enrolled_the_first_store_to_a_page)
{
	bool trace = attack_trace(true);
	int i;

	start(self);
	EXPECT_TRUE(enroll(self->vcpu));
	/* The mailbox has told the guest of this one: the trace works. */
	EXPECT_TRUE(!trace || attack_trace_has(SECRET));

	for (i = ATTACK_PAGE_FREE; i < ATTACK_NR_PAGES; i++) {
		EXPECT_EQ(0, attack_exec(self->vcpu, attack_str_not, GPA(i), ~NEW_SECRET, 0));
		EXPECT_FALSE(attack_find_in_run(self->vcpu, NEW_SECRET));
	}
	/* Where no slot is, too. */
	EXPECT_EQ(PKVM_STOP_EXCEPTION,
		  attack_exec(self->vcpu, attack_str_not, ATTACK_HOLE_GPA, ~NEW_SECRET, 0));
	EXPECT_FALSE(attack_find_in_run(self->vcpu, NEW_SECRET));
	if (!trace) {
		TH_LOG("no tracefs here: the trace is not looked at");
		return;
	}
	EXPECT_FALSE(attack_trace_has(NEW_SECRET));
	attack_trace(false);
	EXPECT_EQ(NEW_SECRET, guest_read64(self->vcpu, GPA(ATTACK_NR_PAGES - 1)));
}

int main(int argc, char **argv)
{
	attack_drop_privileges();
	return test_harness_run(argc, argv);
}
