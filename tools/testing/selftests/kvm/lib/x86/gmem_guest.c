// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that does one load or store at a time, see gmem_guest.h: a software-protected VM.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/sizes.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "gmem_guest.h"

/*
 * The guest's own pages: page tables with its code at address 0 and, behind it, a window
 * to the page that it is to access next.
 */
#define OWN_GPA		0xe0000000ULL
#define OWN_SLOT	31
#define PRESENT_RW	3ULL

enum { PML4, PDPT, PD, PT, CODE, NR_OWN };

#define OWN_SIZE	(NR_OWN * SZ_4K)

/* mov %cr3, %rax; mov %rax, %cr3; then mov (%rbx), %rcx or mov %rcx, (%rbx); hlt */
static const u8 load_code[] = { 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x48, 0x8b, 0x0b, 0xf4 };
static const u8 store_code[] = { 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x48, 0x89, 0x0b, 0xf4 };

#define LOAD_AT		0
#define STORE_AT	64

void gmem_require_guest(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	__TEST_REQUIRE(getpagesize() == SZ_4K, "pages of %d bytes", getpagesize());
	__TEST_REQUIRE(gmem_check_cap(kvm, KVM_CAP_VM_TYPES) & 1 << KVM_X86_SW_PROTECTED_VM,
		       "no software-protected VMs");
	__TEST_REQUIRE(gmem_check_cap(kvm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) > 0,
		       "no KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES");
	close(kvm);
}

static u64 *own_page(struct gmem_guest *g, int n)
{
	return g->own + n * SZ_4K / sizeof(u64);
}

static void guest_paging(struct gmem_guest *g)
{
	int n;

	for (n = PML4; n < PT; n++)
		own_page(g, n)[0] = (OWN_GPA + (n + 1) * SZ_4K) | PRESENT_RW;
	own_page(g, PT)[0] = (OWN_GPA + CODE * SZ_4K) | PRESENT_RW;
	memcpy((char *)own_page(g, CODE) + LOAD_AT, load_code, sizeof(load_code));
	memcpy((char *)own_page(g, CODE) + STORE_AT, store_code, sizeof(store_code));
}

static void guest_cpuid(struct gmem_guest *g, int kvm)
{
	const int nr = 256;
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + nr * sizeof(cpuid->entries[0]));
	cpuid->nent = nr;
	TEST_ASSERT(!ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "CPUID: errno %d", errno);
	TEST_ASSERT(!ioctl(g->vcpu, KVM_SET_CPUID2, cpuid), "CPUID: errno %d", errno);
	free(cpuid);
}

/* 64-bit mode with flat segments. */
static void guest_mode(struct gmem_guest *g)
{
	struct kvm_segment seg = {
		.limit = ~0U, .selector = 8, .type = 11, .present = 1, .s = 1, .g = 1, .l = 1,
	};
	struct kvm_sregs sregs;

	TEST_ASSERT(!ioctl(g->vcpu, KVM_GET_SREGS, &sregs), "sregs: errno %d", errno);
	sregs.cs = seg;
	seg.selector = 16;
	seg.type = 3;
	seg.l = 0;
	seg.db = 1;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = seg;
	sregs.cr0 = 0x80000011;			/* PG, ET, PE */
	sregs.cr3 = OWN_GPA + PML4 * SZ_4K;
	sregs.cr4 = 0x20;			/* PAE */
	sregs.efer = 0x500;			/* LME, LMA */
	TEST_ASSERT(!ioctl(g->vcpu, KVM_SET_SREGS, &sregs), "sregs: errno %d", errno);
}

void gmem_guest_create(struct gmem_guest *g)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	TEST_ASSERT(kvm >= 0, "/dev/kvm: errno %d", errno);
	g->fd = ioctl(kvm, KVM_CREATE_VM, (unsigned long)KVM_X86_SW_PROTECTED_VM);
	TEST_ASSERT(g->fd >= 0, "KVM_CREATE_VM: errno %d", errno);
	g->own = mmap(NULL, OWN_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(g->own != MAP_FAILED, "mmap: errno %d", errno);
	TEST_ASSERT(!gmem_set_slot(g->fd, OWN_SLOT, OWN_GPA, OWN_SIZE, g->own, -1, 0),
		    "the guest's own pages: errno %d", errno);
	guest_paging(g);

	g->vcpu = ioctl(g->fd, KVM_CREATE_VCPU, 0UL);
	TEST_ASSERT(g->vcpu >= 0, "vCPU: errno %d", errno);
	g->run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0UL);
	g->run = mmap(NULL, g->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	TEST_ASSERT(g->run != MAP_FAILED, "mmap of a vCPU: errno %d", errno);
	guest_cpuid(g, kvm);
	guest_mode(g);
	close(kvm);
}

void gmem_guest_close(struct gmem_guest *g)
{
	munmap(g->run, g->run_size);
	close(g->vcpu);
	close(g->fd);
	munmap(g->own, OWN_SIZE);
}

int gmem_guest_vm(struct gmem_guest *g)
{
	return g->fd;
}

struct kvm_run *gmem_guest_run(struct gmem_guest *g)
{
	return g->run;
}

int gmem_guest_go_on(struct gmem_guest *g, u64 *val)
{
	struct kvm_regs regs;
	int ret;

	do {
		ret = ioctl(g->vcpu, KVM_RUN, 0UL);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	if (g->run->exit_reason != KVM_EXIT_HLT)
		return GMEM_OTHER_EXIT;

	TEST_ASSERT(!ioctl(g->vcpu, KVM_GET_REGS, &regs), "regs: errno %d", errno);
	*val = regs.rcx;
	return 0;
}

static int guest_access(struct gmem_guest *g, u64 code, u64 gpa, u64 *val)
{
	struct kvm_regs regs = {
		.rip = code,
		.rbx = SZ_4K + gpa % SZ_4K,
		.rcx = *val,
		.rflags = 2,
	};

	own_page(g, PT)[1] = (gpa - gpa % SZ_4K) | PRESENT_RW;
	TEST_ASSERT(!ioctl(g->vcpu, KVM_SET_REGS, &regs), "regs: errno %d", errno);
	return gmem_guest_go_on(g, val);
}

int gmem_guest_load(struct gmem_guest *g, u64 gpa, u64 *val)
{
	return guest_access(g, LOAD_AT, gpa, val);
}

int gmem_guest_store(struct gmem_guest *g, u64 gpa, u64 val)
{
	return guest_access(g, STORE_AT, gpa, &val);
}

/* The host decides alone. */
bool gmem_guest_gives(struct gmem_guest *g, u64 gpa, u64 count, int fd, u64 offset)
{
	return !gmem_set_attr(fd, offset, count * SZ_4K, GMEM_SHARED);
}

/* A page under the guest was freed: the next access finds a new one. */
bool gmem_guest_lost(struct gmem_guest *g, u64 gpa)
{
	u64 val = 1;

	return !gmem_guest_load(g, gpa, &val) && !val;
}

u64 gmem_guest_top(struct gmem_guest *g)
{
	u32 eax = 0x80000008, ebx, ecx, edx;

	asm volatile("cpuid" : "+a" (eax), "=b" (ebx), "=c" (ecx), "=d" (edx));
	return 1ULL << (eax & 0xff);
}
