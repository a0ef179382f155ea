// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMM of the guest that keeps secrets, and what it tells the hostile host: see
 * pkvm_hostile_vm.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "pkvm_hostile_vm.h"

#define IMAGE_SIZE	((u64)1 << SECRETS_IMAGE_SHIFT)

/* ---- The VM ---- */

static void xioctl(int fd, unsigned long cmd, void *arg, const char *what)
{
	TEST_ASSERT(ioctl(fd, cmd, arg) >= 0, "%s: errno %d", what, errno);
}

static void copy_image(struct secrets_vm *vm)
{
	int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		char *image = vm->image + i * IMAGE_SIZE;

		memcpy(image, pkvm_secrets_start, pkvm_secrets_end - pkvm_secrets_start);
		__builtin___clear_cache(image, image + IMAGE_SIZE);
	}
}

static void add_gmem(struct secrets_vm *vm)
{
	u64 size = SECRETS_MAX_VCPUS * IMAGE_SIZE;

	vm->image_fd = gmem_create(vm->fd, size, GUEST_MEMFD_FLAG_MMAP |
				   GUEST_MEMFD_FLAG_INIT_SHARED);
	vm->touch_fd = gmem_create(vm->fd, size, GUEST_MEMFD_FLAG_MMAP);
	TEST_ASSERT(vm->image_fd >= 0 && vm->touch_fd >= 0, "guest_memfd");
	vm->image = gmem_map(vm->image_fd, size);
	copy_image(vm);
	TEST_ASSERT(!gmem_set_attr(vm->image_fd, 0, size, GMEM_PRIVATE), "to private");
	TEST_ASSERT(!gmem_set_slot(vm->fd, 0, SECRETS_GPA, size, NULL, vm->image_fd, 0), "slot 0");
	TEST_ASSERT(!gmem_set_slot(vm->fd, 1, SECRETS_TOUCH_GPA, size, NULL, vm->touch_fd, 0),
		    "slot 1");
}

/* What everybody may read: one piece, of which the second half is the pages to be touched. */
static void add_anonymous(struct secrets_vm *vm)
{
	u64 size = SECRETS_MAX_VCPUS * IMAGE_SIZE;

	vm->image_fd = -1;
	vm->touch_fd = -1;
	vm->image = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	TEST_ASSERT(vm->image != MAP_FAILED, "mmap");
	copy_image(vm);
	TEST_ASSERT(!gmem_set_slot(vm->fd, 0, SECRETS_GPA, size, vm->image, -1, 0), "slot 0");
	TEST_ASSERT(!gmem_set_slot(vm->fd, 1, SECRETS_TOUCH_GPA, size, vm->image + size, -1, 0),
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

void secrets_set_core(struct secrets_vcpu *vcpu, u64 reg, u64 value)
{
	struct kvm_one_reg one = {
		KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | reg, (u64)&value
	};

	xioctl(vcpu->fd, KVM_SET_ONE_REG, &one, "register");
}

void secrets_init_vcpu(struct secrets_vcpu *vcpu)
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

static void add_vcpu(struct secrets_vm *vm, int id)
{
	struct secrets_vcpu *vcpu = &vm->vcpu[id];

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	TEST_ASSERT(vcpu->fd >= 0, "vCPU %d: errno %d", id, errno);
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	TEST_ASSERT(vcpu->run != MAP_FAILED, "mmap of a vCPU");
}

void secrets_vm_prepare(struct secrets_vm *vm, u32 flags, int nr_vcpus, int nr_used)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), i;

	memset(vm, 0, sizeof(*vm));
	vm->nr_vcpus = nr_vcpus;
	vm->nr_used = nr_used;
	vm->seconds = 240;
	vm->run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	close(kvm);
	vm->fd = pkvm_vm_open(flags);
	TEST_ASSERT(vm->fd >= 0, "KVM_CREATE_VM: %d", vm->fd);
	if (flags & PKVM_VM_PROTECTED)
		add_gmem(vm);
	else
		add_anonymous(vm);
	for (i = 0; i < nr_vcpus; i++)
		add_vcpu(vm, i);
	add_vgic(vm);
}

void secrets_vm_arguments(struct secrets_vm *vm, u64 context)
{
	secrets_set_core(&vm->vcpu[0], KVM_REG_ARM_CORE_REG(regs.pc), SECRETS_GPA);
	secrets_set_core(&vm->vcpu[0], KVM_REG_ARM_CORE_REG(regs.regs[0]),
			 context | (u64)vm->nr_used << 32);
}

void secrets_vm_create(struct secrets_vm *vm, u32 flags, int nr_vcpus, int nr_used, u64 context)
{
	int i;

	secrets_vm_prepare(vm, flags, nr_vcpus, nr_used);
	for (i = 0; i < nr_vcpus; i++)
		secrets_init_vcpu(&vm->vcpu[i]);
	secrets_vm_arguments(vm, context);
}

void secrets_vm_destroy(struct secrets_vm *vm)
{
	int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		munmap(vm->vcpu[i].run, vm->run_size);
		close(vm->vcpu[i].fd);
	}
	if (vm->image_fd < 0) {
		munmap(vm->image, 2 * SECRETS_MAX_VCPUS * IMAGE_SIZE);
	} else {
		munmap(vm->image, SECRETS_MAX_VCPUS * IMAGE_SIZE);
		close(vm->image_fd);
		close(vm->touch_fd);
	}
	close(vm->fd);
}

/* ---- The host ---- */

void hostile_tell(const char *file, const char *format, ...)
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

u64 hostile_ask(const char *file, const char *name)
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
	if (kind == SECRETS_READY) {
		vm->ids = (u32)data;
		hostile_tell("smash", "%s", vm->smash[0] ? vm->smash : "0");
	}
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

void secrets_vm_live(struct secrets_vm *vm)
{
	struct sigaction sa = { .sa_handler = be_woken };
	u64 end = gmem_now_us() + vm->seconds * 1000000ULL;
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

void hostile_show(const char *file, int lines)
{
	static char text[1 << 16];
	char path[96], *line;

	snprintf(path, sizeof(path), HOSTILE "/%s", file);
	gmem_read_file(path, text, sizeof(text));
	for (line = strtok(text, "\n"); line && lines--; line = strtok(NULL, "\n"))
		fprintf(stderr, "# %s\n", line);
}

u64 hostile_all_exits(void)
{
	static const char *const classes[] = {
		"irq", "serror", "wfx", "hvc", "sys", "iabt", "dabt", "load", "store", "memreq",
	};
	char name[32];
	u64 sum = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(classes); i++) {
		snprintf(name, sizeof(name), "exits-%s", classes[i]);
		sum += hostile_ask("stats", name);
	}
	return sum;
}
