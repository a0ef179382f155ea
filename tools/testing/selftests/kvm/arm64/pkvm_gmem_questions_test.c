// SPDX-License-Identifier: GPL-2.0-only
/*
 * Four questions that whoever meets guest_memfd on pKVM for the first time asks, each
 * answered by a test that has the question for its name.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "pkvm_gmem_fixture.h"

#define SCTLR_M		1		/* the guest's MMU is on */

/*
 * By the state of the page, and by nothing in the access: one address, one kind of load, and
 * what happens follows from who owns the page (EL2 knows) and whether the host may map it
 * (the attribute of its offset says). No address bit, no register, no page table entry of
 * the guest's takes part.
 */
TEST_F(gmem, how_is_private_or_shared_decided_for_an_access)
{
	const u64 bits[] = { 1ULL << 39, 1ULL << 40, 1ULL << 47, 1ULL << 51, 1ULL << 63 };
	u64 val = 0, pfn;
	size_t i;
	int ret;

	/* The host's page, at a shared offset: the host reads it, the guest does not. */
	gmem_host_set64(HVA(0), 0x11);
	pfn = gmem_pfn(HVA(0));
	EXPECT_EQ(-EFAULT, __guest_read64(self->vcpu, GPA(0), &val));
	EXPECT_TRUE(pkvm_fault_is(self->vcpu, KVM_MEMORY_EXIT_FLAG_PRIVATE, GPA(0), page));

	/* The same load goes on once the offset is private; now the host is kept out. */
	EXPECT_EQ(0, set_attr(self, 0, 1, GMEM_PRIVATE));
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(0), &val));
	EXPECT_EQ(0, pkvm_vcpu_resume(self->vcpu));
	EXPECT_EQ(0x11, self->vcpu->res[0]);

	/* Shared by the guest: the same address again, on both sides, and the same page. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(0), 1, NULL));
	EXPECT_EQ(0x11, gmem_host_get64(HVA(0)));
	EXPECT_EQ(0x11, guest_read64(self->vcpu, GPA(0)));
	EXPECT_EQ(pfn, gmem_pfn(HVA(0)));

	/*
	 * An address with another bit set is another address, not another view of the page:
	 * there is no memory at it, so that it is a fault of the guest's or the VMM's affair.
	 */
	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		ret = __guest_read64(self->other, GPA(0) | bits[i], &val);
		EXPECT_NE(0, ret) TH_LOG("bit %#lx: %#lx", (unsigned long)bits[i],
					 (unsigned long)val);
		if (ret == PKVM_STOP_OTHER) {
			EXPECT_EQ(KVM_EXIT_MMIO, self->other->run->exit_reason);
			memset(self->other->run->mmio.data, 0, 8);
			EXPECT_EQ(0, pkvm_vcpu_resume(self->other));
			EXPECT_EQ(0, self->other->res[0]);
		}
	}
	EXPECT_EQ(0x11, guest_read64(self->other, GPA(0)));
}

/*
 * Yes: by MEM_SHARE and MEM_UNSHARE, which name guest physical pages. This guest has no page
 * tables at all, its MMU is off from the first instruction to the last. Content and page
 * stay in place.
 */
TEST_F(gmem, can_a_guest_switch_without_touching_its_own_page_tables)
{
	u64 pfn = 0, id[3], i;

	ASSERT_EQ(0, pkvm_vcpu_call(self->vcpu, PKVM_OP_ID, NULL, 0, 3));
	memcpy(id, self->vcpu->res, sizeof(id));
	EXPECT_EQ(0, id[2] & SCTLR_M);

	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	guest_fill(self->vcpu, GPA(0), page / 8, 0x2200, 1, 8);
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(0), 1, NULL));
		EXPECT_EQ(0x2200, gmem_host_get64(HVA(0)));
		if (i)
			EXPECT_EQ(pfn, gmem_pfn(HVA(0)));
		pfn = gmem_pfn(HVA(0));
		EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(0), 1, NULL));
		EXPECT_EQ(SIGBUS, gmem_host_write64(HVA(0), 0));
		EXPECT_EQ(0, guest_check(self->other, GPA(0), page / 8, 0x2200, 1, 8));
	}

	ASSERT_EQ(0, pkvm_vcpu_call(self->vcpu, PKVM_OP_ID, NULL, 0, 3));
	EXPECT_EQ(0, memcmp(id, self->vcpu->res, sizeof(id)));
}

struct sharer {
	pthread_t thread;
	pthread_barrier_t *start;
	struct pkvm_vcpu *vcpu;
	u64 func, gpa;
	int ret;
};

static void *share_or_unshare(void *arg)
{
	struct sharer *s = arg;

	pthread_barrier_wait(s->start);
	s->ret = __guest_hvc(s->vcpu, s->func, s->gpa, 1, 0);
	return NULL;
}

/* Both vCPUs at once; how many of them were told SUCCESS. */
static int both_at_once(FIXTURE_DATA(gmem) * self, u64 func, u64 gpa)
{
	pthread_barrier_t start;
	struct sharer s[2];
	int i, won = 0;

	pthread_barrier_init(&start, NULL, 2);
	for (i = 0; i < 2; i++) {
		s[i] = (struct sharer){ .start = &start, .vcpu = &self->vm.vcpu[i],
					.func = func, .gpa = gpa };
		TEST_ASSERT(!pthread_create(&s[i].thread, NULL, share_or_unshare, &s[i]),
			    "thread");
	}
	for (i = 0; i < 2; i++) {
		pthread_join(s[i].thread, NULL);
		TEST_ASSERT(!s[i].ret, "the call ended with %d", s[i].ret);
		if (s[i].vcpu->res[0] == PKVM_SUCCESS)
			won++;
		else
			TEST_ASSERT((s64)s[i].vcpu->res[0] == PKVM_INVALID_PARAMETER,
				    "answer %#lx", (unsigned long)s[i].vcpu->res[0]);
	}
	pthread_barrier_destroy(&start);
	return won;
}

/*
 * The owner wins, and who does not win is told so; the page is never both. Whoever stands in
 * the way of a guest that takes its page back is asked to go first, and the guest waits.
 */
TEST_F(gmem, what_happens_when_private_and_shared_claims_meet_on_one_page)
{
	struct gmem_pin pin;
	u64 val = 0;
	int ret, i;

	/* The host wants what the guest owns: no. */
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	guest_write64(self->vcpu, GPA(0), 0x33);
	EXPECT_EQ(-EPERM, set_attr(self, 0, 1, GMEM_SHARED));
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(0), &val));
	EXPECT_EQ(0x33, guest_read64(self->vcpu, GPA(0)));

	/* The guest wants what the host still uses: its call waits, and the VMM is asked. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(0), 1, NULL));
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, HVA(0), page));
	EXPECT_EQ(-EFAULT, __guest_hvc(self->vcpu, PKVM_HVC_UNSHARE, GPA(0), 1, 0));
	EXPECT_TRUE(pkvm_fault_is(self->vcpu, KVM_MEMORY_EXIT_FLAG_PRIVATE, GPA(0), page));
	EXPECT_EQ(0x33, gmem_host_get64(HVA(0)));
	EXPECT_EQ(-EFAULT, pkvm_vcpu_resume(self->vcpu));
	gmem_pin_drop(&pin);
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, -EFAULT, self->fd, MEM_GPA));
	EXPECT_EQ(PKVM_SUCCESS, (s64)self->vcpu->res[0]);
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(0), &val));

	/* The host gives up what the guest shares: its right. The guest's state stays. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(0), 1, NULL));
	EXPECT_EQ(0, set_attr(self, 0, 1, GMEM_PRIVATE));
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(0), &val));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(self->vcpu, GPA(0), 1, NULL));
	EXPECT_EQ(0, set_attr(self, 0, 1, GMEM_SHARED));
	EXPECT_EQ(0x33, gmem_host_get64(HVA(0)));
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(0), 1, NULL));

	/* The guest says the same twice, from two vCPUs at once: one of them is too late. */
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(1, both_at_once(self, PKVM_HVC_SHARE, GPA(0)));
		EXPECT_EQ(0x33, gmem_host_get64(HVA(0)));
		EXPECT_EQ(1, both_at_once(self, PKVM_HVC_UNSHARE, GPA(0)));
		EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(0), &val));
	}

	/* The guest touches what the host has: only with the host's word does it get it. */
	EXPECT_EQ(0, set_attr(self, 256, 1, GMEM_SHARED));
	gmem_host_set64(HVA(256), 0x44);
	ret = __guest_write64(self->vcpu, GPA(256) + 8, 0x55);
	EXPECT_EQ(-EFAULT, ret);
	EXPECT_EQ(0, gmem_host_get64(HVA(256) + 8));
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, ret, self->fd, MEM_GPA));
	EXPECT_EQ(0x44, guest_read64(self->vcpu, GPA(256)));
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(256), &val));
}

/* The runs of the file from @off on: their ends and whether they are private. */
static int read_runs(int fd, u64 *end, bool *private, int max)
{
	struct kvm_memory_attributes2 attr;
	u64 off = 0;
	int nr = 0;

	while (off < OFF(NR_PAGES) && !gmem_get_attr(fd, off, OFF(NR_PAGES) - off, &attr)) {
		bool is_private = attr.attributes & GMEM_PRIVATE;

		off += attr.size;
		/* A run ends where pages begin or end, too: of no interest here. */
		if (!nr || private[nr - 1] != is_private) {
			if (nr == max)
				return -1;
			private[nr++] = is_private;
		}
		end[nr - 1] = off;
	}
	return nr;
}

/*
 * It asks: KVM_GET_MEMORY_ATTRIBUTES2 on the file draws the map, run by run. Nothing is sent:
 * a guest's calls do not end KVM_RUN. Between two looks, an access to what has become private
 * is SIGBUS or EFAULT; a call that stops says where (error_offset), an exit says for which
 * page. For people there is a file in debugfs.
 */
TEST_F(gmem, how_does_userspace_learn_which_ranges_are_active)
{
	u64 end[8], err;
	bool private[8];
	char line[256];
	int map;

	/* That there is something to ask is a capability, and the attributes that there are. */
	EXPECT_EQ(GMEM_PRIVATE, gmem_check_cap(self->vm.fd,
					       KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));
	EXPECT_EQ(1, gmem_check_cap(self->vm.fd, KVM_CAP_MEMORY_FAULT_INFO));

	EXPECT_EQ(1, read_runs(self->fd, end, private, 8));
	EXPECT_FALSE(private[0]);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_EQ(1, read_runs(self->fd, end, private, 8));
	EXPECT_TRUE(private[0]);
	EXPECT_EQ(OFF(NR_PAGES), end[0]);

	/* What the guest does shows up, without an exit: the command came to its end. */
	guest_fill(self->vcpu, GPA(0), 64, 1, 1, page);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(10), 20, NULL));
	EXPECT_EQ(3, read_runs(self->fd, end, private, 8));
	EXPECT_TRUE(private[0] && !private[1] && private[2]);
	EXPECT_EQ(OFF(10), end[0]);
	EXPECT_EQ(OFF(30), end[1]);
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->other, GPA(15), 5, NULL));
	EXPECT_EQ(5, read_runs(self->fd, end, private, 8));
	EXPECT_EQ(OFF(15), end[1]);
	EXPECT_EQ(OFF(20), end[2]);

	/* A call that stops says where. */
	EXPECT_EQ(-EPERM, gmem_set_attr_err(self->fd, OFF(12), OFF(10), GMEM_SHARED, &err));
	EXPECT_EQ(OFF(15), err);

	map = gmem_map_open(getpid(), self->vm.fd, self->fd);
	if (map < 0) {
		TH_LOG("no map in debugfs: %d", map);
		return;
	}
	memset(line, 0, sizeof(line));
	EXPECT_LT(0, read(map, line, sizeof(line) - 1));
	EXPECT_NE(NULL, strstr(line, "private resident"));
	close(map);
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
