// SPDX-License-Identifier: GPL-2.0-only
/*
 * MMIO guard: a protected guest says where it has devices, by its own calls. Every answer of the
 * interface; what a guarded page is to the other calls, to memory and to its VMM.
 *
 * The payload talks to the test through a device, the mailbox: enrolment and the word that the
 * mailbox is one have to come in one batch, whose commands are in memory.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "pkvm_gmem_fixture.h"

#define INFO		PKVM_HVC_MMIO_GUARD_INFO
#define ENROLL		PKVM_HVC_MMIO_GUARD_ENROLL
#define MAP		PKVM_HVC_MMIO_GUARD_MAP
#define UNMAP		PKVM_HVC_MMIO_GUARD_UNMAP
#define RMAP		PKVM_HVC_MMIO_RGUARD_MAP
#define RUNMAP		PKVM_HVC_MMIO_RGUARD_UNMAP

#define LIST		(NR_PAGES - 1)		/* page of the batches */
#define DEV_GPA		0x20000000ULL		/* no slot, in none of the tests but one */

#define TABLE_PAGES	(page / 8)

/* ESR_EL1 of an external abort, taken from EL1 to EL1. */
#define ESR_EC(esr)	((esr) >> 26)
#define EC_IABT_CUR	0x21
#define EC_DABT_CUR	0x25
#define ESR_FSC(esr)	((esr) & 0x3f)
#define FSC_EXTABT	0x10

static const u64 range_calls[] = { MAP, RMAP, UNMAP, RUNMAP };

static void put_command(FIXTURE_DATA(gmem) * self, int n, u64 func, u64 a1, u64 a2)
{
	const u64 words[] = { PKVM_CMD_HVC, func, a1, a2, 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		gmem_host_set64(HVA(LIST) + n * PKVM_CMD_SIZE + 8 * i, words[i]);
}

static s64 get_answer(FIXTURE_DATA(gmem) * self, int n)
{
	return gmem_host_get64(HVA(LIST) + n * PKVM_CMD_SIZE + offsetof(struct pkvm_cmd, res));
}

/* The guest has shared the page: the host writes commands, and reads what comes of them. */
static void share_list(FIXTURE_DATA(gmem) * self)
{
	TEST_ASSERT(!set_attr(self, 0, NR_PAGES, GMEM_PRIVATE), "all of it private");
	TEST_ASSERT(guest_share(self->vcpu, GPA(LIST), 1, NULL) == PKVM_SUCCESS, "the list");
}

static void enroll(FIXTURE_DATA(gmem) * self)
{
	share_list(self);
	put_command(self, 0, ENROLL, 0, 0);
	put_command(self, 1, MAP, PKVM_MBOX_GPA, 1);
	TEST_ASSERT(!pkvm_vcpu_batch(self->vcpu, GPA(LIST), 2), "enrolment");
	TEST_ASSERT(get_answer(self, 0) == PKVM_SUCCESS, "ENROLL: %ld", (long)get_answer(self, 0));
	TEST_ASSERT(get_answer(self, 1) == PKVM_SUCCESS, "MAP of the mailbox: %ld",
		    (long)get_answer(self, 1));
}

/* One range call; how many pages it has done, or its error. */
static s64 range_call(struct pkvm_vcpu *vcpu, u64 func, u64 gpa, u64 count)
{
	u64 done = 0;
	s64 ret = guest_hvc(vcpu, func, gpa, count, 0, &done);

	return ret ? ret : (s64)done;
}

static bool is_external_abort(struct pkvm_vcpu *vcpu, int ret, u64 class, u64 far)
{
	if (ret == PKVM_STOP_EXCEPTION && ESR_EC(vcpu->esr) == class &&
	    ESR_FSC(vcpu->esr) == FSC_EXTABT && vcpu->far == far)
		return true;
	fprintf(stderr, "# KVM_RUN %d, exit %u, esr %#lx, far %#lx\n", ret, vcpu->run->exit_reason,
		(unsigned long)vcpu->esr, (unsigned long)vcpu->far);
	return false;
}

static bool aborts(struct pkvm_vcpu *vcpu, u64 gpa)
{
	u64 val;

	return is_external_abort(vcpu, __guest_read64(vcpu, gpa, &val), EC_DABT_CUR, gpa) &&
	       is_external_abort(vcpu, __guest_write64(vcpu, gpa + 8, 1), EC_DABT_CUR, gpa + 8);
}

/* A load and a store that arrive at the VMM, with their data. */
static bool is_device(struct pkvm_vcpu *vcpu, u64 gpa)
{
	const u64 answer = 0x123456789abcdef0ULL, stored = 0x5555aaaa12345678ULL;
	struct kvm_run *run = vcpu->run;
	u64 val = 0;
	int ret;

	ret = __guest_read64(vcpu, gpa, &val);
	if (ret != PKVM_STOP_OTHER || run->exit_reason != KVM_EXIT_MMIO || run->mmio.is_write ||
	    run->mmio.phys_addr != gpa || run->mmio.len != 8)
		return false;
	memcpy(run->mmio.data, &answer, 8);
	if (pkvm_vcpu_resume(vcpu) || vcpu->res[0] != answer)
		return false;

	ret = __guest_write64(vcpu, gpa, stored);
	if (ret != PKVM_STOP_OTHER || run->exit_reason != KVM_EXIT_MMIO || !run->mmio.is_write ||
	    run->mmio.phys_addr != gpa || memcmp(run->mmio.data, &stored, 8))
		return false;
	return !pkvm_vcpu_resume(vcpu);
}

TEST_F(gmem, guest_learns_that_there_is_mmio_guard)
{
	const u64 bits = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
	u64 done = 0;

	EXPECT_EQ(bits, guest_hvc(self->vcpu, PKVM_HVC_FEATURES, 0, 0, 0, NULL) & bits);
	EXPECT_EQ(page, guest_hvc(self->vcpu, INFO, 0, 0, 0, &done));
	EXPECT_EQ(1, done);
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_hvc(self->vcpu, INFO, 1, 0, 0, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_hvc(self->vcpu, INFO, 0, 1, 0, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_hvc(self->vcpu, INFO, 0, 0, 1ULL << 63, NULL));
}

/* A call that is not quite right enrols nobody: the mailbox would be no device any more. */
TEST_F(gmem, enrolment_takes_no_arguments)
{
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_hvc(self->vcpu, ENROLL, 1, 0, 0, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_hvc(self->vcpu, ENROLL, 0, 1ULL << 32, 0, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_hvc(self->vcpu, ENROLL, 0, 0, 1ULL << 63, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, range_call(self->vcpu, MAP, DEV_GPA, 1));
}

TEST_F(gmem, map_needs_enrolment)
{
	EXPECT_EQ(PKVM_INVALID_PARAMETER, range_call(self->vcpu, MAP, DEV_GPA, 1));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, range_call(self->vcpu, RMAP, DEV_GPA, 1));
	/* Nothing to do, and nothing done. */
	EXPECT_EQ(1, range_call(self->vcpu, UNMAP, DEV_GPA, 1));
	EXPECT_EQ(1, range_call(self->vcpu, RUNMAP, DEV_GPA, 1));
	/* As before there was MMIO guard. */
	EXPECT_TRUE(is_device(self->vcpu, DEV_GPA));

	enroll(self);
	EXPECT_EQ(1, range_call(self->vcpu, MAP, DEV_GPA, 1));
	EXPECT_TRUE(is_device(self->vcpu, DEV_GPA));
}

/* By one vCPU, for all; again it is the same; and it is never over. */
TEST_F(gmem, enrolment_is_the_vms_and_for_good)
{
	enroll(self);
	EXPECT_EQ(PKVM_SUCCESS, guest_hvc(self->other, ENROLL, 0, 0, 0, NULL));
	EXPECT_EQ(1, range_call(self->other, RMAP, DEV_GPA, 1));
	EXPECT_TRUE(is_device(self->vcpu, DEV_GPA));
	EXPECT_TRUE(aborts(self->other, DEV_GPA + page));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_hvc(self->other, ENROLL, 1, 0, 0, NULL));
	EXPECT_TRUE(aborts(self->vcpu, DEV_GPA + page));
}

/* The VM chooses nothing: pKVM gives all VMs what the hardware can do. */
static u64 ipa_limit(FIXTURE_DATA(gmem) * self)
{
	int bits = gmem_check_cap(self->vm.fd, KVM_CAP_ARM_VM_IPA_SIZE);

	TEST_ASSERT(bits > 0, "KVM_CAP_ARM_VM_IPA_SIZE: %d", bits);
	return 1ULL << bits;
}

TEST_F(gmem, arguments)
{
	const u64 limit = ipa_limit(self);
	const struct {
		u64 gpa, count, reserved;
	} bad[] = {
		{ DEV_GPA + 1, 1 }, { DEV_GPA + page - 1, 1 }, { DEV_GPA + page / 2, 512 },
		{ DEV_GPA, 1, 1 }, { DEV_GPA, 1, 1ULL << 63 },
		{ DEV_GPA, ~0ULL }, { DEV_GPA, 1ULL << 63 }, { DEV_GPA, 1ULL << 52 },
		{ DEV_GPA, limit / page }, { 0, limit / page + 1 },
		{ limit, 1 }, { limit, 0 }, { limit - page, 2 }, { limit - page, ~0ULL },
		{ 1ULL << 52, 1 }, { 1ULL << 56, 1 }, { 1ULL << 63, 1 },
		{ 1ULL << 63 | DEV_GPA, 1 },
		{ ~0ULL << 12, 1 }, { ~0ULL << 12, 2 }, { ~0ULL, 1 }, { -page, 1ULL << 52 },
	};
	size_t c, i;

	enroll(self);
	for (c = 0; c < ARRAY_SIZE(range_calls); c++) {
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			EXPECT_EQ(PKVM_INVALID_PARAMETER,
				  guest_hvc(self->vcpu, range_calls[c], bad[i].gpa, bad[i].count,
					    bad[i].reserved, NULL)) TH_LOG("call %zu, %zu", c, i);
		}
		/* The last page of all; none is one. */
		EXPECT_EQ(1, range_call(self->vcpu, range_calls[c], limit - page, 1));
		EXPECT_EQ(1, range_call(self->vcpu, range_calls[c], DEV_GPA + page, 0));
	}
	EXPECT_TRUE(aborts(self->vcpu, DEV_GPA));
	EXPECT_TRUE(is_device(self->vcpu, DEV_GPA + page));
	EXPECT_TRUE(is_device(self->vcpu, limit - page));
}

/*
 * As many as one table has, from where it begins; the rest by another call. So it is, too, where
 * the first ones are guarded already and there is no memory yet for what comes after them.
 */
TEST_F(gmem, ranges_and_partial_answers)
{
	u64 n = TABLE_PAGES, most = n < PKVM_RANGE_MAX ? n : PKVM_RANGE_MAX;

	enroll(self);
	EXPECT_EQ(3, range_call(self->vcpu, MAP, DEV_GPA, 3));
	EXPECT_EQ(3, range_call(self->vcpu, MAP, DEV_GPA, 3));
	EXPECT_LT(0, guest_hvc_all(self->vcpu, RMAP, DEV_GPA, 8));
	EXPECT_TRUE(is_device(self->vcpu, DEV_GPA + 7 * page));
	EXPECT_TRUE(aborts(self->vcpu, DEV_GPA + 8 * page));

	EXPECT_LT(0, guest_hvc_all(self->vcpu, MAP, DEV_GPA, n));
	EXPECT_TRUE(is_device(self->vcpu, DEV_GPA + (n - 1) * page));
	EXPECT_TRUE(aborts(self->vcpu, DEV_GPA + n * page));
	EXPECT_EQ(most, range_call(self->vcpu, MAP, DEV_GPA + n * page, 100 * n));
	EXPECT_EQ(5, range_call(self->vcpu, MAP, DEV_GPA + (3 * n - 5) * page, 10));
	EXPECT_TRUE(is_device(self->vcpu, DEV_GPA + (3 * n - 1) * page));
	EXPECT_TRUE(aborts(self->vcpu, DEV_GPA + 3 * n * page));

	EXPECT_EQ(5, range_call(self->vcpu, UNMAP, DEV_GPA + (3 * n - 5) * page, 10));
	EXPECT_LT(0, guest_hvc_all(self->vcpu, MAP, DEV_GPA + (3 * n - 5) * page, 3 * n + 7));
	EXPECT_TRUE(is_device(self->vcpu, DEV_GPA + (6 * n + 1) * page));
	EXPECT_TRUE(aborts(self->vcpu, DEV_GPA + (6 * n + 2) * page));
}

TEST_F(gmem, unmap_does_nothing)
{
	enroll(self);
	EXPECT_EQ(4, range_call(self->vcpu, MAP, DEV_GPA, 4));
	EXPECT_EQ(4, range_call(self->vcpu, UNMAP, DEV_GPA, 4));
	EXPECT_EQ(4, range_call(self->vcpu, RUNMAP, DEV_GPA, 4));
	EXPECT_TRUE(is_device(self->vcpu, DEV_GPA));
	EXPECT_TRUE(is_device(self->other, DEV_GPA + 3 * page));

	/* Not to memory either. */
	guest_write64(self->vcpu, GPA(0), 0x77);
	EXPECT_EQ(1, range_call(self->vcpu, UNMAP, GPA(0), 1));
	EXPECT_EQ(0x77, guest_read64(self->vcpu, GPA(0)));
}

/* Wherever memory has been, or is, a device is refused, and nothing changes. */
TEST_F(gmem, map_of_memory_is_refused)
{
	u64 val = 0;

	enroll(self);
	guest_fill(self->vcpu, GPA(64), 4, 0x1000, 1, page);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(65), 1, NULL));
	EXPECT_EQ(0, gmem_punch(self->fd, OFF(66), page));

	EXPECT_EQ(PKVM_INVALID_PARAMETER, range_call(self->vcpu, MAP, GPA(64), 1));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, range_call(self->vcpu, MAP, GPA(65), 1));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, range_call(self->vcpu, MAP, GPA(66), 1));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, range_call(self->vcpu, MAP, PKVM_CODE_GPA, 1));

	EXPECT_EQ(0x1000, guest_read64(self->other, GPA(64)));
	EXPECT_EQ(0x1001, gmem_host_get64(HVA(65)));
	EXPECT_EQ(0x1001, guest_read64(self->other, GPA(65)));
	EXPECT_EQ(-EHWPOISON, __guest_read64(self->other, GPA(66), &val));

	/* What was before the first of them is done. A fault has filled the block from 64 on. */
	EXPECT_EQ(4, range_call(self->vcpu, MAP, GPA(60), 10));
	EXPECT_TRUE(aborts(self->vcpu, GPA(63)));
	EXPECT_EQ(0x1000, guest_read64(self->vcpu, GPA(64)));

	/* What the guest has given up is nothing. */
	EXPECT_EQ(PKVM_SUCCESS, guest_hvc(self->vcpu, PKVM_HVC_RELINQUISH, GPA(67), 1, 0, NULL));
	EXPECT_EQ(1, range_call(self->vcpu, MAP, GPA(67), 1));
}

TEST_F(gmem, guarded_page_is_never_memory)
{
	const u64 calls[] = { PKVM_HVC_SHARE, PKVM_HVC_UNSHARE, PKVM_HVC_RELINQUISH };
	u64 done;
	size_t i;
	int ret;

	enroll(self);
	EXPECT_EQ(2, range_call(self->vcpu, MAP, GPA(10), 2));
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		EXPECT_EQ(PKVM_INVALID_PARAMETER,
			  guest_hvc(self->vcpu, calls[i], GPA(10), 1, 0, NULL));
		EXPECT_EQ(PKVM_INVALID_PARAMETER,
			  guest_hvc(self->vcpu, calls[i], GPA(10), 512, 0, NULL));
	}
	/* There is a slot: nobody answers. */
	EXPECT_TRUE(aborts(self->vcpu, GPA(10)));
	ret = pkvm_vcpu_call(self->vcpu, PKVM_OP_EXEC, (u64[]){ GPA(11) }, 1, 1);
	EXPECT_TRUE(is_external_abort(self->vcpu, ret, EC_IABT_CUR, GPA(11)));

	/* Its neighbours are memory, and a range ends before it. */
	guest_fill(self->vcpu, GPA(0), 10, 0x2000, 1, page);
	guest_write64(self->vcpu, GPA(12), 0x2012);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(8), 8, &done));
	EXPECT_EQ(2, done);
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(8), 8, &done));
	EXPECT_EQ(2, done);
	EXPECT_EQ(PKVM_SUCCESS, guest_hvc(self->vcpu, PKVM_HVC_RELINQUISH, GPA(8), 8, 0, &done));
	EXPECT_EQ(2, done);
	EXPECT_EQ(0x2012, guest_read64(self->vcpu, GPA(12)));
	EXPECT_TRUE(aborts(self->other, GPA(10)));
}

/* The host's part of a file is its own there: converted, written, taken out and filled again. */
TEST_F(gmem, host_changes_nothing_about_a_guarded_page)
{
	u64 val = 0;

	enroll(self);
	EXPECT_EQ(4, range_call(self->vcpu, MAP, GPA(128), 4));
	EXPECT_TRUE(aborts(self->vcpu, GPA(128)));
	EXPECT_EQ(0, set_attr(self, 128, 1, GMEM_SHARED));
	gmem_host_set64(HVA(128), 0x99);
	EXPECT_EQ(0, set_attr(self, 128, 1, GMEM_PRIVATE));
	EXPECT_TRUE(aborts(self->vcpu, GPA(128)));
	EXPECT_EQ(0, gmem_punch(self->fd, OFF(128), 4 * page));
	EXPECT_TRUE(aborts(self->vcpu, GPA(129)));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(self->vcpu, GPA(129), 1, NULL));

	/* A shared offset is asked for first, as for any other fault. */
	EXPECT_EQ(0, set_attr(self, 130, 1, GMEM_SHARED));
	EXPECT_EQ(-EFAULT, __guest_read64(self->vcpu, GPA(130), &val));
	EXPECT_EQ(0, set_attr(self, 130, 1, GMEM_PRIVATE));
	EXPECT_TRUE(is_external_abort(self->vcpu, pkvm_vcpu_resume(self->vcpu), EC_DABT_CUR,
				      GPA(130)));
}

/* A device first, and then the VMM puts memory there: of a file, or its own. */
TEST_F(gmem, slot_under_a_guarded_page)
{
	int fd = gmem_create(self->vm.fd, page, GUEST_MEMFD_FLAG_MMAP);
	void *mem = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 anon_gpa = DEV_GPA + page;

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 0x66, page);
	enroll(self);
	EXPECT_EQ(2, range_call(self->vcpu, MAP, DEV_GPA, 2));
	EXPECT_TRUE(is_device(self->vcpu, DEV_GPA));
	EXPECT_TRUE(is_device(self->vcpu, anon_gpa));

	EXPECT_EQ(0, pkvm_slot_gmem(&self->vm, 1, DEV_GPA, page, fd, 0));
	EXPECT_EQ(0, pkvm_slot_anon(&self->vm, 2, anon_gpa, page, mem));
	EXPECT_TRUE(aborts(self->vcpu, DEV_GPA));
	EXPECT_TRUE(aborts(self->other, anon_gpa));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(self->vcpu, DEV_GPA, 1, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(self->vcpu, anon_gpa, 1, NULL));

	/* The memory stays the VMM's, and so do its slots: the guest has lost its devices. */
	EXPECT_EQ(0x66, *(char *)mem);
	EXPECT_EQ(-EPERM, pkvm_slot_gmem(&self->vm, 1, DEV_GPA, 0, -1, 0));
	EXPECT_EQ(-EPERM, pkvm_slot_anon(&self->vm, 2, anon_gpa, 0, mem));
	EXPECT_TRUE(aborts(self->other, DEV_GPA));
	EXPECT_TRUE(aborts(self->vcpu, anon_gpa));
	munmap(mem, page);
	close(fd);
}

/* Each needs tables of its own: more than a vCPU is ever given at once. */
TEST_F(gmem, tables_run_out_and_are_refilled)
{
	u64 gpa, block = TABLE_PAGES * page, giant = block * TABLE_PAGES;
	int i;

	enroll(self);
	for (i = 0; i < 100; i++) {
		gpa = (i & 1 ? 4 * giant + i * block : (5ULL + i) * giant) + i * page;
		EXPECT_EQ(1, range_call(self->vcpu, i & 2 ? MAP : RMAP, gpa, 1));
		if (i % 10 == 0)
			EXPECT_TRUE(is_device(self->other, gpa));
	}
	/* What they are taken from is good for memory as well. */
	guest_fill(self->vcpu, GPA(0), NR_PAGES / 2, 0x3000, 1, page);
	EXPECT_EQ(0, guest_check(self->other, GPA(0), NR_PAGES / 2, 0x3000, 1, page));
}

/* Guarding and touching meet; whoever is first has it, and it stays so. */
struct racer {
	pthread_t thread;
	pthread_barrier_t *start;
	struct pkvm_vcpu *vcpu;
	u64 gpa;
	bool map;
	int ret;
};

static void *race(void *arg)
{
	struct racer *r = arg;

	pthread_barrier_wait(r->start);
	r->ret = r->map ? __guest_hvc(r->vcpu, MAP, r->gpa, 1, 0) :
			  __guest_write64(r->vcpu, r->gpa, r->gpa);
	return NULL;
}

TEST_F(gmem, two_vcpus)
{
	pthread_barrier_t start;
	struct racer r[2];
	int i, n, kind, devices = 0;

	enroll(self);
	pthread_barrier_init(&start, NULL, 2);
	for (n = 0; n < 30; n++) {
		kind = n % 3;
		for (i = 0; i < 2; i++) {
			r[i] = (struct racer) {
				.start = &start, .vcpu = &self->vm.vcpu[i],
				.gpa = GPA(n * 64), .map = !kind || i == kind - 1,
			};
			ASSERT_EQ(0, pthread_create(&r[i].thread, NULL, race, &r[i]));
		}
		for (i = 0; i < 2; i++)
			pthread_join(r[i].thread, NULL);
		if (!kind) {
			/* Both say the same. */
			EXPECT_EQ(0, r[0].ret | r[1].ret);
			EXPECT_EQ(PKVM_SUCCESS, (s64)r[0].vcpu->res[0]);
			EXPECT_EQ(PKVM_SUCCESS, (s64)r[1].vcpu->res[0]);
			EXPECT_TRUE(aborts(self->vcpu, GPA(n * 64)));
			continue;
		}
		i = kind - 1;
		ASSERT_EQ(0, r[i].ret);
		if ((s64)r[i].vcpu->res[0] == PKVM_SUCCESS) {
			devices++;
			EXPECT_EQ(PKVM_STOP_EXCEPTION, r[!i].ret);
			EXPECT_TRUE(aborts(self->vcpu, GPA(n * 64)));
		} else {
			EXPECT_EQ(PKVM_INVALID_PARAMETER, (s64)r[i].vcpu->res[0]);
			EXPECT_EQ(0, r[!i].ret);
			EXPECT_EQ(GPA(n * 64), guest_read64(self->vcpu, GPA(n * 64)));
		}
	}
	TH_LOG("of 20 races for a page, %d made it a device", devices);
	pthread_barrier_destroy(&start);
}

/* A VM that is not protected has devices wherever there is no memory, and no such calls. */
TEST(not_for_vms_that_are_not_protected)
{
	struct pkvm_vm vm;

	pkvm_vm_create(&vm, 1, 0);
	EXPECT_EQ(PKVM_NOT_SUPPORTED, guest_hvc(&vm.vcpu[0], INFO, 0, 0, 0, NULL));
	EXPECT_EQ(PKVM_NOT_SUPPORTED, guest_hvc(&vm.vcpu[0], ENROLL, 0, 0, 0, NULL));
	EXPECT_EQ(PKVM_NOT_SUPPORTED, guest_hvc(&vm.vcpu[0], MAP, DEV_GPA, 1, 0, NULL));
	EXPECT_TRUE(is_device(&vm.vcpu[0], DEV_GPA));
	pkvm_vm_destroy(&vm);
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
