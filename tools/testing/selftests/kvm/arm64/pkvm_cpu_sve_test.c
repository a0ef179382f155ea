// SPDX-License-Identifier: GPL-2.0-only
/*
 * SVE of protected guests: that it is offered as to any guest, that the vectors of a guest, of
 * its neighbours and of its host stay apart, and what a guest without SVE finds. The VMM has no
 * privileges. On a CPU without SVE, only what KVM refuses there and what is undefined is tested.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <asm/hwcap.h>

#include "kselftest_harness.h"
#include "pkvm_attack.h"
#include "pkvm_sve.h"

#define PSCI_FEATURE	(1U << KVM_ARM_VCPU_PSCI_0_2)
#define SVE_FEATURE	(1U << KVM_ARM_VCPU_SVE)

#define NO_SVE		"this CPU has no SVE"
#define ALL_LEN		0xf		/* ZCR_EL1.LEN */
#define MS		20000		/* more than anything takes that ends by itself */
#define LONG		600		/* seconds: a kernel full of checks, many rounds */

/* The guest's words count up from the complement of these; each has another FFR. */
#define SEED(n)		(0x5ec2e7005a5a0000ULL + (n) * 0x1000000001ULL)
/* Those of the host's threads, none of their bytes zero. */
#define HOST_WORDS	0x4057401157115711ULL
#define HOLDER_WORDS	0x7077401177117711ULL

/* What only a test's process writes, and reads. */
static struct sve_image in, out;

static bool has_sve(void)
{
	return getauxval(AT_HWCAP) & HWCAP_SVE;
}

/*
 * A VM with the code and the images of pkvm_sve.h in memory of its own.
 */
struct sve_vm {
	struct attack a;
	struct pkvm_vcpu *vcpu;
	struct pkvm_vcpu *other;
	int fd;
	char *mem;
};

static void sve_vm_create(struct sve_vm *s, int nr_vcpus, u32 flags)
{
	size_t size = sve_guest_end - sve_guest_start;
	int ret;

	attack_vm_create(&s->a, nr_vcpus, flags | PKVM_VM_MANUAL_START);
	s->vcpu = s->a.vcpu;
	s->other = s->a.other;
	s->fd = gmem_create(s->a.vm.fd, SVE_MEM_SIZE,
			    GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	TEST_ASSERT(s->fd >= 0, "guest_memfd: %d", s->fd);
	s->mem = gmem_map(s->fd, SVE_MEM_SIZE);
	TEST_ASSERT(size <= SVE_CHUNK, "too much code");
	memcpy(s->mem, sve_guest_start, size);
	__builtin___clear_cache(s->mem, s->mem + size);

	if (flags & PKVM_VM_PROTECTED) {
		ret = gmem_set_attr(s->fd, 0, SVE_MEM_SIZE, GMEM_PRIVATE);
		TEST_ASSERT(!ret, "memory to private: %d", ret);
	}
	ret = pkvm_slot_gmem(&s->a.vm, 1, SVE_GPA, SVE_MEM_SIZE, s->fd, 0);
	TEST_ASSERT(!ret, "slot: %d", ret);
}

static void sve_vm_destroy(struct sve_vm *s)
{
	attack_vm_destroy(&s->a);
	munmap(s->mem, SVE_MEM_SIZE);
	close(s->fd);
}

static u64 sve_code(const char *routine)
{
	return SVE_GPA + (routine - sve_guest_start);
}

static u64 image_gpa(int nr)
{
	return SVE_GPA + (1 + nr) * SVE_CHUNK;
}

/* The image that nobody fills. */
#define ZERO_IMAGE	image_gpa(2)

static int sve_call(struct pkvm_vcpu *vcpu, int ms, const char *routine, u64 a1, u64 a2, u64 a3)
{
	u64 args[] = { sve_code(routine), a1, a2, a3 };

	return attack_call(vcpu, ms, PKVM_OP_EXEC, args, 4, 4);
}

static int sve_exec(struct pkvm_vcpu *vcpu, const char *routine, u64 a1, u64 a2)
{
	return sve_call(vcpu, MS, routine, a1, a2, 0);
}

/* A routine that answers this in x0. */
static bool answers(struct pkvm_vcpu *vcpu, u64 want, const char *routine, u64 a1, u64 a2)
{
	int ret = sve_exec(vcpu, routine, a1, a2);

	if (!ret && vcpu->res[0] == want)
		return true;
	fprintf(stderr, "# routine at %#lx: KVM_RUN %d, esr %#lx, answer %#lx, not %#lx\n",
		(unsigned long)(routine - sve_guest_start), ret, (unsigned long)vcpu->esr,
		(unsigned long)vcpu->res[0], (unsigned long)want);
	return false;
}

/* The vectors are, for vectors of @vl bytes, those of the image. */
static bool are_image(struct pkvm_vcpu *vcpu, u64 image, u64 vl)
{
	if (!answers(vcpu, 0, vec_check, image, 0))
		return false;
	if (vcpu->res[1] == vl)
		return true;
	fprintf(stderr, "# the guest's vectors have %lu bytes, not %lu\n",
		(unsigned long)vcpu->res[1], (unsigned long)vl);
	return false;
}

/* SVE is on, with vectors of @vl bytes, and they are secrets. */
static bool are_filled(struct pkvm_vcpu *vcpu, int nr, u64 len, u64 vl)
{
	return answers(vcpu, vl, vec_on, len, 0) &&
	       answers(vcpu, 0, vec_fill, image_gpa(nr), SEED(nr)) &&
	       are_image(vcpu, image_gpa(nr), vl);
}

/* An instruction of that name, after CPACR_EL1 has made way for it; an EC of zero. */
static bool is_undefined(struct pkvm_vcpu *vcpu, const char *insn, u64 a1)
{
	int ret;

	if (sve_exec(vcpu, sve_cpacr, 3 << 20 | 3 << 16, 0))
		return false;
	ret = sve_exec(vcpu, insn, a1, 0);
	if (ret == PKVM_STOP_EXCEPTION && !(vcpu->esr >> 26) && vcpu->elr == sve_code(insn))
		return true;
	fprintf(stderr, "# KVM_RUN %d, exit %u, esr %#lx, elr %#lx (%#lx), x0 %#lx\n", ret,
		vcpu->run->exit_reason, (unsigned long)vcpu->esr, (unsigned long)vcpu->elr,
		(unsigned long)sve_code(insn), (unsigned long)vcpu->res[0]);
	return false;
}

/*
 * The host's own vectors.
 */

/* All tests' threads share one CPU, and have the longest vectors. */
static u64 host_prepare(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	TEST_ASSERT(!sched_setaffinity(0, sizeof(set), &set), "affinity: errno %d", errno);
	TEST_ASSERT(prctl(PR_SVE_SET_VL, SVE_VL_MAX) >= 0, "vector length: errno %d", errno);
	TEST_ASSERT(sve_host_vl() <= SVE_MAX_VL, "vectors that are too long for this test");
	return sve_host_vl();
}

static size_t image_size(u64 vl)
{
	return 34 * vl + vl / 8;
}

static void image_fill(struct sve_image *image, u64 vl, u64 word)
{
	size_t i;

	for (i = 0; i < 34 * vl; i += sizeof(word))
		memcpy(image->bytes + i, &word, sizeof(word));
	memset(image->bytes + i, 0xff, vl / 8);
}

/* After a system call: the low 128 bits are the caller's, the others may be zero instead. */
static bool is_own_or_zero(u64 vl)
{
	size_t i;
	bool low;

	for (i = 0; i < image_size(vl); i++) {
		low = i < 32 * vl && i % vl < 16;
		if (out.bytes[i] == in.bytes[i] || (!low && !out.bytes[i]))
			continue;
		fprintf(stderr, "# byte %zu of the host's vectors of %lu bytes is %#x\n", i,
			(unsigned long)vl, out.bytes[i]);
		return false;
	}
	return true;
}

/*
 * The host's vectors are in the CPU when it calls KVM_RUN, the guest's when it leaves the
 * guest. That is at the store of the first of four results, which nobody waits for.
 */
static bool are_own_after_a_run(struct pkvm_vcpu *vcpu, u64 vl)
{
	int ret = sve_exec(vcpu, vec_load, ATTACK_PROBE_GPA, 0);

	if (ret != PKVM_STOP_OTHER || vcpu->run->exit_reason != KVM_EXIT_MMIO)
		return false;
	memset(vcpu->run->mmio.data, 0, sizeof(vcpu->run->mmio.data));
	image_fill(&in, vl, HOST_WORDS);
	memset(&out, 0x11, sizeof(out));
	do
		ret = sve_host_ioctl(vcpu->fd, KVM_RUN, &in, &out);
	while (ret == -EINTR);
	if (ret || vcpu->run->exit_reason != KVM_EXIT_MMIO ||
	    vcpu->run->mmio.phys_addr != PKVM_MBOX_GPA + PKVM_MBOX_RES(1)) {
		fprintf(stderr, "# KVM_RUN %d, exit %u\n", ret, vcpu->run->exit_reason);
		return false;
	}
	return !attack_resume(vcpu, MS) && is_own_or_zero(vl) && sve_host_vl() == vl;
}

/* A thread that has its vectors in the CPU all the time: nothing of them may change. */
struct holder {
	pthread_t thread;
	u64 vl;
	unsigned long rounds, lost;
	bool stop;
};

static void *hold_vectors(void *arg)
{
	static struct sve_image mine, now;
	struct holder *h = arg;

	image_fill(&mine, h->vl, HOLDER_WORDS);
	while (!__atomic_load_n(&h->stop, __ATOMIC_ACQUIRE)) {
		memset(&now, 0, sizeof(now));
		sve_host_hold(100000, &mine, &now);
		h->rounds++;
		if (memcmp(&mine, &now, image_size(h->vl)) || sve_host_vl() != h->vl)
			h->lost++;
	}
	return NULL;
}

/* Its thread takes no signals: those are for whoever is in KVM_RUN. */
static void holder_start(struct holder *h, u64 vl)
{
	sigset_t all, old;

	*h = (struct holder){ .vl = vl };
	sigfillset(&all);
	TEST_ASSERT(!pthread_sigmask(SIG_SETMASK, &all, &old), "signals");
	TEST_ASSERT(!pthread_create(&h->thread, NULL, hold_vectors, h), "thread");
	TEST_ASSERT(!pthread_sigmask(SIG_SETMASK, &old, NULL), "signals");
}

static bool holder_lost_nothing(struct holder *h)
{
	/* It may not have had the CPU yet. */
	usleep(10000);
	__atomic_store_n(&h->stop, true, __ATOMIC_RELEASE);
	pthread_join(h->thread, NULL);
	if (h->rounds && !h->lost)
		return true;
	fprintf(stderr, "# host thread: vectors lost in %lu of %lu rounds\n", h->lost, h->rounds);
	return false;
}

/*
 * Exits, each with the guest's vectors in the CPU.
 */

static bool calls(struct pkvm_vcpu *vcpu, u64 want, u64 func, u64 a1, u64 a2)
{
	int ret = sve_call(vcpu, MS, vec_hvc, func, a1, a2);

	if (!ret && vcpu->res[0] == want)
		return true;
	fprintf(stderr, "# call %#lx: KVM_RUN %d, answer %#lx\n", (unsigned long)func, ret,
		(unsigned long)vcpu->res[0]);
	return false;
}

/* The guest sleeps, until a signal wakes it, which the VMM sees first. */
static int sleep_until_signal(struct pkvm_vcpu *vcpu)
{
	return sve_call(vcpu, 20, vec_wfi, 0, 0, 0);
}

/* And goes on. If it had not come to its WFI when the signal came, it takes another one. */
static bool goes_on(struct pkvm_vcpu *vcpu)
{
	int i, ret = -EINTR;

	for (i = 0; ret == -EINTR && i < 10; i++)
		ret = attack_resume(vcpu, 100);
	return !ret;
}

/* By the host's timers, and by signals of the VMM's. */
static bool is_interrupted(struct pkvm_vcpu *vcpu)
{
	int i, ret = sve_call(vcpu, 2, vec_spin, 2000000, 0, 0);

	for (i = 0; ret == -EINTR && i < 5; i++)
		ret = attack_resume(vcpu, 5);
	return !(ret == -EINTR ? attack_resume(vcpu, MS) : ret);
}

/* Memory, calls that EL2 answers and calls for the host, sleep, interrupts. */
static bool exits(struct sve_vm *s, struct pkvm_vcpu *vcpu)
{
	u64 page = attack_gpa(&s->a, ATTACK_PAGE_FREE + 1);

	return !sve_exec(vcpu, vec_store, page, 1) &&
	       calls(vcpu, 0x10001, PSCI_VERSION_FN, 0, 0) &&
	       calls(vcpu, PKVM_SUCCESS, PKVM_HVC_SHARE, page, 1) &&
	       calls(vcpu, PKVM_SUCCESS, PKVM_HVC_UNSHARE, page, 1) &&
	       sleep_until_signal(vcpu) == -EINTR && goes_on(vcpu) && is_interrupted(vcpu);
}

/*
 * What KVM offers: a vCPU that has not even been initialised, of both kinds.
 */

FIXTURE(bare) {
	struct pkvm_vm vm;
	struct pkvm_vcpu vcpu;
};

FIXTURE_VARIANT(bare) {
	u32 flags;
};

FIXTURE_VARIANT_ADD(bare, protected) {
	.flags = PKVM_VM_PROTECTED,
};

FIXTURE_VARIANT_ADD(bare, unprotected) {
};

static void bare_create(struct pkvm_vm *vm, struct pkvm_vcpu *vcpu, u32 flags)
{
	vm->fd = pkvm_vm_open(flags);
	TEST_ASSERT(vm->fd >= 0, "a VM: %d", vm->fd);
	vcpu->vm = vm;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, 0UL);
	TEST_ASSERT(vcpu->fd >= 0, "a vCPU: errno %d", errno);
}

static void bare_destroy(struct pkvm_vm *vm, struct pkvm_vcpu *vcpu)
{
	close(vcpu->fd);
	close(vm->fd);
}

FIXTURE_SETUP(bare)
{
	bare_create(&self->vm, &self->vcpu, variant->flags);
}

FIXTURE_TEARDOWN(bare)
{
	bare_destroy(&self->vm, &self->vcpu);
	EXPECT_EQ(0, attack_kmsg_bad());
}

static int finalize(struct pkvm_vcpu *vcpu)
{
	int feature = KVM_ARM_VCPU_SVE;

	return ioctl(vcpu->fd, KVM_ARM_VCPU_FINALIZE, &feature) ? -errno : 0;
}

static int set_any(struct pkvm_vcpu *vcpu, u64 id, const void *buf)
{
	struct kvm_one_reg reg = { id, (u64)buf };

	return ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg) ? -errno : 0;
}

/* Vector lengths, as many as @vcpu may have: bit n is (n + 1) * 16 bytes. */
static int get_lengths(struct pkvm_vcpu *vcpu, u64 *lengths)
{
	u64 vls[KVM_ARM64_SVE_VLS_WORDS] = {};
	int ret = attack_get_any(vcpu, KVM_REG_ARM64_SVE_VLS, vls);

	*lengths = vls[0];
	return ret;
}

static int set_lengths(struct pkvm_vcpu *vcpu, u64 lengths)
{
	u64 vls[KVM_ARM64_SVE_VLS_WORDS] = { lengths };

	return set_any(vcpu, KVM_REG_ARM64_SVE_VLS, vls);
}

/* The longest of them that is not longer than @max times 16 bytes; in bytes. */
static u64 longest(u64 lengths, int max)
{
	int vq;

	for (vq = max; vq > 0; vq--) {
		if (lengths & 1ULL << (vq - 1))
			return 16 * vq;
	}
	return 0;
}

TEST_F(bare, is_offered_where_the_cpu_has_it)
{
	EXPECT_EQ(has_sve(), gmem_check_cap(self->vm.fd, KVM_CAP_ARM_SVE));
	EXPECT_EQ(has_sve() ? 0 : -EINVAL, attack_init(&self->vcpu, PSCI_FEATURE | SVE_FEATURE));
}

TEST_F(bare, is_not_had_without_asking)
{
	u64 lengths, buf[32] = {};

	EXPECT_EQ(0, attack_init(&self->vcpu, PSCI_FEATURE));
	EXPECT_EQ(-EINVAL, finalize(&self->vcpu));
	EXPECT_EQ(-ENOENT, get_lengths(&self->vcpu, &lengths));
	EXPECT_EQ(-ENOENT, set_lengths(&self->vcpu, 1));
	EXPECT_EQ(-ENOENT, attack_get_any(&self->vcpu, KVM_REG_ARM64_SVE_ZREG(0, 0), buf));
}

TEST_F(bare, is_finalized)
{
	u64 lengths = 0, again = 0, buf[32] = {};

	if (!has_sve())
		SKIP(return, NO_SVE);
	EXPECT_EQ(0, attack_init(&self->vcpu, PSCI_FEATURE | SVE_FEATURE));
	EXPECT_EQ(0, get_lengths(&self->vcpu, &lengths));
	EXPECT_EQ(1, lengths & 1);
	EXPECT_EQ(-EPERM, attack_get_any(&self->vcpu, KVM_REG_ARM64_SVE_ZREG(0, 0), buf));
	EXPECT_EQ(-1, ioctl(self->vcpu.fd, KVM_RUN, 0));
	EXPECT_EQ(EPERM, errno);

	EXPECT_EQ(0, finalize(&self->vcpu));
	EXPECT_EQ(-EPERM, finalize(&self->vcpu));
	EXPECT_EQ(-EPERM, set_lengths(&self->vcpu, 1));
	EXPECT_EQ(0, get_lengths(&self->vcpu, &again));
	EXPECT_EQ(lengths, again);
	EXPECT_EQ(0, attack_get_any(&self->vcpu, KVM_REG_ARM64_SVE_ZREG(0, 0), buf));
	EXPECT_EQ(0, attack_init(&self->vcpu, PSCI_FEATURE | SVE_FEATURE));
}

TEST_F(bare, has_the_lengths_that_it_is_given)
{
	struct pkvm_vcpu vcpu = {};
	struct pkvm_vm vm = {};
	u64 lengths = 0, ordinary = 0;

	if (!has_sve())
		SKIP(return, NO_SVE);
	bare_create(&vm, &vcpu, 0);
	EXPECT_EQ(0, attack_init(&vcpu, PSCI_FEATURE | SVE_FEATURE));
	EXPECT_EQ(0, get_lengths(&vcpu, &ordinary));
	bare_destroy(&vm, &vcpu);

	EXPECT_EQ(0, attack_init(&self->vcpu, PSCI_FEATURE | SVE_FEATURE));
	EXPECT_EQ(0, get_lengths(&self->vcpu, &lengths));
	EXPECT_EQ(ordinary, lengths);
	EXPECT_EQ(-EINVAL, set_lengths(&self->vcpu, 0));
	EXPECT_EQ(-EINVAL, set_lengths(&self->vcpu, ~0ULL));
	EXPECT_EQ(-EINVAL, set_lengths(&self->vcpu, lengths & ~1ULL));
	EXPECT_EQ(0, set_lengths(&self->vcpu, 1));
	EXPECT_EQ(0, finalize(&self->vcpu));
	EXPECT_EQ(0, get_lengths(&self->vcpu, &lengths));
	EXPECT_EQ(1, lengths);
}

/*
 * A protected guest without SVE, whatever the CPU has.
 */

FIXTURE(without) {
	struct sve_vm s;
	struct pkvm_vcpu *vcpu;
};

FIXTURE_SETUP(without)
{
	sve_vm_create(&self->s, 1, PKVM_VM_PROTECTED);
	self->vcpu = self->s.vcpu;
}

FIXTURE_TEARDOWN(without)
{
	sve_vm_destroy(&self->s);
	EXPECT_EQ(0, attack_kmsg_bad());
}

TEST_F(without, instructions_are_undefined)
{
	EXPECT_TRUE(is_undefined(self->vcpu, sve_rdvl, 0));
	EXPECT_TRUE(is_undefined(self->vcpu, sve_dup, 0));
	EXPECT_TRUE(is_undefined(self->vcpu, sve_ptrue, 0));
	EXPECT_TRUE(is_undefined(self->vcpu, sve_rdffr, 0));
	EXPECT_TRUE(is_undefined(self->vcpu, sve_str, image_gpa(0)));
	EXPECT_TRUE(is_undefined(self->vcpu, sve_zcr, 0));
	EXPECT_EQ(0x10001, guest_hvc(self->vcpu, PSCI_VERSION_FN, 0, 0, 0, NULL));
}

/* And none of them, undefined as it is, has brought in or lost what FP and SIMD have. */
TEST_F(without, fp_registers_are_kept)
{
	EXPECT_TRUE(answers(self->vcpu, 0, fp_any, 0, 0));
	EXPECT_TRUE(answers(self->vcpu, 0, fp_fill, SEED(0), 0));
	EXPECT_TRUE(exits(&self->s, self->vcpu));
	EXPECT_TRUE(answers(self->vcpu, 0, fp_check, SEED(0), 0));
	EXPECT_TRUE(is_undefined(self->vcpu, sve_dup, 0));
	EXPECT_TRUE(answers(self->vcpu, 0, fp_check, SEED(0), 0));
}

TEST_F(without, id_registers)
{
	ASSERT_EQ(0, sve_exec(self->vcpu, vec_ids, 0, 0));
	EXPECT_EQ(0, self->vcpu->res[0] >> 32 & 0xf);
	EXPECT_EQ(0, self->vcpu->res[1]);
}

TEST_F_TIMEOUT(without, fp_registers_and_the_vectors_of_the_host, LONG)
{
	struct holder h;
	u64 vl;
	int i;

	if (!has_sve())
		SKIP(return, NO_SVE);
	vl = host_prepare();
	ASSERT_TRUE(answers(self->vcpu, 0, fp_fill, SEED(0), 0));
	holder_start(&h, vl);
	for (i = 0; i < 20; i++) {
		EXPECT_TRUE(are_own_after_a_run(self->vcpu, vl));
		EXPECT_TRUE(exits(&self->s, self->vcpu));
		EXPECT_TRUE(answers(self->vcpu, 0, fp_check, SEED(0), 0));
	}
	EXPECT_TRUE(holder_lost_nothing(&h));
}

/*
 * A protected guest with SVE.
 */

FIXTURE(with) {
	struct sve_vm s;
	struct pkvm_vcpu *vcpu;
	struct pkvm_vcpu *other;
	u64 lengths;	/* of vectors, that KVM offers */
	u64 vl;		/* the longest of them */
	u64 host_vl;
};

FIXTURE_SETUP(with)
{
	if (!has_sve())
		SKIP(return, NO_SVE);
	self->host_vl = host_prepare();
	sve_vm_create(&self->s, 2, PKVM_VM_PROTECTED | PKVM_VM_SVE);
	self->vcpu = self->s.vcpu;
	self->other = self->s.other;
	ASSERT_EQ(0, get_lengths(self->vcpu, &self->lengths));
	self->vl = longest(self->lengths, 64);
	ASSERT_LE(16, self->vl);
	ASSERT_GE(SVE_MAX_VL, self->vl);
}

FIXTURE_TEARDOWN(with)
{
	EXPECT_EQ(self->host_vl, sve_host_vl());
	sve_vm_destroy(&self->s);
	EXPECT_EQ(0, attack_kmsg_bad());
}

static bool turn_on_other(FIXTURE_DATA(with) * self)
{
	return !guest_cpu_on(self->vcpu, attack_mpidr(1), PKVM_CODE_GPA, 0) &&
	       !attack_call(self->other, 5000, PKVM_OP_NOP, NULL, 0, 1);
}

/* As after a reset: CPACR_EL1, ZCR_EL1, and all vectors, at their full length. */
static bool is_reset(struct pkvm_vcpu *vcpu, u64 vl)
{
	if (!answers(vcpu, vl, vec_on, ALL_LEN, 0))
		return false;
	if (!vcpu->res[1] && !vcpu->res[2])
		return are_image(vcpu, ZERO_IMAGE, vl);
	fprintf(stderr, "# ZCR_EL1 is %#lx, CPACR_EL1 %#lx\n", (unsigned long)vcpu->res[1],
		(unsigned long)vcpu->res[2]);
	return false;
}

/* What an ordinary guest with SVE finds here is what KVM knows of the host. */
TEST_F(with, id_registers)
{
	struct sve_vm ordinary;

	sve_vm_create(&ordinary, 1, PKVM_VM_SVE);
	ASSERT_EQ(0, sve_exec(ordinary.vcpu, vec_ids, 0, 0));
	ASSERT_EQ(0, sve_exec(self->vcpu, vec_ids, 0, 0));
	EXPECT_EQ(1, self->vcpu->res[0] >> 32 & 0xf);
	EXPECT_EQ(1, ordinary.vcpu->res[0] >> 32 & 0xf);
	EXPECT_EQ(ordinary.vcpu->res[1], self->vcpu->res[1]);
	sve_vm_destroy(&ordinary);
}

TEST_F_TIMEOUT(with, vector_lengths_are_all_that_kvm_offers, LONG)
{
	int len;

	for (len = 0; len <= ALL_LEN; len++) {
		EXPECT_TRUE(answers(self->vcpu, longest(self->lengths, len + 1), vec_on, len, 0))
			TH_LOG("ZCR_EL1.LEN %d", len);
		EXPECT_EQ(len ? len - 1 : 0, self->vcpu->res[1]);
	}
	EXPECT_TRUE(answers(self->vcpu, self->vl, sve_rdvl, 0, 0));
}

/* At most @vq times 16 bytes: what the guest has at most, too. */
static bool has_at_most(int vq, u64 vl)
{
	struct sve_vm s;
	u64 lengths = 0;
	bool ret;

	sve_vm_create(&s, 1, PKVM_VM_PROTECTED | PKVM_VM_SVE_VQ(vq));
	ret = !get_lengths(s.vcpu, &lengths) && longest(lengths, 64) == vl &&
	      is_reset(s.vcpu, vl) && are_filled(s.vcpu, 0, ALL_LEN, vl) &&
	      exits(&s, s.vcpu) && are_image(s.vcpu, image_gpa(0), vl);
	sve_vm_destroy(&s);
	return ret;
}

TEST_F_TIMEOUT(with, vector_lengths_are_limited_by_the_vmm, LONG)
{
	int vq;

	for (vq = 1; vq <= self->vl / 16; vq++) {
		EXPECT_TRUE(has_at_most(vq, longest(self->lengths, vq)))
			TH_LOG("%d bytes", 16 * vq);
	}
	/* Beside one that has all of them. */
	EXPECT_TRUE(are_filled(self->vcpu, 0, ALL_LEN, self->vl));
	EXPECT_TRUE(has_at_most(1, 16));
	EXPECT_TRUE(are_image(self->vcpu, image_gpa(0), self->vl));
}

/* Taken, as an ordinary guest's are, and of no effect. */
TEST_F(with, vectors_written_before_the_run)
{
	u8 buf[SVE_MAX_VL];
	int n;

	memset(buf, 0xa5, sizeof(buf));
	for (n = 0; n < KVM_ARM64_SVE_NUM_ZREGS; n++)
		EXPECT_EQ(0, set_any(self->vcpu, KVM_REG_ARM64_SVE_ZREG(n, 0), buf));
	for (n = 0; n < KVM_ARM64_SVE_NUM_PREGS; n++)
		EXPECT_EQ(0, set_any(self->vcpu, KVM_REG_ARM64_SVE_PREG(n, 0), buf));
	memset(buf, 0xff, sizeof(buf));
	EXPECT_EQ(0, set_any(self->vcpu, KVM_REG_ARM64_SVE_FFR(0), buf));
	EXPECT_EQ(0, attack_set_reg(self->vcpu, ARM64_SYS_REG(3, 0, 1, 2, 0), 3));
	EXPECT_TRUE(is_reset(self->vcpu, self->vl));
}

TEST_F(with, vectors_are_refused_after_the_run)
{
	u64 id[] = {
		KVM_REG_ARM64_SVE_ZREG(0, 0), KVM_REG_ARM64_SVE_ZREG(31, 0),
		KVM_REG_ARM64_SVE_PREG(0, 0), KVM_REG_ARM64_SVE_PREG(15, 0),
		KVM_REG_ARM64_SVE_FFR(0), KVM_REG_ARM64_SVE_VLS,
		ARM64_SYS_REG(3, 0, 1, 2, 0),		/* ZCR_EL1 */
	};
	u8 buf[SVE_MAX_VL] = {}, none[SVE_MAX_VL] = {};
	size_t i;

	ASSERT_TRUE(are_filled(self->vcpu, 0, ALL_LEN, self->vl));
	for (i = 0; i < ARRAY_SIZE(id); i++) {
		EXPECT_EQ(-EPERM, attack_get_any(self->vcpu, id[i], buf))
			TH_LOG("register %#lx", (unsigned long)id[i]);
		EXPECT_EQ(-EPERM, set_any(self->vcpu, id[i], buf))
			TH_LOG("register %#lx", (unsigned long)id[i]);
	}
	EXPECT_EQ(0, memcmp(buf, none, sizeof(buf)));
	EXPECT_GT(0, finalize(self->vcpu));
	EXPECT_EQ(-EPERM, attack_init(self->vcpu, PSCI_FEATURE | SVE_FEATURE));
	EXPECT_TRUE(are_image(self->vcpu, image_gpa(0), self->vl));
}

/* How much of the secrets is in kvm_run or in a register that KVM lists. */
static int find_secrets(struct pkvm_vcpu *vcpu, u64 seed, u64 vl)
{
	u64 words = 34 * vl / 8, i;
	int found = 0;

	for (i = 0; i < words; i += vl / 8)
		found += attack_find_in_run(vcpu, ~seed + i);
	/* The first word of Z0, and the last one of Z31. */
	return found + attack_find_in_regs(vcpu, ~seed) +
	       attack_find_in_regs(vcpu, ~seed + 32 * vl / 8 - 1);
}

TEST_F_TIMEOUT(with, vectors_are_hidden, LONG)
{
	struct sve_vm ordinary;

	ASSERT_TRUE(are_filled(self->vcpu, 0, ALL_LEN, self->vl));
	EXPECT_EQ(0, find_secrets(self->vcpu, SEED(0), self->vl));
	ASSERT_EQ(PKVM_STOP_OTHER, sve_exec(self->vcpu, vec_load, ATTACK_PROBE_GPA, 0));
	EXPECT_EQ(0, find_secrets(self->vcpu, SEED(0), self->vl));
	EXPECT_EQ(0, attack_resume(self->vcpu, MS));
	EXPECT_EQ(-EINTR, sleep_until_signal(self->vcpu));
	EXPECT_EQ(0, find_secrets(self->vcpu, SEED(0), self->vl));
	EXPECT_TRUE(goes_on(self->vcpu));
	EXPECT_TRUE(are_image(self->vcpu, image_gpa(0), self->vl));

	/* Of an ordinary guest, they are seen: this test would see them. */
	sve_vm_create(&ordinary, 1, PKVM_VM_SVE);
	EXPECT_TRUE(are_filled(ordinary.vcpu, 0, ALL_LEN, self->vl));
	EXPECT_LE(2, find_secrets(ordinary.vcpu, SEED(0), self->vl));
	sve_vm_destroy(&ordinary);
}

/* A page that the VMM has not given yet. */
static bool stores_to_a_missing_page(FIXTURE_DATA(with) * self)
{
	u64 gpa = attack_gpa(&self->s.a, ATTACK_PAGE_FREE);
	int ret = sve_exec(self->vcpu, vec_store, gpa, 0x1234);

	return ret == -EFAULT &&
	       !pkvm_vcpu_handle(self->vcpu, ret, self->s.a.fd, ATTACK_MEM_GPA) &&
	       guest_read64(self->vcpu, gpa) == 0x1234;
}

TEST_F_TIMEOUT(with, vectors_of_guest_and_host_are_kept, LONG)
{
	u64 image = image_gpa(0), off = ATTACK_PAGE_FREE * self->s.a.page;
	struct holder h;
	int i;

	/* Before the guest runs: it gets all that is private around what it touches. */
	ASSERT_EQ(0, gmem_set_attr(self->s.a.fd, off, self->s.a.page, GMEM_SHARED));
	ASSERT_TRUE(are_filled(self->vcpu, 0, ALL_LEN, self->vl));
	EXPECT_TRUE(stores_to_a_missing_page(self));
	EXPECT_TRUE(are_image(self->vcpu, image, self->vl));

	holder_start(&h, self->host_vl);
	for (i = 0; i < 20; i++) {
		EXPECT_TRUE(are_own_after_a_run(self->vcpu, self->host_vl));
		EXPECT_TRUE(are_image(self->vcpu, image, self->vl));
		EXPECT_TRUE(exits(&self->s, self->vcpu));
		EXPECT_TRUE(are_image(self->vcpu, image, self->vl));
	}
	EXPECT_TRUE(holder_lost_nothing(&h));
}

/* The guest's choice of a length is its own: the host's threads keep theirs. */
TEST_F_TIMEOUT(with, vectors_of_the_host_beside_shorter_ones, LONG)
{
	struct holder h;
	int i;

	ASSERT_TRUE(are_filled(self->vcpu, 0, 0, 16));
	holder_start(&h, self->host_vl);
	for (i = 0; i < 20; i++) {
		EXPECT_TRUE(are_own_after_a_run(self->vcpu, self->host_vl));
		EXPECT_TRUE(exits(&self->s, self->vcpu));
		EXPECT_TRUE(are_image(self->vcpu, image_gpa(0), 16));
	}
	EXPECT_TRUE(holder_lost_nothing(&h));
}

TEST_F_TIMEOUT(with, two_vcpus_on_one_cpu, LONG)
{
	int i;

	ASSERT_TRUE(turn_on_other(self));
	ASSERT_TRUE(are_filled(self->vcpu, 0, ALL_LEN, self->vl));
	ASSERT_TRUE(is_reset(self->other, self->vl));
	ASSERT_TRUE(are_filled(self->other, 1, ALL_LEN, self->vl));
	for (i = 0; i < 20; i++) {
		EXPECT_TRUE(are_image(self->vcpu, image_gpa(0), self->vl));
		EXPECT_TRUE(are_image(self->other, image_gpa(1), self->vl));
	}

	/* Of different lengths, too. */
	ASSERT_TRUE(are_filled(self->other, 1, 0, 16));
	for (i = 0; i < 20; i++) {
		EXPECT_TRUE(are_image(self->vcpu, image_gpa(0), self->vl));
		EXPECT_TRUE(are_image(self->other, image_gpa(1), 16));
	}
	EXPECT_TRUE(exits(&self->s, self->vcpu));
	EXPECT_TRUE(exits(&self->s, self->other));
	EXPECT_TRUE(are_image(self->vcpu, image_gpa(0), self->vl));
	EXPECT_TRUE(are_image(self->other, image_gpa(1), 16));
}

TEST_F_TIMEOUT(with, two_vms_of_which_one_is_without, LONG)
{
	struct sve_vm plain;
	int i;

	sve_vm_create(&plain, 1, PKVM_VM_PROTECTED);
	ASSERT_TRUE(are_filled(self->vcpu, 0, ALL_LEN, self->vl));
	EXPECT_TRUE(answers(plain.vcpu, 0, fp_any, 0, 0));
	ASSERT_TRUE(answers(plain.vcpu, 0, fp_fill, SEED(1), 0));
	for (i = 0; i < 20; i++) {
		EXPECT_TRUE(are_image(self->vcpu, image_gpa(0), self->vl));
		EXPECT_TRUE(is_undefined(plain.vcpu, sve_str, image_gpa(0)));
		EXPECT_TRUE(is_undefined(plain.vcpu, sve_rdffr, 0));
		EXPECT_TRUE(answers(plain.vcpu, 0, fp_check, SEED(1), 0));
	}
	EXPECT_TRUE(are_image(self->vcpu, image_gpa(0), self->vl));

	/* No vector has come into its memory either. */
	EXPECT_TRUE(answers(plain.vcpu, 0, vec_load, image_gpa(0), 0));
	sve_vm_destroy(&plain);
}

TEST_F_TIMEOUT(with, cpu_off_and_on_resets_the_vectors, LONG)
{
	int i;

	ASSERT_TRUE(is_reset(self->vcpu, self->vl));
	ASSERT_TRUE(are_filled(self->vcpu, 0, ALL_LEN, self->vl));
	for (i = 0; i < 10; i++) {
		ASSERT_TRUE(turn_on_other(self));
		EXPECT_TRUE(is_reset(self->other, self->vl));
		EXPECT_TRUE(are_filled(self->other, 1, i % 2 ? 0 : ALL_LEN,
				       i % 2 ? 16 : self->vl));
		ASSERT_TRUE(guest_cpu_off(self->other, attack_mpidr(1), self->vcpu));
	}
	EXPECT_TRUE(are_image(self->vcpu, image_gpa(0), self->vl));
}

int main(int argc, char **argv)
{
	attack_drop_privileges();
	return test_harness_run(argc, argv);
}
