// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VM itself, and how it stops.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "common/array_size.h"
#include "common/exit_codes.h"
#include "common/layout.h"
#include "common/say.h"
#include "vmm/options.h"
#include "vmm/vm.h"

/*
 * Capabilities are asked of /dev/kvm only: on the fd of a protected VM many answer 0
 * although they work.
 */
static int kvm_cap(int kvm_fd, long cap)
{
	int ret = ioctl(kvm_fd, KVM_CHECK_EXTENSION, cap);

	return ret > 0 ? ret : 0;
}

static int vm_check_host(struct vm *vm)
{
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0) {
		if (errno == EACCES || errno == EPERM)
			say("/dev/kvm: %s: run as root, or as a member of the group that owns it",
			    strerror(errno));
		else
			say("/dev/kvm: %s: this host has no KVM; it needs an arm64 kernel with CONFIG_KVM, started at EL2",
			    strerror(errno));
		return PVM_EXIT_HOST;
	}

	if (ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		say("/dev/kvm does not speak KVM's API version %d", KVM_API_VERSION);
		return PVM_EXIT_HOST;
	}

	if (!vm->opt->anon && !kvm_cap(vm->kvm_fd, KVM_CAP_GUEST_MEMFD)) {
		say("this kernel has no guest_memfd (KVM_CAP_GUEST_MEMFD): use another kernel, or --anon");
		return PVM_EXIT_HOST;
	}

	if (vm->opt->protect && !vm->opt->anon &&
	    !(kvm_cap(vm->kvm_fd, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) &
	      KVM_MEMORY_ATTRIBUTE_PRIVATE)) {
		say("--protected: this kernel's guest_memfd has no private pages (KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES), or the host does not run pKVM (kvm-arm.mode=protected): start such a kernel, or use --anon or --unprotected");
		return PVM_EXIT_HOST;
	}
	return 0;
}

/* Wide enough for RAM; a smaller space needs fewer page tables. */
static int vm_ipa_bits(struct vm *vm)
{
	int limit = kvm_cap(vm->kvm_fd, KVM_CAP_ARM_VM_IPA_SIZE);
	uint64_t end = PVM_RAM_BASE + vm->opt->mem;
	int bits = 32;

	while (bits < 63 && end > 1ULL << bits)
		bits++;
	if (bits > (limit ? limit : 40)) {
		say("--mem: this CPU gives a guest only %d bits of address: use less memory",
		    limit ? limit : 40);
		return -1;
	}
	return bits;
}

/*
 * Nothing is there yet: from here on, whatever destroys or closes a part of the VM may be
 * called, and takes what its counterpart has made of it.
 */
void vm_prepare(struct vm *vm, const struct pvm_options *opt)
{
	memset(vm, 0, sizeof(*vm));
	vm->opt = opt;
	vm->kvm_fd = vm->fd = vm->gic_fd = vm->gmem_fd = vm->stop_fd = -1;
	vm->registers_fd = -1;
	vm->kernel.fd = vm->initrd.fd = -1;
	for (unsigned int i = 0; i < ARRAY_SIZE(vm->vcpu); i++)
		vm->vcpu[i].fd = vm->vcpu[i].stats_fd = -1;
	pthread_mutex_init(&vm->stop_lock, NULL);
}

int vm_create(struct vm *vm)
{
	const struct pvm_options *opt = vm->opt;
	unsigned long type;
	int bits, max, ret;

	vm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->stop_fd < 0) {
		say("eventfd: %s", strerror(errno));
		return PVM_EXIT_FAIL;
	}

	ret = vm_check_host(vm);
	if (ret)
		return ret;

	max = kvm_cap(vm->kvm_fd, KVM_CAP_MAX_VCPUS);
	if (max && opt->cpus > (unsigned int)max) {
		say("--cpus: this host gives a guest at most %d vCPUs", max);
		return PVM_EXIT_USAGE;
	}

	bits = vm_ipa_bits(vm);
	if (bits < 0)
		return PVM_EXIT_USAGE;
	type = KVM_VM_TYPE_ARM_IPA_SIZE((unsigned long)bits);
	if (opt->protect)
		type |= KVM_VM_TYPE_ARM_PROTECTED;

	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, type);
	if (vm->fd < 0) {
		if (opt->protect && errno == EINVAL)
			say("--protected: this host does not run pKVM: start it with kvm-arm.mode=protected on its kernel command line, or use --unprotected");
		else
			say("KVM_CREATE_VM: %s", strerror(errno));
		return opt->protect && errno == EINVAL ? PVM_EXIT_HOST : PVM_EXIT_FAIL;
	}
	return 0;
}

int vm_irq_line(struct vm *vm, unsigned int spi, bool level)
{
	struct kvm_irq_level irq = {
		.irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | (32 + spi),
		.level = level,
	};

	return ioctl(vm->fd, KVM_IRQ_LINE, &irq) ? -errno : 0;
}

/* A write of 4 bytes to gpa, whatever they are, is an event on fd, and no exit to us. */
int vm_ioeventfd(struct vm *vm, uint64_t gpa, int fd)
{
	struct kvm_ioeventfd io = { .addr = gpa, .len = 4, .fd = fd };

	return ioctl(vm->fd, KVM_IOEVENTFD, &io) ? -errno : 0;
}

/* From any thread, any number of times: the first code counts. */
void vm_stop(struct vm *vm, int code)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&vm->stop_lock);
	if (!vm->stopping) {
		vm->stop_code = code;
		__atomic_store_n(&vm->stopping, true, __ATOMIC_SEQ_CST);
	}
	pthread_mutex_unlock(&vm->stop_lock);
	write_all(vm->stop_fd, &one, sizeof(one));
}

/* What vm_create() has made. */
void vm_destroy(struct vm *vm)
{
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
	if (vm->stop_fd >= 0)
		close(vm->stop_fd);
	pthread_mutex_destroy(&vm->stop_lock);
}
