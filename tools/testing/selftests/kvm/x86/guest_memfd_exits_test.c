// SPDX-License-Identifier: GPL-2.0-only
/*
 * A software-protected guest with memory of both kinds: slots whose guest_memfd owns the
 * attributes (made with GUEST_MEMFD_FLAG_MMAP), and slots that follow the VM-wide ones.
 * What ends a KVM_RUN on either, to the last field, and that neither looks at the other's
 * attributes.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest_memfd_util.h"
#include "kvm_util.h"
#include "kselftest_harness.h"
#include "processor.h"

#define NR_PAGES	8ULL
#define SIZE		(NR_PAGES * PAGE_SIZE)

/* In a row: VM-wide attributes with a guest_memfd, the file's own, VM-wide without one. */
#define BOTH_SLOT	9
#define OWN_SLOT	10
#define PLAIN_SLOT	11
#define BOTH_GPA	(1ULL << 32)
#define OWN_GPA		(BOTH_GPA + SIZE)
#define PLAIN_GPA	(OWN_GPA + SIZE)
#define NOWHERE_GPA	(PLAIN_GPA + SIZE)

/* Of the file that owns its attributes: the slot begins here. */
#define OFFSET		(3 * PAGE_SIZE)

#define IN_FILE(n)	(0xf11e00ULL + (n))
#define IN_HVA(n)	(0x44a00ULL + (n))
#define FROM_GUEST	0x6775657374ULL

FIXTURE(exits) {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	struct kvm_regs regs;	/* where the guest begins */
	int both_fd;		/* the file that does not own its attributes */
	int fd;			/* the one that does */
	char *file;		/* the slot's part of it */
	char *both, *plain;	/* what the VM-wide attribute "shared" shows */
	int kmsg;
};

/* What the guest is to do next, and the answer. */
enum { READ, WRITE, EXEC };

static struct {
	u64 op, gpa, val;
} request;

/* mov $0x77, %eax; ret */
#define CODE		0xc300000077b8ULL

static void guest_code(void)
{
	volatile u64 *at = (u64 *)request.gpa;

	switch (request.op) {
	case READ:
		request.val = *at;
		break;
	case WRITE:
		*at = request.val;
		break;
	case EXEC:
		request.val = ((u32 (*)(void))at)();
		break;
	}
	GUEST_SYNC(request.val);
}

static char *anon_slot(struct kvm_vm *vm, u32 slot, u64 gpa, int fd)
{
	char *mem = kvm_mmap(SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	u64 n;

	for (n = 0; n < NR_PAGES; n++)
		*(u64 *)(mem + n * PAGE_SIZE) = IN_HVA(n);
	TEST_ASSERT_EQ(0, gmem_set_slot(vm->fd, slot, gpa, SIZE, mem, fd, 0));
	return mem;
}

FIXTURE_SETUP(exits)
{
	const struct vm_shape shape = {
		.mode = VM_MODE_DEFAULT,
		.type = KVM_X86_SW_PROTECTED_VM,
	};
	u64 n;

	self->kmsg = gmem_kmsg_open();
	self->vm = vm_create_shape_with_one_vcpu(shape, &self->vcpu, guest_code);
	vcpu_regs_get(self->vcpu, &self->regs);
	virt_map(self->vm, BOTH_GPA, BOTH_GPA, 4 * NR_PAGES);

	self->both_fd = gmem_create(self->vm->fd, SIZE, 0);
	ASSERT_LE(0, self->both_fd);
	self->both = anon_slot(self->vm, BOTH_SLOT, BOTH_GPA, self->both_fd);
	self->plain = anon_slot(self->vm, PLAIN_SLOT, PLAIN_GPA, -1);

	self->fd = gmem_create(self->vm->fd, OFFSET + SIZE,
			       GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	ASSERT_LE(0, self->fd);
	self->file = (char *)gmem_map(self->fd, OFFSET + SIZE) + OFFSET;
	for (n = 0; n < NR_PAGES; n++)
		gmem_host_set64(self->file + n * PAGE_SIZE, IN_FILE(n));
	ASSERT_EQ(0, gmem_set_slot(self->vm->fd, OWN_SLOT, OWN_GPA, SIZE, NULL, self->fd,
				   OFFSET));
}

static void close_file(FIXTURE_DATA(exits) * self)
{
	if (self->fd < 0)
		return;
	munmap(self->file - OFFSET, OFFSET + SIZE);
	close(self->fd);
	self->fd = -1;
}

FIXTURE_TEARDOWN(exits)
{
	close_file(self);
	close(self->both_fd);
	kvm_vm_free(self->vm);
	munmap(self->both, SIZE);
	munmap(self->plain, SIZE);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

/* The host's truths: the file's, and the VM's. */
static int set_file(FIXTURE_DATA(exits) * self, u64 n, u64 count, u64 attr)
{
	return gmem_set_attr(self->fd, OFFSET + n * PAGE_SIZE, count * PAGE_SIZE, attr);
}

static int set_vm(FIXTURE_DATA(exits) * self, u64 gpa, u64 size, u64 attr)
{
	struct kvm_memory_attributes arg = {
		.address = gpa,
		.size = size,
		.attributes = attr,
	};

	return __vm_ioctl(self->vm, KVM_SET_MEMORY_ATTRIBUTES, &arg) ? -errno : 0;
}

/* Runs the guest until it has done what it was asked for: 0, -errno, or 1 for another exit. */
static int go_on(FIXTURE_DATA(exits) * self, u64 *val)
{
	struct ucall uc;

	if (_vcpu_run(self->vcpu))
		return -errno;
	if (self->vcpu->run->exit_reason != KVM_EXIT_IO)
		return 1;
	TEST_ASSERT_EQ(UCALL_SYNC, get_ucall(self->vcpu, &uc));
	*val = uc.args[1];
	return 0;
}

/* Each request finds the guest at its beginning: one that failed is given up. */
static int ask(FIXTURE_DATA(exits) * self, u64 op, u64 gpa, u64 *val)
{
	request.op = op;
	request.gpa = gpa;
	request.val = *val;
	sync_global_to_guest(self->vm, request);
	vcpu_regs_set(self->vcpu, &self->regs);
	return go_on(self, val);
}

#define EXPECT_READ(gpa, want) do {					\
	u64 __v = 0;							\
									\
	EXPECT_EQ(0, ask(self, READ, gpa, &__v));			\
	EXPECT_EQ((u64)(want), __v)					\
		TH_LOG("at gpa %#lx", (u64)(gpa));			\
} while (0)

static void expect_fault(struct __test_metadata *_metadata, FIXTURE_DATA(exits) * self,
			 int line, int err, u64 flags, u64 gpa)
{
	struct kvm_run *run = self->vcpu->run;

	EXPECT_EQ(KVM_EXIT_MEMORY_FAULT, run->exit_reason)
		TH_LOG("line %d", line);
	EXPECT_EQ(flags, run->memory_fault.flags)
		TH_LOG("line %d", line);
	EXPECT_EQ(gpa & ~(PAGE_SIZE - 1), run->memory_fault.gpa)
		TH_LOG("line %d", line);
	EXPECT_EQ(PAGE_SIZE, run->memory_fault.size)
		TH_LOG("line %d", line);
	/* Nothing of it is left over for the next exit. */
	memset(&run->memory_fault, 0xff, sizeof(run->memory_fault));
}

/* Whatever the access, and each time it is tried again. */
#define EXPECT_FAULT(err, fault_flags, gpa) do {			\
	const u64 __ops[] = { READ, WRITE, EXEC };			\
	u64 __v = FROM_GUEST;						\
	size_t __i;							\
									\
	for (__i = 0; __i < ARRAY_SIZE(__ops); __i++) {			\
		EXPECT_EQ(-(err), ask(self, __ops[__i], gpa, &__v));	\
		expect_fault(_metadata, self, __LINE__, err, fault_flags, gpa);	\
		EXPECT_EQ(-(err), go_on(self, &__v));			\
		expect_fault(_metadata, self, __LINE__, err, fault_flags, gpa);	\
	}								\
} while (0)

/* No slot and not private: the access is the VMM's, who answers it. */
#define EXPECT_MMIO(where) do {						\
	struct kvm_run *__r = self->vcpu->run;				\
	u64 __v = 0, __gpa = (where), __answer = 0x5a5a ^ __gpa;	\
									\
	EXPECT_EQ(1, ask(self, READ, __gpa, &__v));			\
	EXPECT_EQ(KVM_EXIT_MMIO, __r->exit_reason);			\
	EXPECT_EQ(__gpa, __r->mmio.phys_addr);				\
	EXPECT_EQ(8, __r->mmio.len);					\
	EXPECT_EQ(0, __r->mmio.is_write);				\
	memcpy(__r->mmio.data, &__answer, sizeof(__answer));		\
	EXPECT_EQ(0, go_on(self, &__v));				\
	EXPECT_EQ(__answer, __v);					\
} while (0)

/* That the other tests' exits are not this guest's usual ones. */
TEST_F(exits, none_where_there_is_memory)
{
	u64 n, val;

	gmem_host_set64(self->file + 2 * PAGE_SIZE, CODE);
	for (n = 0; n < 2; n++) {
		ASSERT_EQ(0, set_file(self, 0, NR_PAGES, n ? GMEM_PRIVATE : GMEM_SHARED));
		EXPECT_READ(OWN_GPA + PAGE_SIZE + n, n ? IN_FILE(1) >> 8 : IN_FILE(1));
		val = FROM_GUEST;
		EXPECT_EQ(0, ask(self, WRITE, OWN_GPA + 3 * PAGE_SIZE + n * 8, &val));
		EXPECT_EQ(0, ask(self, EXEC, OWN_GPA + 2 * PAGE_SIZE, &val));
		EXPECT_EQ(0x77, val);
	}
	ASSERT_EQ(0, set_file(self, 0, NR_PAGES, GMEM_SHARED));
	EXPECT_EQ(FROM_GUEST, gmem_host_get64(self->file + 3 * PAGE_SIZE));
	EXPECT_EQ(FROM_GUEST, gmem_host_get64(self->file + 3 * PAGE_SIZE + 8));

	EXPECT_READ(BOTH_GPA, IN_HVA(0));
	EXPECT_READ(PLAIN_GPA, IN_HVA(0));
	EXPECT_MMIO(NOWHERE_GPA);
}

static bool report_bad_memory(u64 pfn)
{
	FILE *f = fopen("/sys/devices/system/memory/hard_offline_page", "w");

	if (!f || !pfn)
		return false;
	TEST_ASSERT(fprintf(f, "%#llx", pfn * PAGE_SIZE) > 0, "report");
	/* guest_memfd leaves the page where it is, which counts as not recovered. */
	TEST_ASSERT(!fclose(f) || errno == EBUSY, "hard_offline_page: %m");
	return true;
}

/* Page 1 goes bad while the guest has it mapped, private or not. */
static void bad_memory(struct __test_metadata *_metadata, FIXTURE_DATA(exits) * self,
		       bool private)
{
	struct kvm_pre_fault_memory range = { .gpa = OWN_GPA + PAGE_SIZE, .size = PAGE_SIZE };
	const u64 bad = OWN_GPA + PAGE_SIZE;
	/* On x86 the flags tell what the access was, whatever the error. */
	const u64 flags = private ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0;
	u64 val, pfn = gmem_pfn(self->file + PAGE_SIZE);
	char *again;

	if (private)
		ASSERT_EQ(0, set_file(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_READ(bad, IN_FILE(1));
	if (!report_bad_memory(pfn))
		SKIP(return, "no hard_offline_page, or no frame numbers");

	EXPECT_FAULT(EHWPOISON, flags, bad);
	EXPECT_FAULT(EHWPOISON, flags, bad + 0x128);
	EXPECT_EQ(SIGBUS, gmem_host_read64(self->file + PAGE_SIZE, &val));
	EXPECT_READ(bad - PAGE_SIZE, IN_FILE(0));
	EXPECT_READ(bad + PAGE_SIZE, IN_FILE(2));
	if (kvm_check_cap(KVM_CAP_PRE_FAULT_MEMORY)) {
		EXPECT_EQ(-1, __vcpu_ioctl(self->vcpu, KVM_PRE_FAULT_MEMORY, &range));
		EXPECT_EQ(EHWPOISON, errno);
	}

	/* Sharing it does not make it better. */
	EXPECT_EQ(0, set_file(self, 1, 1, GMEM_SHARED));
	EXPECT_FAULT(EHWPOISON, 0, bad);
	EXPECT_EQ(SIGBUS, gmem_host_read64(self->file + PAGE_SIZE, &val));

	/* A hole is the way out: the file gets another page. Old mappings remember. */
	EXPECT_EQ(0, gmem_punch(self->fd, OFFSET + PAGE_SIZE, PAGE_SIZE));
	EXPECT_READ(bad, 0);
	again = gmem_map(self->fd, OFFSET + SIZE);
	EXPECT_EQ(0, gmem_host_get64(again + OFFSET + PAGE_SIZE));
	munmap(again, OFFSET + SIZE);
}

TEST_F(exits, bad_memory_that_is_shared)
{
	bad_memory(_metadata, self, false);
}

TEST_F(exits, bad_memory_that_is_private)
{
	bad_memory(_metadata, self, true);
}

TEST_F(exits, file_closed_under_the_slot)
{
	u64 fault = OWN_GPA + PAGE_SIZE, val;
	char *mem;
	int fd;

	ASSERT_EQ(0, set_file(self, 0, 4, GMEM_PRIVATE));
	EXPECT_READ(fault, IN_FILE(1));
	EXPECT_READ(OWN_GPA + 5 * PAGE_SIZE, IN_FILE(5));
	close_file(self);

	/* What was private and what was not: there is no more to it. */
	EXPECT_FAULT(EFAULT, 0, fault);
	EXPECT_FAULT(EFAULT, 0, OWN_GPA + 5 * PAGE_SIZE + 16);
	EXPECT_READ(BOTH_GPA + SIZE - PAGE_SIZE, IN_HVA(NR_PAGES - 1));
	EXPECT_READ(PLAIN_GPA, IN_HVA(0));

	/* Another file in its place, and the access that was pending goes on there. */
	val = 0;
	EXPECT_EQ(-EFAULT, ask(self, READ, fault, &val));
	EXPECT_EQ(0, gmem_set_slot(self->vm->fd, OWN_SLOT, OWN_GPA, 0, NULL, -1, 0));
	fd = gmem_create(self->vm->fd, SIZE, GUEST_MEMFD_FLAG_MMAP |
			 GUEST_MEMFD_FLAG_INIT_SHARED);
	ASSERT_LE(0, fd);
	mem = gmem_map(fd, SIZE);
	gmem_host_set64(mem + PAGE_SIZE, FROM_GUEST);
	ASSERT_EQ(0, gmem_set_slot(self->vm->fd, OWN_SLOT, OWN_GPA, SIZE, NULL, fd, 0));
	EXPECT_EQ(0, go_on(self, &val));
	EXPECT_EQ(FROM_GUEST, val);
	munmap(mem, SIZE);
	close(fd);
}

TEST_F(exits, slot_deleted)
{
	u64 val;

	ASSERT_EQ(0, set_file(self, 0, 4, GMEM_PRIVATE));
	ASSERT_EQ(0, set_vm(self, BOTH_GPA, 4 * PAGE_SIZE, GMEM_PRIVATE));
	EXPECT_READ(OWN_GPA, IN_FILE(0));
	EXPECT_READ(OWN_GPA + 7 * PAGE_SIZE, IN_FILE(7));
	EXPECT_READ(BOTH_GPA, 0);

	/* The file's attributes are gone with the slot: nothing is private here. */
	EXPECT_EQ(0, gmem_set_slot(self->vm->fd, OWN_SLOT, OWN_GPA, 0, NULL, -1, 0));
	EXPECT_MMIO(OWN_GPA);
	EXPECT_MMIO(OWN_GPA + 7 * PAGE_SIZE + 8);
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(self->fd, OFFSET));

	/* The VM's stay, and so does what they say. */
	EXPECT_EQ(0, gmem_set_slot(self->vm->fd, BOTH_SLOT, BOTH_GPA, 0, NULL, -1, 0));
	EXPECT_FAULT(EFAULT, KVM_MEMORY_EXIT_FLAG_PRIVATE, BOTH_GPA);
	EXPECT_FAULT(EFAULT, KVM_MEMORY_EXIT_FLAG_PRIVATE, BOTH_GPA + 3 * PAGE_SIZE + 24);
	EXPECT_MMIO(BOTH_GPA + 4 * PAGE_SIZE);

	/* Back at another place, with content and attributes. */
	ASSERT_EQ(0, gmem_set_slot(self->vm->fd, OWN_SLOT, NOWHERE_GPA, SIZE, NULL, self->fd,
				   OFFSET));
	EXPECT_READ(NOWHERE_GPA, IN_FILE(0));
	EXPECT_READ(NOWHERE_GPA + 7 * PAGE_SIZE, IN_FILE(7));
	EXPECT_EQ(SIGBUS, gmem_host_read64(self->file, &val));
}

/*
 * A slot comes where the guest found nothing, which KVM remembers in its page tables as
 * emulated MMIO, never private: the guest's next access has to find the memory.
 */
TEST_F(exits, slot_where_there_was_mmio)
{
	ASSERT_EQ(0, set_file(self, 0, 2, GMEM_PRIVATE));
	EXPECT_EQ(0, gmem_set_slot(self->vm->fd, OWN_SLOT, OWN_GPA, 0, NULL, -1, 0));
	EXPECT_MMIO(OWN_GPA);
	EXPECT_MMIO(OWN_GPA + PAGE_SIZE);
	EXPECT_MMIO(OWN_GPA + 2 * PAGE_SIZE);
	ASSERT_EQ(0, gmem_set_slot(self->vm->fd, OWN_SLOT, OWN_GPA, SIZE, NULL, self->fd,
				   OFFSET));

	EXPECT_READ(OWN_GPA + 2 * PAGE_SIZE, IN_FILE(2));
	ASSERT_EQ(0, set_file(self, 1, 1, GMEM_SHARED));
	EXPECT_READ(OWN_GPA + PAGE_SIZE, IN_FILE(1));
	EXPECT_READ(OWN_GPA, IN_FILE(0));
}

/* The same, of the other kind. */
TEST_F(exits, slot_with_vm_wide_attributes_where_there_was_mmio)
{
	int fd = gmem_create(self->vm->fd, SIZE, 0);

	ASSERT_LE(0, fd);
	EXPECT_MMIO(NOWHERE_GPA);
	EXPECT_MMIO(NOWHERE_GPA + PAGE_SIZE);
	ASSERT_EQ(0, set_vm(self, NOWHERE_GPA, PAGE_SIZE, GMEM_PRIVATE));
	ASSERT_EQ(0, gmem_set_slot(self->vm->fd, PLAIN_SLOT, PLAIN_GPA, 0, NULL, -1, 0));
	ASSERT_EQ(0, gmem_set_slot(self->vm->fd, PLAIN_SLOT, NOWHERE_GPA, SIZE, self->plain,
				   fd, 0));

	EXPECT_READ(NOWHERE_GPA + PAGE_SIZE, IN_HVA(1));
	EXPECT_READ(NOWHERE_GPA, 0);
	close(fd);
}

static void guest_reads_for_ever(void)
{
	for (;;)
		(void)*(volatile u64 *)OWN_GPA;
}

static void *run_to_exit(void *arg)
{
	return (void *)(unsigned long)_vcpu_run(arg);
}

/* The same while the guest runs: the first exit there is. */
static void run_under(struct __test_metadata *_metadata, FIXTURE_DATA(exits) * self,
		      bool private, bool close_it)
{
	struct kvm_run *run = self->vcpu->run;
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, set_file(self, 0, NR_PAGES, private ? GMEM_PRIVATE : GMEM_SHARED));
	vcpu_arch_set_entry_point(self->vcpu, guest_reads_for_ever);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_to_exit, self->vcpu));
	if (close_it)
		close_file(self);
	else
		EXPECT_EQ(0, gmem_set_slot(self->vm->fd, OWN_SLOT, OWN_GPA, 0, NULL, -1, 0));
	pthread_join(thread, &ret);

	if (close_it) {
		EXPECT_EQ(-1UL, (unsigned long)ret);
		expect_fault(_metadata, self, __LINE__, EFAULT, 0, OWN_GPA);
	} else {
		EXPECT_EQ(0UL, (unsigned long)ret);
		EXPECT_EQ(KVM_EXIT_MMIO, run->exit_reason);
		EXPECT_EQ(OWN_GPA, run->mmio.phys_addr);
	}
}

TEST_F(exits, slot_deleted_under_a_running_guest)
{
	run_under(_metadata, self, true, false);
}

TEST_F(exits, shared_slot_deleted_under_a_running_guest)
{
	run_under(_metadata, self, false, false);
}

TEST_F(exits, file_closed_under_a_running_guest)
{
	run_under(_metadata, self, true, true);
}

/* As in private_mem_kvm_exits_test, with a slot of the other kind in between. */
TEST_F(exits, each_kind_follows_its_own_truth)
{
	u64 val;

	ASSERT_EQ(0, set_vm(self, BOTH_GPA, SIZE, GMEM_PRIVATE));
	EXPECT_READ(BOTH_GPA + SIZE - PAGE_SIZE, 0);
	EXPECT_READ(OWN_GPA, IN_FILE(0));
	EXPECT_EQ(IN_FILE(0), gmem_host_get64(self->file));
	EXPECT_READ(PLAIN_GPA, IN_HVA(0));
	val = FROM_GUEST;
	EXPECT_EQ(0, ask(self, WRITE, BOTH_GPA, &val));

	/* Nothing backs what is private there. */
	ASSERT_EQ(0, set_vm(self, PLAIN_GPA, PAGE_SIZE, GMEM_PRIVATE));
	EXPECT_FAULT(EFAULT, KVM_MEMORY_EXIT_FLAG_PRIVATE, PLAIN_GPA + 40);
	EXPECT_READ(PLAIN_GPA + PAGE_SIZE, IN_HVA(1));
	EXPECT_READ(OWN_GPA + SIZE - PAGE_SIZE, IN_FILE(NR_PAGES - 1));
	ASSERT_EQ(0, set_vm(self, PLAIN_GPA, PAGE_SIZE, GMEM_SHARED));
	EXPECT_READ(PLAIN_GPA, IN_HVA(0));

	/* And the other way round. */
	ASSERT_EQ(0, set_file(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_READ(OWN_GPA, IN_FILE(0));
	EXPECT_EQ(SIGBUS, gmem_host_read64(self->file, &val));
	EXPECT_READ(BOTH_GPA, FROM_GUEST);
	ASSERT_EQ(0, set_vm(self, BOTH_GPA, SIZE, GMEM_SHARED));
	EXPECT_READ(BOTH_GPA, IN_HVA(0));
	EXPECT_READ(PLAIN_GPA, IN_HVA(0));
	EXPECT_READ(OWN_GPA, IN_FILE(0));

	/* Where no slot is, neither is a file's attribute. */
	ASSERT_EQ(0, set_vm(self, NOWHERE_GPA, PAGE_SIZE, GMEM_PRIVATE));
	EXPECT_FAULT(EFAULT, KVM_MEMORY_EXIT_FLAG_PRIVATE, NOWHERE_GPA);
	ASSERT_EQ(0, set_vm(self, NOWHERE_GPA, PAGE_SIZE, GMEM_SHARED));
	EXPECT_MMIO(NOWHERE_GPA);
}

/* An access over the border between two kinds: each half in its own memory. */
TEST_F(exits, access_over_the_border)
{
	const u64 low = BOTH_GPA + SIZE - 8, high = OWN_GPA + SIZE - 8;
	u64 val = 0x1122334455667788;
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, set_vm(self, BOTH_GPA, SIZE, i & 1 ? GMEM_PRIVATE : 0));
		ASSERT_EQ(0, set_file(self, 0, NR_PAGES, i & 2 ? GMEM_PRIVATE : 0));
		val += i;
		EXPECT_EQ(0, ask(self, WRITE, low + 4, &val));
		EXPECT_READ(low + 4, val);
		EXPECT_READ(low, val << 32);
		EXPECT_EQ(0, ask(self, WRITE, high + 4, &val));
		EXPECT_READ(high + 4, val);
		EXPECT_READ(high, val << 32);
	}
}

/* Over both kinds there is no one to ask: refused, and nothing of it done. */
TEST_F(exits, vm_wide_attributes_over_both_kinds)
{
	const struct {
		u64 gpa, size;
	} over[] = {
		{ BOTH_GPA, 2 * SIZE },
		{ BOTH_GPA, 3 * SIZE },
		{ BOTH_GPA + SIZE - PAGE_SIZE, 2 * PAGE_SIZE },
		{ OWN_GPA, SIZE },
		{ OWN_GPA + 3 * PAGE_SIZE, PAGE_SIZE },
		{ OWN_GPA + SIZE - PAGE_SIZE, 2 * PAGE_SIZE },
		{ OWN_GPA, 3 * SIZE },
		{ BOTH_GPA - (1ULL << 31), 1ULL << 33 },
	};
	size_t i;
	u64 n;

	ASSERT_EQ(0, set_vm(self, BOTH_GPA, PAGE_SIZE, GMEM_PRIVATE));
	ASSERT_EQ(0, set_file(self, 1, 1, GMEM_PRIVATE));
	for (i = 0; i < ARRAY_SIZE(over); i++) {
		for (n = 0; n < 2; n++)
			EXPECT_EQ(-EOPNOTSUPP, set_vm(self, over[i].gpa, over[i].size,
						      n ? GMEM_PRIVATE : GMEM_SHARED))
				TH_LOG("%#lx + %#lx", over[i].gpa, over[i].size);
	}

	/* Page 0 of one, page 1 of the other, as before. */
	EXPECT_READ(BOTH_GPA, 0);
	for (n = 1; n < NR_PAGES; n++)
		EXPECT_READ(BOTH_GPA + n * PAGE_SIZE, IN_HVA(n));
	for (n = 0; n < NR_PAGES; n++) {
		EXPECT_READ(OWN_GPA + n * PAGE_SIZE, IN_FILE(n));
		EXPECT_READ(PLAIN_GPA + n * PAGE_SIZE, IN_HVA(n));
		EXPECT_EQ(n == 1 ? GMEM_PRIVATE : GMEM_SHARED,
			  gmem_attr_of(self->fd, OFFSET + n * PAGE_SIZE));
	}
	EXPECT_MMIO(NOWHERE_GPA);

	/* Up to the border, from both sides, is no business of the file's. */
	EXPECT_EQ(0, set_vm(self, BOTH_GPA, SIZE, GMEM_PRIVATE));
	EXPECT_EQ(0, set_vm(self, PLAIN_GPA, 2 * SIZE, GMEM_PRIVATE));
	EXPECT_READ(OWN_GPA, IN_FILE(0));
	EXPECT_READ(OWN_GPA + SIZE - PAGE_SIZE, IN_FILE(NR_PAGES - 1));
	EXPECT_FAULT(EFAULT, KVM_MEMORY_EXIT_FLAG_PRIVATE, PLAIN_GPA);
}

/* Said of gfns before a file came that owns its attributes: not heard any more. */
TEST_F(exits, vm_wide_attributes_from_before)
{
	u64 val;

	ASSERT_EQ(0, set_vm(self, NOWHERE_GPA, SIZE, GMEM_PRIVATE));
	EXPECT_FAULT(EFAULT, KVM_MEMORY_EXIT_FLAG_PRIVATE, NOWHERE_GPA);
	EXPECT_EQ(0, gmem_set_slot(self->vm->fd, OWN_SLOT, OWN_GPA, 0, NULL, -1, 0));
	ASSERT_EQ(0, gmem_set_slot(self->vm->fd, OWN_SLOT, NOWHERE_GPA, SIZE, NULL, self->fd,
				   OFFSET));

	EXPECT_READ(NOWHERE_GPA, IN_FILE(0));
	val = FROM_GUEST;
	EXPECT_EQ(0, ask(self, WRITE, NOWHERE_GPA, &val));
	EXPECT_EQ(FROM_GUEST, gmem_host_get64(self->file));
	EXPECT_EQ(-EOPNOTSUPP, set_vm(self, NOWHERE_GPA, SIZE, GMEM_SHARED));
	EXPECT_EQ(0, set_file(self, 0, 1, GMEM_PRIVATE));
	EXPECT_READ(NOWHERE_GPA, FROM_GUEST);
	EXPECT_EQ(0, set_file(self, 0, 1, GMEM_SHARED));
	EXPECT_READ(NOWHERE_GPA, FROM_GUEST);
	/* A conversion zaps what is mapped, whatever the VM says of these gfns. */
	EXPECT_EQ(0, gmem_punch(self->fd, OFFSET, PAGE_SIZE));
	EXPECT_READ(NOWHERE_GPA, 0);
}

int main(int argc, char **argv)
{
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(KVM_X86_SW_PROTECTED_VM));
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));

	return test_harness_run(argc, argv);
}
