// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protected VMs on guest_memfd, out of memory from the making of the VM on: a life of a VM is
 * lived again and again, with the first allocation of all failing, then the second, and so on,
 * until none does.
 *
 * The VMM gives up there, or does the same again, which works. In the end all of the memory is
 * free again, and EL2 knows of no VM that was not made.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "gmem_test.h"
#include "fail_nth.h"
#include "pkvm_guest.h"

#define STAMP		0x57a3900000000000ULL

struct tally {
	size_t run_size;
	unsigned int allocations, refused;
};

FIXTURE(out_of_memory_vm) {
	struct tally tally;
	int kmsg;
};

FIXTURE_SETUP(out_of_memory_vm)
{
	struct pkvm_vm vm;

	self->kmsg = gmem_kmsg_open();
	fail_nth_open();
	pkvm_vm_create(&vm, 1, PKVM_VM_PROTECTED);
	self->tally.run_size = vm.run_size;
	pkvm_vm_destroy(&vm);
}

FIXTURE_TEARDOWN(out_of_memory_vm)
{
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

struct whole {
	int vm, vcpu, code_fd, fd;
	char *code, *mem;
	struct pkvm_vm proxy;		/* for the helpers */
};

static int result(long ret)
{
	return ret < 0 ? -errno : 0;
}

static int step_vm(struct whole *l)
{
	l->vm = pkvm_vm_open(PKVM_VM_PROTECTED);
	l->proxy.fd = l->vm;
	return l->vm < 0 ? l->vm : 0;
}

static int step_code(struct whole *l)
{
	l->code_fd = gmem_create(l->vm, page, GUEST_MEMFD_FLAG_MMAP |
				 GUEST_MEMFD_FLAG_INIT_SHARED);
	return l->code_fd < 0 ? l->code_fd : 0;
}

static int step_load(struct whole *l)
{
	l->code = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, l->code_fd, 0);
	if (l->code == MAP_FAILED) {
		l->code = NULL;
		return -errno;
	}
	memcpy(l->code, pkvm_payload_start, pkvm_payload_end - pkvm_payload_start);
	__builtin___clear_cache(l->code, l->code + page);
	return 0;
}

static int step_code_private(struct whole *l)
{
	return gmem_set_attr(l->code_fd, 0, page, GMEM_PRIVATE);
}

static int step_code_slot(struct whole *l)
{
	return gmem_set_slot(l->vm, PKVM_CODE_SLOT, PKVM_CODE_GPA, page, NULL, l->code_fd, 0);
}

static int step_file(struct whole *l)
{
	l->fd = gmem_create(l->vm, OFF(64), GUEST_MEMFD_FLAG_MMAP);
	return l->fd < 0 ? l->fd : 0;
}

static int step_map(struct whole *l)
{
	l->mem = mmap(NULL, OFF(64), PROT_READ | PROT_WRITE, MAP_SHARED, l->fd, 0);
	if (l->mem != MAP_FAILED)
		return 0;
	l->mem = NULL;
	return -errno;
}

static int step_slot(struct whole *l)
{
	return gmem_set_slot(l->vm, 0, MEM_GPA, OFF(64), NULL, l->fd, 0);
}

static int step_vcpu(struct whole *l)
{
	l->vcpu = ioctl(l->vm, KVM_CREATE_VCPU, 0UL);
	return result(l->vcpu);
}

static int step_vcpu_map(struct whole *l)
{
	struct pkvm_vcpu *vcpu = &l->proxy.vcpu[0];
	void *run = mmap(NULL, l->proxy.run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 l->vcpu, 0);

	if (run == MAP_FAILED)
		return -errno;
	vcpu->vm = &l->proxy;
	vcpu->fd = l->vcpu;
	vcpu->run = run;
	return 0;
}

static int step_vcpu_init(struct whole *l)
{
	struct kvm_vcpu_init init = {};

	if (ioctl(l->vm, KVM_ARM_PREFERRED_TARGET, &init))
		return -errno;
	init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
	return result(ioctl(l->vcpu, KVM_ARM_VCPU_INIT, &init));
}

static int step_vcpu_pc(struct whole *l)
{
	u64 pc = PKVM_CODE_GPA;
	struct kvm_one_reg reg = {
		KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |
		KVM_REG_ARM_CORE_REG(regs.pc), (u64)&pc
	};

	return result(ioctl(l->vcpu, KVM_SET_ONE_REG, &reg));
}

/* The command may be under way already: then it is taken up where it was. */
static int run(struct whole *l, u64 op, const u64 *args, int nr_args, int nr_res)
{
	struct pkvm_vcpu *vcpu = &l->proxy.vcpu[0];

	vcpu->op = op | nr_args << 8 | nr_res << 16;
	memcpy(vcpu->args, args, nr_args * sizeof(*args));
	return pkvm_vcpu_resume(vcpu);
}

static int step_first_run(struct whole *l)
{
	u64 args[] = { GPA(3), STAMP };

	return run(l, PKVM_OP_WRITE64, args, 2, 1);
}

static int step_share(struct whole *l)
{
	u64 args[] = { PKVM_HVC_SHARE, GPA(3), 1, 0 };

	return run(l, PKVM_OP_HVC, args, 4, 2);
}

static int step_look(struct whole *l)
{
	u64 val;

	return gmem_host_read64(l->mem + OFF(3), &val) ?: val == STAMP ? 0 : -EPROTO;
}

static int step_punch(struct whole *l)
{
	return gmem_punch(l->fd, OFF(5), page);
}

static int (* const steps[])(struct whole *l) = {
	step_vm, step_code, step_load, step_code_private, step_code_slot, step_file, step_map,
	step_slot, step_vcpu, step_vcpu_map, step_vcpu_init, step_vcpu_pc, step_first_run,
	step_share, step_look, step_punch,
};

static void whole_end(struct whole *l)
{
	if (l->proxy.vcpu[0].run)
		munmap(l->proxy.vcpu[0].run, l->proxy.run_size);
	if (l->mem)
		munmap(l->mem, OFF(64));
	if (l->code)
		munmap(l->code, page);
	if (l->vcpu >= 0)
		close(l->vcpu);
	if (l->code_fd >= 0)
		close(l->code_fd);
	if (l->vm >= 0)
		close(l->vm);
	if (l->fd >= 0)
		close(l->fd);
}

/* One life, whose n-th allocation fails. Returns whether there was one. */
static bool whole_life(struct __test_metadata *_metadata, struct tally *t, unsigned int n,
		       bool again)
{
	struct whole l = { -1, -1, -1, -1, .proxy.run_size = t->run_size };
	bool hit = false;
	size_t i;
	int ret;

	fail_nth(n);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		ret = steps[i](&l);
		if (!ret)
			continue;
		hit = fail_nth_end();
		EXPECT_EQ(-ENOMEM, ret)
			TH_LOG("step %zu, allocation %u", i, n);
		EXPECT_TRUE(hit);
		t->refused++;
		if (!again || ret != -ENOMEM)
			break;
		ret = steps[i](&l);
		EXPECT_EQ(0, ret)
			TH_LOG("step %zu again, allocation %u", i, n);
		if (ret)
			break;
	}
	whole_end(&l);
	hit |= fail_nth_end();
	t->allocations += hit;
	return hit;
}

/* How many VMs EL2 can have at once: it does not know those that were not made. */
static int vms_at_once(void)
{
	int fd[300], nr = 0, i;

	while (nr < (int)ARRAY_SIZE(fd)) {
		fd[nr] = pkvm_vm_open(PKVM_VM_PROTECTED);
		if (fd[nr] < 0)
			break;
		nr++;
	}
	for (i = 0; i < nr; i++)
		close(fd[i]);
	return nr;
}

static void whole_lives(struct __test_metadata *_metadata, struct tally *t, bool again)
{
	u64 before = 0, after;
	unsigned int n, round;
	int vms = vms_at_once();

	/* The first round fills caches. */
	for (round = 0; round < 2; round++) {
		if (round)
			before = gmem_settled_free_kb(~0ULL >> 1);
		for (n = 1; n < 2000 && whole_life(_metadata, t, n, again); n++)
			;
		EXPECT_GT(2000, n);
	}
	after = gmem_settled_free_kb(before - 512);
	EXPECT_LT(before, after + gmem_free_slack_kb() / 4)
		TH_LOG("%ju kB free before, %ju after", (uintmax_t)before, (uintmax_t)after);
	EXPECT_LT(0, t->refused);

	EXPECT_EQ(vms, vms_at_once());
	TH_LOG("lives that %s: %u allocations failed, and %u calls for that",
	       again ? "go on" : "end there", t->allocations, t->refused);
}

TEST_F_TIMEOUT(out_of_memory_vm, lives_that_are_given_up, 900)
{
	whole_lives(_metadata, &self->tally, false);
}

TEST_F_TIMEOUT(out_of_memory_vm, lives_that_go_on, 900)
{
	whole_lives(_metadata, &self->tally, true);
}

/* A VMM that is out of memory while it exits. */
TEST_F_TIMEOUT(out_of_memory_vm, exit_of_a_vmm, 120)
{
	unsigned int n;
	int status;
	pid_t pid;

	for (n = 1; n <= 24; n++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct pkvm_vm vm;
			char *mem;

			fail_nth_open();
			pkvm_vm_create_gmem(&vm, 1, MEM_GPA, OFF(64), GUEST_MEMFD_FLAG_MMAP, &mem);
			guest_fill(vm.vcpu, GPA(0), 64, STAMP, 1, page);
			TEST_ASSERT(!guest_share(vm.vcpu, GPA(8), 8, NULL), "share");
			TEST_ASSERT(gmem_host_get64(mem + OFF(8)) == STAMP + 8, "content");
			fail_nth(n);
			_exit(0);
		}
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
	}
}

int main(int argc, char **argv)
{
	int ret;

	page = getpagesize();
	pkvm_require_gmem();
	fail_nth_require();
	ret = test_harness_run(argc, argv);
	fail_nth_restore();
	return ret;
}
