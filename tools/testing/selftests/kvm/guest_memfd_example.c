// SPDX-License-Identifier: GPL-2.0-only
/*
 * A whole VMM for guest memory that is private or shared page by page, in one file: to be
 * read before Documentation/virt/kvm/guest_memfd.rst, and to be copied from. It needs
 * nothing but libc and the kernel's headers.
 *
 * The guest writes a word into a page of its own, shares the page, and takes it back; the
 * host looks on. What is shared is shared in place: nothing is ever copied. The exit code
 * is 0 if all is as it should be, 4 where the host cannot do it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PAGE		0x1000UL
#define MEM_SIZE	(4 * PAGE)
#define FLAGS		(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
#define DATA		PAGE		/* the guest's page; its code is in the page before */
#define SECRET		0x5ec7		/* what the guest writes into it */
#define ANSWER		0xa5a5		/* what the host writes into it while it is shared */

/* The guest tells us where it is, each time with a number. */
enum step { WROTE = 1, SHARED, UNSHARED, READ };

#if defined(__aarch64__)
#define GPA		0x40000000UL
#define VM_TYPE		KVM_VM_TYPE_ARM_PROTECTED

/* A guest with its MMU off goes past the caches, and so must the host. */
#define sync_caches(addr)	asm volatile("dc civac, %0\n\tdsb sy" :: "r" (addr) : "memory")

#define TELL		0x10000000UL	/* no memory there: a store is an MMIO exit */
static const uint32_t guest_code[] = {	/* MMU off */
	0xd2a20013,				/* mov x19, #0x10000000		TELL */
	0xd2820014, 0xf2a80014,			/* mov x20, #0x40001000		DATA */
	0xd28bd8e1, 0xf9000281,			/* x1 = SECRET; str x1, [x20] */
	0xd2800000, 0xf9000660,			/* x0 = 0; str x0, [x19, #8 * WROTE] */
	0xd2800060, 0xf2b8c000,			/* mov x0, #0xc6000003		MEM_SHARE */
	0xaa1403e1, 0xd2800022, 0xd2800003,	/* x1 = x20; x2 = 1 page; x3 = 0 */
	0xd4000002, 0xf9000a60,			/* hvc #0; str x0, [x19, #8 * SHARED] */
	0xd2800080, 0xf2b8c000,			/* mov x0, #0xc6000004		MEM_UNSHARE */
	0xaa1403e1, 0xd2800022, 0xd2800003,	/* x1 = x20; x2 = 1 page; x3 = 0 */
	0xd4000002, 0xf9000e60,			/* hvc #0; str x0, [x19, #8 * UNSHARED] */
	0xf9400280, 0xf9001260,			/* ldr x0, [x20]; str x0, [x19, #8 * READ] */
	0xd2800100, 0xf2b08000, 0xd4000002,	/* mov x0, #0x84000008; hvc #0	SYSTEM_OFF */
};
#elif defined(__x86_64__)
#define GPA		0UL
#define VM_TYPE		KVM_X86_SW_PROTECTED_VM

#define sync_caches(addr)

#define TELL		0x10			/* a port */
#define MAP_GPA_RANGE(attributes) /* mov $KVM_HC_..., %eax; mov $..., %edx; vmcall */	\
	0x66, 0xb8, KVM_HC_MAP_GPA_RANGE, 0, 0, 0, 0x66, 0xba, attributes, 0, 0, 0, 0x0f, 0x01, 0xc1
/* Real mode. On AMD, KVM puts vmmcall in the place of vmcall. */
static const uint8_t guest_code[] = {
	0x66, 0xbb, 0, 0x10, 0, 0,		/* mov $DATA, %ebx */
	0x66, 0xb9, 1, 0, 0, 0,			/* mov $1, %ecx			one page */
	MAP_GPA_RANGE(KVM_MAP_GPA_RANGE_ENCRYPTED),
	0xc7, 0x06, 0, 0x10, 0xc7, 0x5e,	/* movw $SECRET, DATA */
	0xe7, TELL + WROTE,			/* out %ax, $TELL + WROTE */
	MAP_GPA_RANGE(KVM_MAP_GPA_RANGE_DECRYPTED),
	0xe7, TELL + SHARED,			/* out %ax, $TELL + SHARED */
	MAP_GPA_RANGE(KVM_MAP_GPA_RANGE_ENCRYPTED),
	0xe7, TELL + UNSHARED,			/* out %ax, $TELL + UNSHARED */
	0xa1, 0x00, 0x10, 0xe7, TELL + READ,	/* mov DATA, %ax; out %ax, $TELL + READ */
	0xf4,					/* hlt */
};
#endif

static int vm_fd, vcpu_fd, gmem_fd;
static struct kvm_run *run;
static char *mem;			/* the guest_memfd, mapped */
static int held[2] = { -1, -1 };	/* a pipe that holds a reference to DATA */
static int failures;

#define say(as_expected, ...) do {			\
	if (!(as_expected)) {				\
		failures++;				\
		printf("WRONG: ");			\
	}						\
	printf(__VA_ARGS__);				\
} while (0)

static int must(int ret, const char *what)
{
	if (ret >= 0)
		return ret;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

#define must_ioctl(fd, request, arg)	must(ioctl(fd, request, arg), #request)

/* Whatever a VMM does with guest memory may hold references: I/O, pinned buffers, pipes. */
static void drop_references(void)
{
	if (held[0] < 0)
		return;
	printf("The host closes the pipe.\n");
	close(held[0]);
	close(held[1]);
	held[0] = held[1] = -1;
}

/* [gpa, gpa + size) becomes private or shared, all of it, or it cannot be (false). */
static bool convert(unsigned long gpa, unsigned long size, bool private)
{
	struct kvm_memory_attributes2 attr = {
		.offset = gpa - GPA,	/* one slot, from the file's beginning on */
		.size = size,
		.attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
	};
	int tries = 1000;

	if (attr.offset > MEM_SIZE || size > MEM_SIZE - attr.offset)
		return false;
	if (private)
		drop_references();
	while (ioctl(gmem_fd, KVM_SET_MEMORY_ATTRIBUTES2, &attr)) {
		/* Somebody else's reference; a page fault's, say, is gone in a moment. */
		if (errno != EAGAIN || !--tries)
			return false;
		sched_yield();
	}
	printf("%#lx-%#lx is %s now.\n", gpa, gpa + size, private ? "private" : "shared");
	return true;
}

/* All that a VMM does about KVM_EXIT_MEMORY_FAULT, on every architecture. */
static void memory_fault(int error)
{
	static unsigned int faults;
	bool private = run->memory_fault.flags & KVM_MEMORY_EXIT_FLAG_PRIVATE;

	if (error == EHWPOISON)
		must(-1, "a page was destroyed under the guest");
	printf("KVM_RUN failed: the guest needs %s memory. ", private ? "private" : "shared");
	/* It may also need what it cannot get, again and again. */
	if (run->memory_fault.flags & ~KVM_MEMORY_EXIT_FLAG_PRIVATE || ++faults > 100 ||
	    !convert(run->memory_fault.gpa, run->memory_fault.size, private))
		must(-1, "a memory fault that this VMM cannot resolve");
}

/* A system call that reads a private page for us fails; a load of ours raises SIGBUS. */
static int try_read(const void *addr)
{
	int fds[2], error;

	must(pipe(fds), "pipe");
	error = write(fds[1], addr, sizeof(uint16_t)) < 0 ? errno : 0;
	close(fds[0]);
	close(fds[1]);
	return error;
}

/* The map of the file, run by run. Returns whether DATA is private. */
static bool print_map(void)
{
	struct kvm_memory_attributes2 attr = {};
	bool private = false;

	for (; attr.offset < MEM_SIZE; attr.offset += attr.size) {
		attr.size = MEM_SIZE - attr.offset;	/* how far to look, then the run's size */
		attr.attributes = attr.flags = 0;
		must_ioctl(gmem_fd, KVM_GET_MEMORY_ATTRIBUTES2, &attr);
		printf("    offset %#lx, size %#lx: %s, %s\n", (long)attr.offset, (long)attr.size,
		       attr.attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE ? "private" : "shared",
		       attr.flags & KVM_MEMORY_ATTRIBUTES2_POPULATED ? "in memory" : "a hole");
		if (DATA - attr.offset < attr.size)
			private = attr.attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE;
	}
	return private;
}

/*
 * The guest's page is shared. Plain accesses are safe only because the one vCPU waits for
 * us: a guest may take a page back at any time. So a VMM copies by system calls, or is
 * ready for SIGBUS.
 */
static void use_shared_page(void)
{
	volatile uint16_t *word = (void *)(mem + DATA);
	struct iovec page = { mem + DATA, PAGE };

	sync_caches(word);
	say(*word == SECRET, "The host finds %#x there, and writes %#x.\n", *word, ANSWER);
	*word = ANSWER;
	sync_caches(word);

	say(!print_map(), "The host puts the page itself into a pipe.\n");
	must(pipe(held), "pipe");
	must(vmsplice(held[1], &page, 1, 0), "vmsplice");
}

static void guest_tells(enum step step, unsigned long number)
{
	static const char *const what[] = { "", "wrote to", "shared", "took back" };
	int error;

	if (step == READ) {
		say(number == ANSWER, "The guest finds %#lx there.\n", number);
		return;
	}
	error = try_read(mem + DATA);
	say(!number && error == (step == SHARED ? 0 : EFAULT),
	    "The guest %s its page (result %ld). The host tries to read it: %s.\n",
	    what[step], number, strerror(error));
	if (step == SHARED && !error)
		use_shared_page();
}

#ifdef __aarch64__
/* EL2 takes what there is at the first KVM_RUN: all vCPUs, and no features but these. */
static void init_vcpu(void)
{
	struct kvm_vcpu_init init;
	uint64_t pc = GPA;
	struct kvm_one_reg reg = {
		KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(regs.pc),
		(unsigned long)&pc
	};

	must_ioctl(vm_fd, KVM_ARM_PREFERRED_TARGET, &init);
	memset(init.features, 0, sizeof(init.features));
	init.features[0] = 1U << KVM_ARM_VCPU_PSCI_0_2;
	must_ioctl(vcpu_fd, KVM_ARM_VCPU_INIT, &init);
	must_ioctl(vcpu_fd, KVM_SET_ONE_REG, &reg);
}

/* The guest's MEM_SHARE and MEM_UNSHARE never come here: KVM answers them. */
static bool guest_exit(void)
{
	unsigned long number, step = (run->mmio.phys_addr - TELL) / sizeof(number);

	if (run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write && step >= WROTE && step <= READ) {
		memcpy(&number, run->mmio.data, sizeof(number));
		guest_tells(step, number);
		return true;
	}
	say(run->exit_reason == KVM_EXIT_SYSTEM_EVENT, "The guest ends (exit %u).\n", run->exit_reason);
	return false;
}
#else
/* From address 0 on. The hypercalls come to userspace if it asks for them. */
static void init_vcpu(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_HYPERCALL };
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;

	cap.args[0] = 1 << KVM_HC_MAP_GPA_RANGE;
	must_ioctl(vm_fd, KVM_ENABLE_CAP, &cap);
	must_ioctl(vcpu_fd, KVM_GET_SREGS, &sregs);
	sregs.cs.base = sregs.cs.selector = 0;
	must_ioctl(vcpu_fd, KVM_SET_SREGS, &sregs);
	must_ioctl(vcpu_fd, KVM_SET_REGS, &regs);
}

/* A software-protected guest's accesses do not say what they expect, so it has to ask. */
static bool guest_exit(void)
{
	__u64 *args = run->hypercall.args;
	unsigned int step = run->io.port - TELL;

	if (run->exit_reason == KVM_EXIT_IO && step >= WROTE && step <= READ) {
		guest_tells(step, *(uint16_t *)((char *)run + run->io.data_offset));
		return true;
	}
	if (run->exit_reason == KVM_EXIT_HYPERCALL && run->hypercall.nr == KVM_HC_MAP_GPA_RANGE) {
		run->hypercall.ret = convert(args[0], args[1] * PAGE,
					     args[2] & KVM_MAP_GPA_RANGE_ENCRYPTED) ? 0 : -KVM_EINVAL;
		return true;
	}
	say(run->exit_reason == KVM_EXIT_HLT, "The guest ends (exit %u).\n", run->exit_reason);
	return false;
}
#endif

static void require(bool it, const char *what)
{
	if (it)
		return;
	printf("SKIP: %s\n", what);
	exit(4);
}

static bool host_has(unsigned long cap, int bits)
{
	return (ioctl(vm_fd, KVM_CHECK_EXTENSION, cap) & bits) == bits;
}

/*
 * Shared from the start, to be loaded through the mapping. A VMM that knows what will be
 * private converts all of it before the first KVM_RUN, by one call: to let the guest fault
 * page by page, as here, is slow.
 */
static void make_memory(void)
{
	struct kvm_create_guest_memfd create = { .size = MEM_SIZE, .flags = FLAGS };
	struct kvm_userspace_memory_region2 slot = {
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = GPA,
		.memory_size = MEM_SIZE,
	};

	gmem_fd = must_ioctl(vm_fd, KVM_CREATE_GUEST_MEMFD, &create);
	mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, gmem_fd, 0);
	must(mem == MAP_FAILED ? -1 : 0, "mmap");
	memcpy(mem, guest_code, sizeof(guest_code));
	slot.guest_memfd = gmem_fd;
	slot.userspace_addr = (unsigned long)mem;
	must_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION2, &slot);
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	require(kvm >= 0, "there is no /dev/kvm");
	vm_fd = ioctl(kvm, KVM_CREATE_VM, VM_TYPE);
	require(vm_fd >= 0, "this host has no VMs with private memory");
	require(host_has(KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES, KVM_MEMORY_ATTRIBUTE_PRIVATE) &&
		host_has(KVM_CAP_GUEST_MEMFD_FLAGS, FLAGS) && host_has(KVM_CAP_MEMORY_FAULT_INFO, 1),
		"this kernel's guest_memfd cannot be private page by page");
	require(sysconf(_SC_PAGESIZE) == PAGE, "the guest is written for pages of 4 KiB");

	make_memory();
	vcpu_fd = must_ioctl(vm_fd, KVM_CREATE_VCPU, 0);
	run = mmap(NULL, must_ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		   MAP_SHARED, vcpu_fd, 0);
	must(run == MAP_FAILED ? -1 : 0, "mmap of the vCPU");
	init_vcpu();

	for (;;) {
		if (!ioctl(vcpu_fd, KVM_RUN, 0)) {
			if (!guest_exit())
				break;
		} else if ((errno == EFAULT || errno == EHWPOISON) &&
			   run->exit_reason == KVM_EXIT_MEMORY_FAULT) {
			memory_fault(errno);
		} else if (errno != EINTR && errno != EAGAIN) {
			must(-1, "KVM_RUN");
		}
	}
	say(print_map(), "This is how the guest left it.\n");
	return failures ? 1 : 0;
}
