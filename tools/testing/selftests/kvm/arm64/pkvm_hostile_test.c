// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected guest that keeps secrets in all its registers, on a host whose kernel looks for
 * them after every exit and overwrites all it can before every entry (CONFIG_PKVM_HOSTILE_HOST).
 *
 * The host must find none, and must change nothing but what a host may: the value of a load
 * from a device, an external abort of an access to one, UNDEF for a trapped register.
 *
 * usage: pkvm_hostile_test [--exits N] [harness options]
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "pkvm_guest.h"
#include "pkvm_secrets.h"

#define HOSTILE		"/sys/kernel/debug/kvm/pkvm_hostile"

/* The modes of arch/arm64/kvm/pkvm_hostile.h. */
#define REGS		(1 << 0)
#define PC		(1 << 1)
#define PSTATE		(1 << 2)
#define SYSREGS		(1 << 3)
#define FP		(1 << 4)
#define INCREMENT	(1 << 5)
#define EXCEPT		(1 << 6)
#define MDCR		(1 << 7)
#define HCR		(1 << 8)
#define DEBUG		(1 << 9)
#define TIMER		(1 << 10)
#define IDS		(1 << 11)
#define KVM		(1 << 12)
#define MEMREQS		(1 << 13)
#define FAULT		(1 << 14)
#define FLAGS		(1 << 15)
#define VGIC		(1 << 16)
#define SERRORS		(1 << 17)
#define ALL		((1 << 18) - 1)
#define WILD		(1 << 18)

#define ANY_EXCEPT	-1
/* About what one iteration of the guest comes to on one vCPU. */
#define EXITS_PER_ITERATION	32
#define IMAGE_SIZE	((u64)1 << SECRETS_IMAGE_SHIFT)

static unsigned long exits_wanted = 800;
static size_t page;

struct secrets_vm {
	int fd, image_fd, touch_fd;
	char *image;
	int nr_vcpus;
	int nr_used;		/* by the guest; the others stay off */
	int run_size;
	struct secrets_vcpu {
		struct secrets_vm *vm;
		int id, fd;
		struct kvm_run *run;
		pthread_t thread;
		u64 refused;
		u32 told;	/* kinds of reports that count once */
	} vcpu[SECRETS_MAX_VCPUS];
	u64 reports[8];		/* by kind */
	char smash[64];		/* what the host is told once the guest is ready */
	int other;		/* an exit that should not be */
	bool over;
};

/* ---- The VM ---- */

static void xioctl(int fd, unsigned long cmd, void *arg, const char *what)
{
	TEST_ASSERT(ioctl(fd, cmd, arg) >= 0, "%s: errno %d", what, errno);
}

static void add_memory(struct secrets_vm *vm)
{
	u64 size = SECRETS_MAX_VCPUS * IMAGE_SIZE;
	int i;

	vm->image_fd = gmem_create(vm->fd, size, GUEST_MEMFD_FLAG_MMAP |
				   GUEST_MEMFD_FLAG_INIT_SHARED);
	vm->touch_fd = gmem_create(vm->fd, size, GUEST_MEMFD_FLAG_MMAP);
	TEST_ASSERT(vm->image_fd >= 0 && vm->touch_fd >= 0, "guest_memfd");
	vm->image = gmem_map(vm->image_fd, size);
	for (i = 0; i < vm->nr_vcpus; i++) {
		char *image = vm->image + i * IMAGE_SIZE;

		memcpy(image, pkvm_secrets_start, pkvm_secrets_end - pkvm_secrets_start);
		__builtin___clear_cache(image, image + IMAGE_SIZE);
	}
	TEST_ASSERT(!gmem_set_attr(vm->image_fd, 0, size, GMEM_PRIVATE), "to private");
	TEST_ASSERT(!gmem_set_slot(vm->fd, 0, SECRETS_GPA, size, NULL, vm->image_fd, 0), "slot 0");
	TEST_ASSERT(!gmem_set_slot(vm->fd, 1, SECRETS_TOUCH_GPA, size, NULL, vm->touch_fd, 0),
		    "slot 1");
}

static void add_vgic(struct secrets_vm *vm)
{
	struct kvm_create_device dev = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	u64 dist = 0x8000000, redist = 0x80a0000;
	struct kvm_device_attr attr = {
		.group = KVM_DEV_ARM_VGIC_GRP_ADDR, .attr = KVM_VGIC_V3_ADDR_TYPE_DIST,
		.addr = (u64)&dist,
	};

	xioctl(vm->fd, KVM_CREATE_DEVICE, &dev, "GICv3");
	xioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr, "distributor");
	attr.attr = KVM_VGIC_V3_ADDR_TYPE_REDIST;
	attr.addr = (u64)&redist;
	xioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr, "redistributor");
	attr.group = KVM_DEV_ARM_VGIC_GRP_CTRL;
	attr.attr = KVM_DEV_ARM_VGIC_CTRL_INIT;
	xioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr, "GICv3 init");
	close(dev.fd);
}

static void set_core(struct secrets_vcpu *vcpu, u64 reg, u64 value)
{
	struct kvm_one_reg one = {
		KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | reg, (u64)&value
	};

	xioctl(vcpu->fd, KVM_SET_ONE_REG, &one, "register");
}

static void init_vcpu(struct secrets_vcpu *vcpu)
{
	struct kvm_vcpu_init init = {};

	xioctl(vcpu->vm->fd, KVM_ARM_PREFERRED_TARGET, &init, "preferred target");
	init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
	if (gmem_check_cap(vcpu->vm->fd, KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0 &&
	    gmem_check_cap(vcpu->vm->fd, KVM_CAP_ARM_PTRAUTH_GENERIC) > 0)
		init.features[0] |= 1U << KVM_ARM_VCPU_PTRAUTH_ADDRESS |
				    1U << KVM_ARM_VCPU_PTRAUTH_GENERIC;
	if (vcpu->id)
		init.features[0] |= 1U << KVM_ARM_VCPU_POWER_OFF;
	xioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init, "vCPU init");
}

static void vm_create(struct secrets_vm *vm, int nr_vcpus, int nr_used, u64 context)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), i;

	memset(vm, 0, sizeof(*vm));
	vm->nr_vcpus = nr_vcpus;
	vm->nr_used = nr_used;
	vm->run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	close(kvm);
	vm->fd = pkvm_vm_open(PKVM_VM_PROTECTED);
	TEST_ASSERT(vm->fd >= 0, "KVM_CREATE_VM: %d", vm->fd);
	add_memory(vm);

	for (i = 0; i < nr_vcpus; i++) {
		struct secrets_vcpu *vcpu = &vm->vcpu[i];

		vcpu->vm = vm;
		vcpu->id = i;
		vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)i);
		TEST_ASSERT(vcpu->fd >= 0, "vCPU %d: errno %d", i, errno);
		vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
				 vcpu->fd, 0);
		TEST_ASSERT(vcpu->run != MAP_FAILED, "mmap of a vCPU");
	}
	add_vgic(vm);
	for (i = 0; i < nr_vcpus; i++)
		init_vcpu(&vm->vcpu[i]);
	set_core(&vm->vcpu[0], KVM_REG_ARM_CORE_REG(regs.pc), SECRETS_GPA);
	set_core(&vm->vcpu[0], KVM_REG_ARM_CORE_REG(regs.regs[0]),
		 context | (u64)nr_used << 32);
}

static void vm_destroy(struct secrets_vm *vm)
{
	int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		munmap(vm->vcpu[i].run, vm->run_size);
		close(vm->vcpu[i].fd);
	}
	munmap(vm->image, SECRETS_MAX_VCPUS * IMAGE_SIZE);
	close(vm->image_fd);
	close(vm->touch_fd);
	close(vm->fd);
}

/* ---- The host ---- */

static void tell(const char *file, const char *format, ...)
{
	char path[96], text[160];
	va_list args;
	int ret;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(path, sizeof(path), HOSTILE "/%s", file);
	ret = gmem_write_file(path, text);
	TEST_ASSERT(!ret, "'%s' into %s: %d", text, path, ret);
}

/* The value in the first line that begins with that; ~0 if there is none. */
static u64 ask(const char *file, const char *name)
{
	static char text[1 << 16];
	char path[96], *line;

	snprintf(path, sizeof(path), HOSTILE "/%s", file);
	gmem_read_file(path, text, sizeof(text));
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ' ')
			return strtoull(line + strlen(name) + 1, NULL, 0);
	}
	return ~0ULL;
}

/* ---- Its life ---- */

static const char *const report_name[8] = {
	[SECRETS_CHANGED] = "changed", [SECRETS_SKIPPED] = "skipped",
	[SECRETS_EXCEPTION] = "exception", [SECRETS_BAD_START] = "bad start",
};

/* A host that does not take an access for done sees it again, and so may a report come again. */
static bool is_repeated(struct secrets_vcpu *vcpu, unsigned int kind)
{
	bool told = vcpu->told & 1U << kind;

	vcpu->told |= 1U << kind;
	return kind >= SECRETS_DONE && told;
}

static void take_report(struct secrets_vcpu *vcpu, u64 data)
{
	struct secrets_vm *vm = vcpu->vm;
	unsigned int kind = data >> 56 & 7;
	u64 nr;

	if (is_repeated(vcpu, kind))
		return;
	nr = __atomic_add_fetch(&vm->reports[kind], kind == SECRETS_ALLOWED ? (u32)data : 1,
				__ATOMIC_RELAXED);
	if (kind < SECRETS_DONE && nr <= 4)
		fprintf(stderr, "# vCPU %d: %s: site %u, which %u, %#x\n", vcpu->id,
			report_name[kind], (unsigned int)(data >> 48 & 0xff),
			(unsigned int)(data >> 32 & 0xffff), (unsigned int)data);
	if (kind == SECRETS_READY)
		tell("smash", "%s", vm->smash[0] ? vm->smash : "0");
}

static void device(struct secrets_vcpu *vcpu)
{
	static const u64 wide = 0xf7e6d5c4b3a29180;
	struct kvm_run *run = vcpu->run;
	u64 data;

	if (!run->mmio.is_write) {
		memcpy(run->mmio.data, &wide, sizeof(wide));
		return;
	}
	memcpy(&data, run->mmio.data, sizeof(data));
	if (run->mmio.phys_addr == SECRETS_REPORT_GPA)
		take_report(vcpu, data);
}

static int fault(struct secrets_vm *vm, struct kvm_run *run)
{
	u64 gpa = run->memory_fault.gpa;
	int ret;

	if (run->memory_fault.flags != KVM_MEMORY_EXIT_FLAG_PRIVATE)
		return -EFAULT;
	if (gpa >= SECRETS_TOUCH_GPA)
		ret = gmem_set_attr(vm->touch_fd, gpa - SECRETS_TOUCH_GPA, run->memory_fault.size,
				    GMEM_PRIVATE);
	else
		ret = gmem_set_attr(vm->image_fd, gpa - SECRETS_GPA, run->memory_fault.size,
				    GMEM_PRIVATE);
	return ret == -EAGAIN ? 0 : ret;
}

/*
 * A vCPU whose CPU_ON the host spoiled is woken, and not let in; one that is entered by force
 * meanwhile cannot be loaded here. Both are to try again.
 */
static bool refused(struct secrets_vcpu *vcpu)
{
	u32 reason = vcpu->run->exit_reason;

	if (errno != EINVAL || !vcpu->id ||
	    (reason != KVM_EXIT_FAIL_ENTRY && reason != KVM_EXIT_UNKNOWN))
		return false;
	vcpu->refused++;
	usleep(1000);
	return true;
}

/* False: that was the last. */
static bool run_once(struct secrets_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int ret = ioctl(vcpu->fd, KVM_RUN, 0);

	if (ret < 0) {
		if (errno == EINTR || errno == EAGAIN || refused(vcpu))
			return true;
		return errno == EFAULT && run->exit_reason == KVM_EXIT_MEMORY_FAULT &&
		       !fault(vcpu->vm, run);
	}
	if (run->exit_reason != KVM_EXIT_MMIO)
		return false;
	device(vcpu);
	return true;
}

static void *vcpu_thread(void *arg)
{
	struct secrets_vcpu *vcpu = arg;
	struct secrets_vm *vm = vcpu->vm;

	while (!__atomic_load_n(&vm->over, __ATOMIC_ACQUIRE)) {
		if (run_once(vcpu))
			continue;
		if (vcpu->run->exit_reason != KVM_EXIT_SYSTEM_EVENT &&
		    !__atomic_load_n(&vm->over, __ATOMIC_ACQUIRE)) {
			fprintf(stderr, "# vCPU %d: errno %d, exit %u\n", vcpu->id, errno,
				vcpu->run->exit_reason);
			__atomic_add_fetch(&vm->other, 1, __ATOMIC_RELAXED);
		}
		__atomic_store_n(&vm->over, true, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void be_woken(int sig)
{
}

static void vm_live(struct secrets_vm *vm)
{
	struct sigaction sa = { .sa_handler = be_woken };
	/* A hundred exits in a second, with a host that denies half of them. */
	u64 end = gmem_now_us() + (240 + exits_wanted / 100) * 1000000ULL;
	int i;

	sigaction(SIGUSR1, &sa, NULL);
	for (i = 0; i < vm->nr_vcpus; i++)
		pthread_create(&vm->vcpu[i].thread, NULL, vcpu_thread, &vm->vcpu[i]);
	/* Signals end the guest's WFI, and interrupt all else. */
	while (!__atomic_load_n(&vm->over, __ATOMIC_ACQUIRE) && gmem_now_us() < end) {
		usleep(500);
		for (i = 0; i < vm->nr_vcpus; i++)
			pthread_kill(vm->vcpu[i].thread, SIGUSR1);
	}
	if (!__atomic_exchange_n(&vm->over, true, __ATOMIC_ACQ_REL)) {
		fprintf(stderr, "# the guest does not come to an end\n");
		vm->other++;
	}
	for (i = 0; i < vm->nr_vcpus; i++) {
		vm->vcpu[i].run->immediate_exit = 1;
		/* Until it is seen: a signal may come just before KVM_RUN. */
		while (pthread_tryjoin_np(vm->vcpu[i].thread, NULL)) {
			pthread_kill(vm->vcpu[i].thread, SIGUSR1);
			usleep(1000);
		}
	}
}

/* ---- What the host saw ---- */

static void show(const char *file, int lines)
{
	static char text[1 << 16];
	char path[96], *line;

	snprintf(path, sizeof(path), HOSTILE "/%s", file);
	gmem_read_file(path, text, sizeof(text));
	for (line = strtok(text, "\n"); line && lines--; line = strtok(NULL, "\n"))
		fprintf(stderr, "# %s\n", line);
}

/* Of all classes but those of entries that were refused. */
static u64 all_exits(void)
{
	static const char *const classes[] = {
		"irq", "serror", "wfx", "hvc", "sys", "iabt", "dabt", "load", "store", "memreq",
	};
	char name[32];
	u64 sum = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(classes); i++) {
		snprintf(name, sizeof(name), "exits-%s", classes[i]);
		sum += ask("stats", name);
	}
	return sum;
}

FIXTURE(hostile) {
	struct secrets_vm vm;
	int kmsg;
};

FIXTURE_VARIANT(hostile) {
	int nr_vcpus;
};

FIXTURE_VARIANT_ADD(hostile, one_vcpu) { .nr_vcpus = 1 };
FIXTURE_VARIANT_ADD(hostile, four_vcpus) { .nr_vcpus = 4 };

FIXTURE_SETUP(hostile)
{
	self->kmsg = gmem_kmsg_open();
	tell("target", "%d", getpid());
	tell("watch", "%#llx %#llx", SECRETS_ANTI_TAG, SECRETS_MASK);
}

FIXTURE_TEARDOWN(hostile)
{
	tell("target", "off");
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

static u64 iterations(int nr_vcpus)
{
	return exits_wanted / EXITS_PER_ITERATION / nr_vcpus + 1;
}

static void start(FIXTURE_DATA(hostile) * self, int nr_vcpus)
{
	vm_create(&self->vm, nr_vcpus, nr_vcpus, iterations(nr_vcpus) | 1ULL << SECRETS_GUARD);
}

/* The guest came to its end, and nobody had a hand in it. */
static void expect_untouched(struct __test_metadata *_metadata, FIXTURE_DATA(hostile) * self)
{
	struct secrets_vm *vm = &self->vm;

	EXPECT_EQ(0, vm->reports[SECRETS_CHANGED]);
	EXPECT_EQ(0, vm->reports[SECRETS_SKIPPED]);
	EXPECT_EQ(0, vm->reports[SECRETS_EXCEPTION]);
	EXPECT_EQ(0, vm->reports[SECRETS_BAD_START]);
	EXPECT_EQ(vm->nr_used, vm->reports[SECRETS_DONE]);
	EXPECT_EQ(0, vm->other);
}

/* The host saw no secret, and nothing else but what it may see. */
static void expect_blind(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, ask("stats", "secret"));
	EXPECT_EQ(0, ask("stats", "written"));
	EXPECT_EQ(0, ask("stats", "memory-store"));
	if (ask("stats", "secret") || ask("stats", "written") || ask("stats", "memory-store"))
		show("stats", 40);
}

static void live_under(struct __test_metadata *_metadata, FIXTURE_DATA(hostile) * self,
		       int nr_vcpus, unsigned int modes, int except, u64 gadget)
{
	u64 seed = gmem_now_us() & 0xffffff;

	start(self, nr_vcpus);
	TH_LOG("%u vCPUs, smash %#x, seed %#llx", nr_vcpus, modes, (unsigned long long)seed);
	snprintf(self->vm.smash, sizeof(self->vm.smash), "%#x %#llx %#llx %d", modes,
		 (unsigned long long)seed, (unsigned long long)gadget, except);
	vm_live(&self->vm);
	expect_untouched(_metadata, self);
	expect_blind(_metadata);
	TH_LOG("%llu exits, %llu exceptions that a host may cause",
	       (unsigned long long)all_exits(),
	       (unsigned long long)self->vm.reports[SECRETS_ALLOWED]);
	vm_destroy(&self->vm);
}

#define HOSTILE_TEST(name, modes, except)						\
	TEST_F_TIMEOUT(hostile, name, 3000)						\
	{										\
		live_under(_metadata, self, variant->nr_vcpus, modes, except,		\
			   SECRETS_GPA + pkvm_secrets_gadget);				\
	}

/* ---- All that a host can write, kind by kind ---- */

HOSTILE_TEST(looks, 0, ANY_EXCEPT)
HOSTILE_TEST(general_registers, REGS, ANY_EXCEPT)
HOSTILE_TEST(pc_to_a_gadget, PC, ANY_EXCEPT)
HOSTILE_TEST(pstate, PSTATE, ANY_EXCEPT)
HOSTILE_TEST(system_registers, SYSREGS, ANY_EXCEPT)
HOSTILE_TEST(fp_registers, FP, ANY_EXCEPT)
HOSTILE_TEST(increment_pc_always, INCREMENT, ANY_EXCEPT)
HOSTILE_TEST(sync_exception_always, EXCEPT, 0)
HOSTILE_TEST(irq_exception_always, EXCEPT, 1)
HOSTILE_TEST(fiq_exception_always, EXCEPT, 2)
HOSTILE_TEST(serror_exception_always, EXCEPT, 3)
HOSTILE_TEST(sync_exception_to_el2, EXCEPT, 4)
HOSTILE_TEST(irq_exception_to_el2, EXCEPT, 5)
HOSTILE_TEST(fiq_exception_to_el2, EXCEPT, 6)
HOSTILE_TEST(serror_exception_to_el2, EXCEPT, 7)
HOSTILE_TEST(mdcr, MDCR, ANY_EXCEPT)
HOSTILE_TEST(hcr, HCR, ANY_EXCEPT)
HOSTILE_TEST(single_step, DEBUG | MDCR | PSTATE, ANY_EXCEPT)
HOSTILE_TEST(timer_and_cntvoff, TIMER, ANY_EXCEPT)
HOSTILE_TEST(vcpu_id_and_mpidr, IDS | SYSREGS, ANY_EXCEPT)
HOSTILE_TEST(kvm_pointer, KVM | (variant->nr_vcpus == 1 ? WILD : 0), ANY_EXCEPT)
HOSTILE_TEST(memory_request, MEMREQS, ANY_EXCEPT)
HOSTILE_TEST(fault_information, FAULT, ANY_EXCEPT)
HOSTILE_TEST(flags, FLAGS, ANY_EXCEPT)
HOSTILE_TEST(list_registers, VGIC, ANY_EXCEPT)
HOSTILE_TEST(virtual_serrors, SERRORS, ANY_EXCEPT)
HOSTILE_TEST(all_but_flags, ALL & ~(INCREMENT | EXCEPT), ANY_EXCEPT)
HOSTILE_TEST(all_at_once, ALL, ANY_EXCEPT)

/* An instruction that the guest does execute. */
TEST_F_TIMEOUT(hostile, breakpoint, 3000)
{
	live_under(_metadata, self, variant->nr_vcpus, DEBUG | MDCR, ANY_EXCEPT,
		   SECRETS_GPA + pkvm_secrets_hvc);
}

/* ---- Single attacks ---- */

static void live_with_order(struct __test_metadata *_metadata, FIXTURE_DATA(hostile) * self,
			    int nr_vcpus, const char *order)
{
	if (strstr(order, " hvc ") && nr_vcpus == 1)
		SKIP(return, "one vCPU makes no call that leaves to the host");
	start(self, nr_vcpus);
	tell("attack", "order %s", order);
	vm_live(&self->vm);
	expect_untouched(_metadata, self);
	expect_blind(_metadata);
	EXPECT_LT(0, ask("attack", "order 0 done"));
	vm_destroy(&self->vm);
}

#define ORDER_TEST(name, order)								\
	TEST_F_TIMEOUT(hostile, name, 3000)						\
	{										\
		live_with_order(_metadata, self, variant->nr_vcpus, order);		\
	}

/* The instruction that faulted must be executed, not skipped. */
ORDER_TEST(skip_at_a_data_abort_on_memory, "-1 dabt 0 arch.iflags 0 2 1000")
ORDER_TEST(skip_at_an_interrupt, "-1 irq 0 arch.iflags 0 2 1000")
ORDER_TEST(skip_at_a_memory_request, "-1 memreq 0 arch.iflags 0 2 1000")
ORDER_TEST(skip_at_a_hypercall, "-1 hvc 0 arch.iflags 0 2 1000")
ORDER_TEST(wide_data_for_a_load, "-1 load 0 arch.ctxt.regs.regs 0 0xffffffffffffffff 1000")
ORDER_TEST(data_for_a_store, "-1 store 0 arch.ctxt.regs.regs 0 0xffffffffffffffff 1000")
ORDER_TEST(data_for_a_load_of_memory, "-1 dabt 0 arch.ctxt.regs.regs 0 0xffffffffffffffff 1000")
ORDER_TEST(result_of_a_memory_request, "-1 memreq 0 arch.ctxt.regs.regs 0 0 1000")
ORDER_TEST(ttbr0, "-1 any 0 arch.ctxt.sys_regs 0 0x80000000 100000")

/* Whatever the host says of a CPU_ON: the vCPU has started, or it has not. */
ORDER_TEST(cpu_on_is_said_to_succeed, "-1 hvc 0xc4000003 arch.ctxt.regs.regs 0 0 1000")
ORDER_TEST(cpu_on_is_said_to_fail, "-1 hvc 0xc4000003 arch.ctxt.regs.regs 0 -6 20")
ORDER_TEST(cpu_on_is_said_to_be_odd, "-1 hvc 0xc4000003 arch.ctxt.regs.regs 0 0x7fffffff1234 20")

static void live_with_completion(struct __test_metadata *_metadata, FIXTURE_DATA(hostile) * self,
				 const char *completion)
{
	tell("attack", "complete %s", completion);
	vm_live(&self->vm);
	expect_untouched(_metadata, self);
	EXPECT_LT(0, ask("attack", "complete 0 done"));
	/* Every time: the first answer that is no error stays. */
	EXPECT_EQ((u64)-EINVAL, ask("attack", "complete 0 ret"));
	vm_destroy(&self->vm);
}

#define COMPLETION_TEST(name, completion)						\
	TEST_F_TIMEOUT(hostile, name, 3000)						\
	{										\
		start(self, variant->nr_vcpus);						\
		live_with_completion(_metadata, self, completion);			\
	}

COMPLETION_TEST(completion_at_an_interrupt, "-1 irq -1 1 1000")
COMPLETION_TEST(completion_at_a_store, "-1 store -1 1 1000")
COMPLETION_TEST(completion_at_a_data_abort, "-1 dabt -1 1 1000")
COMPLETION_TEST(completion_of_more_than_was_asked_for, "-1 memreq -1 513 1000")

TEST_F_TIMEOUT(hostile, completion_on_the_wrong_vcpu, 3000)
{
	if (variant->nr_vcpus == 1)
		SKIP(return, "one vCPU");
	/* The last one is off: it never asked for anything. */
	vm_create(&self->vm, variant->nr_vcpus, variant->nr_vcpus - 1,
		  iterations(variant->nr_vcpus) | 1ULL << SECRETS_GUARD);
	live_with_completion(_metadata, self, "-1 memreq 3 1 1000");
}

/* ---- Entries that must be refused ---- */


/* ARM_EXCEPTION_IL or an error. */
/* An errno, ARM_EXCEPTION_IL or ARM_EXCEPTION_PKVM_OFF: what no entry returns. */
static bool is_refusal(u64 ret)
{
	return (s64)ret < 0 || ret == 3 || ret == 5;
}

static long enter_anew(int vcpu, u64 handle_xor, int idx)
{
	char name[48];
	static int nr;

	tell("attack", "enter %d %#llx %d", vcpu, (unsigned long long)handle_xor, idx);
	snprintf(name, sizeof(name), "enter done %d ret", ++nr);
	return ask("attack", name);
}

TEST_F_TIMEOUT(hostile, enter_by_force, 3000)
{
	int i;

	start(self, variant->nr_vcpus);
	vm_live(&self->vm);
	expect_untouched(_metadata, self);

	/* After SYSTEM_OFF: nobody, by any way. */
	for (i = 0; i < 4 * variant->nr_vcpus; i++) {
		EXPECT_TRUE(is_refusal(enter_anew(i % variant->nr_vcpus, 0, i % variant->nr_vcpus)))
			TH_LOG("vCPU %d entered after SYSTEM_OFF", i % variant->nr_vcpus);
	}
	EXPECT_TRUE(is_refusal(enter_anew(0, 1, 0)));
	EXPECT_TRUE(is_refusal(enter_anew(0, 0xffff, 0)));
	EXPECT_TRUE(is_refusal(enter_anew(0, 0, 77)));
	if (variant->nr_vcpus > 1)
		EXPECT_TRUE(is_refusal(enter_anew(0, 0, 1)));
	EXPECT_EQ(0, self->vm.reports[SECRETS_BAD_START]);
	vm_destroy(&self->vm);
}

static void *live_thread(void *vm)
{
	vm_live(vm);
	return NULL;
}

/* Secondaries go off all the time: entering one meanwhile does not start it. */
TEST_F_TIMEOUT(hostile, enter_a_vcpu_that_is_off, 3000)
{
	pthread_t thread;
	u64 nr = 0;

	if (variant->nr_vcpus == 1)
		SKIP(return, "one vCPU");
	start(self, variant->nr_vcpus);
	pthread_create(&thread, NULL, live_thread, &self->vm);
	/* The first that is entered starts the VM, whichever it is. */
	while (!__atomic_load_n(&self->vm.reports[SECRETS_READY], __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&self->vm.over, __ATOMIC_ACQUIRE))
		usleep(500);
	while (!__atomic_load_n(&self->vm.over, __ATOMIC_ACQUIRE)) {
		tell("attack", "enter %d 0 %d", 1 + (int)(nr % 3), 1 + (int)(nr % 3));
		nr++;
		usleep(500);
	}
	pthread_join(thread, NULL);
	TH_LOG("%llu times", (unsigned long long)nr);
	expect_untouched(_metadata, self);
	vm_destroy(&self->vm);
}

/* ---- The attacker's eyes ---- */

/* What the guest itself shows is found, and what stands somewhere in memory. */
TEST_F_TIMEOUT(hostile, sees_what_it_is_shown, 3000)
{
	static volatile u64 seen;

	if (variant->nr_vcpus > 1)
		SKIP(return, "one vCPU is enough");
	vm_create(&self->vm, 1, 1, 100 | 1ULL << SECRETS_GUARD |
		  (u64)(pkvm_secrets_leak + 1) << SECRETS_SITE_SHIFT);
	vm_live(&self->vm);
	expect_untouched(_metadata, self);
	EXPECT_LE(100, ask("stats", "secret"));
	EXPECT_LE(100, ask("stats", "secret arch.ctxt.regs.regs[0] times"));
	vm_destroy(&self->vm);

	tell("stats", "0");
	seen = (~SECRETS_ANTI_TAG & SECRETS_MASK) | 0x123;
	EXPECT_LT(0, ask("scan", "secret"));
	EXPECT_NE(0, seen);
	seen = 0;
}

/* ---- All memory ---- */

TEST_F_TIMEOUT(hostile, all_memory, 3000)
{
	pthread_t thread;

	start(self, variant->nr_vcpus);
	pthread_create(&thread, NULL, live_thread, &self->vm);
	usleep(200000);
	EXPECT_EQ(0, ask("scan", "secret"));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, ask("scan", "secret"));
	expect_untouched(_metadata, self);
	vm_destroy(&self->vm);
	/* What it owned is zero when it comes back. */
	EXPECT_EQ(0, ask("scan", "secret"));
	if (ask("stats", "secret"))
		show("stats", 40);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--exits")) {
		exits_wanted = strtoul(argv[2], NULL, 0);
		argv[2] = argv[0];
		argv += 2;
		argc -= 2;
	}
	page = getpagesize();
	pkvm_require_gmem();
	if (access(HOSTILE "/target", W_OK))
		ksft_exit_skip("the kernel has no CONFIG_PKVM_HOSTILE_HOST\n");
	return test_harness_run(argc, argv);
}
