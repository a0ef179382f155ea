// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that does what the test tells it to: the host's side of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "gic_v3.h"
#include "pkvm_guest.h"

#define CORE_REG(name)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
			 KVM_REG_ARM_CORE_REG(name))

static int kvm_dev(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	return fd;
}

int pkvm_vm_open(u32 flags)
{
	unsigned long type = 0;
	int fd;

	if (flags & PKVM_VM_PROTECTED)
		type |= KVM_VM_TYPE_ARM_PROTECTED;

	fd = ioctl(kvm_dev(), KVM_CREATE_VM, type);
	return fd < 0 ? -errno : fd;
}

bool pkvm_supported(void)
{
	int fd = pkvm_vm_open(PKVM_VM_PROTECTED);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

bool pkvm_gmem_supported(void)
{
	bool ret;
	int fd = pkvm_vm_open(PKVM_VM_PROTECTED);

	if (fd < 0)
		return false;
	ret = gmem_check_cap(fd, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) ==
	      GMEM_PRIVATE;
	close(fd);
	return ret;
}

void pkvm_require_gmem(void)
{
	__TEST_REQUIRE(pkvm_supported(), "no protected VMs here: not a pKVM host");
	__TEST_REQUIRE(pkvm_gmem_supported(),
		       "no KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES for protected VMs");
}

int pkvm_slot_gmem(struct pkvm_vm *vm, u32 slot, u64 gpa, u64 size, int fd,
		   u64 offset)
{
	/* No hva: nothing may need one. */
	return gmem_set_slot(vm->fd, slot, gpa, size, NULL, fd, offset);
}

int pkvm_slot_anon(struct pkvm_vm *vm, u32 slot, u64 gpa, u64 size, void *mem)
{
	return gmem_set_slot(vm->fd, slot, gpa, size, mem, -1, 0);
}

static void add_code(struct pkvm_vm *vm, u32 flags)
{
	size_t page = getpagesize();
	int ret;

	TEST_ASSERT(pkvm_payload_end - pkvm_payload_start <= page,
		    "the payload is larger than a page");

	vm->code_fd = -1;
	if (flags & PKVM_VM_ANON_CODE) {
		vm->code = mmap(NULL, page, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		TEST_ASSERT(vm->code != MAP_FAILED, "mmap: errno %d", errno);
	} else {
		vm->code_fd = gmem_create(vm->fd, page, GUEST_MEMFD_FLAG_MMAP |
					  GUEST_MEMFD_FLAG_INIT_SHARED);
		TEST_ASSERT(vm->code_fd >= 0, "guest_memfd for the payload: %d",
			    vm->code_fd);
		vm->code = gmem_map(vm->code_fd, page);
	}

	memcpy(vm->code, pkvm_payload_start, pkvm_payload_end - pkvm_payload_start);
	__builtin___clear_cache(vm->code, vm->code + page);

	if (vm->code_fd < 0) {
		ret = pkvm_slot_anon(vm, PKVM_CODE_SLOT, PKVM_CODE_GPA, page, vm->code);
	} else {
		if (flags & PKVM_VM_PROTECTED) {
			ret = gmem_set_attr(vm->code_fd, 0, page, GMEM_PRIVATE);
			TEST_ASSERT(!ret, "payload to private: %d", ret);
		}
		ret = pkvm_slot_gmem(vm, PKVM_CODE_SLOT, PKVM_CODE_GPA, page,
				     vm->code_fd, 0);
	}
	TEST_ASSERT(!ret, "slot of the payload: %d", ret);
}

static void write_gic(int fd, u32 group, u64 where, u32 val)
{
	struct kvm_device_attr attr = { .group = group, .attr = where, .addr = (u64)&val };

	TEST_ASSERT(!ioctl(fd, KVM_SET_DEVICE_ATTR, &attr), "GICv3, %#lx: errno %d",
		    (unsigned long)where, errno);
}

/* All that a guest's driver would set in distributor and redistributors, for one PPI. */
static void enable_skip_irq(struct pkvm_vm *vm, int fd)
{
	const u64 sgi_base = 0x10000;

	write_gic(fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, GICD_CTLR,
		  GICD_CTLR_ARE_NS | GICD_CTLR_ENABLE_G1A);
	for (u64 id = 0; id < (u64)vm->nr_vcpus; id++) {
		write_gic(fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
			  id << 32 | (sgi_base + GICR_IGROUPR0), 1U << PKVM_SKIP_INTID);
		write_gic(fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
			  id << 32 | (sgi_base + GICR_ISENABLER0), 1U << PKVM_SKIP_INTID);
	}
}

/* After the vCPUs' init: registers of a redistributor are found by MPIDR. */
static void add_vgic(struct pkvm_vm *vm)
{
	struct kvm_create_device dev = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	u64 dist = 0x8000000, redist = 0x80a0000;
	struct kvm_device_attr attr = { .group = KVM_DEV_ARM_VGIC_GRP_ADDR };
	int ret;

	ret = ioctl(vm->fd, KVM_CREATE_DEVICE, &dev);
	TEST_ASSERT(!ret, "GICv3: errno %d", errno);

	attr.attr = KVM_VGIC_V3_ADDR_TYPE_DIST;
	attr.addr = (u64)&dist;
	ret = ioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr);
	TEST_ASSERT(!ret, "GICv3 distributor: errno %d", errno);

	attr.attr = KVM_VGIC_V3_ADDR_TYPE_REDIST;
	attr.addr = (u64)&redist;
	ret = ioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr);
	TEST_ASSERT(!ret, "GICv3 redistributor: errno %d", errno);

	attr.group = KVM_DEV_ARM_VGIC_GRP_CTRL;
	attr.attr = KVM_DEV_ARM_VGIC_CTRL_INIT;
	ret = ioctl(dev.fd, KVM_SET_DEVICE_ATTR, &attr);
	TEST_ASSERT(!ret, "GICv3 init: errno %d", errno);
	enable_skip_irq(vm, dev.fd);
	close(dev.fd);
}

static void add_vcpu(struct pkvm_vm *vm, int id)
{
	struct pkvm_vcpu *vcpu = &vm->vcpu[id];

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);
	TEST_ASSERT(vcpu->fd >= 0, "vCPU %d: errno %d", id, errno);
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	TEST_ASSERT(vcpu->run != MAP_FAILED, "mmap of a vCPU: errno %d", errno);
}

/* Shorter vectors than KVM's: a subset of its lengths, all those up to the longest. */
static void limit_sve(struct pkvm_vcpu *vcpu, unsigned int max_vq)
{
	u64 vls[KVM_ARM64_SVE_VLS_WORDS];
	struct kvm_one_reg reg = { KVM_REG_ARM64_SVE_VLS, (u64)vls };

	TEST_ASSERT(!ioctl(vcpu->fd, KVM_GET_ONE_REG, &reg), "vector lengths: errno %d", errno);
	vls[0] &= ~0ULL >> (64 - max_vq);
	TEST_ASSERT(!ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg), "vectors of %u bytes: errno %d",
		    16 * max_vq, errno);
}

static void init_sve(struct pkvm_vcpu *vcpu)
{
	unsigned int max_vq = vcpu->vm->flags >> PKVM_VM_SVE_VQ_SHIFT;
	int feature = KVM_ARM_VCPU_SVE;

	if (max_vq)
		limit_sve(vcpu, max_vq);
	TEST_ASSERT(!ioctl(vcpu->fd, KVM_ARM_VCPU_FINALIZE, &feature), "finalize SVE: errno %d",
		    errno);
}

/* One vCPU is to run by itself. What the PC of the others is, their CPU_ON decides. */
static void init_vcpu(struct pkvm_vcpu *vcpu)
{
	u64 pc = PKVM_CODE_GPA;
	struct kvm_one_reg reg = { CORE_REG(regs.pc), (u64)&pc };
	struct kvm_vcpu_init init = {};

	TEST_ASSERT(!ioctl(vcpu->vm->fd, KVM_ARM_PREFERRED_TARGET, &init),
		    "preferred target: errno %d", errno);
	init.features[0] |= 1U << KVM_ARM_VCPU_PSCI_0_2;
	if (vcpu->id)
		init.features[0] |= 1U << KVM_ARM_VCPU_POWER_OFF;
	if (vcpu->vm->flags & PKVM_VM_SVE)
		init.features[0] |= 1U << KVM_ARM_VCPU_SVE;
	TEST_ASSERT(!ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init),
		    "vCPU init: errno %d", errno);
	if (vcpu->vm->flags & PKVM_VM_SVE)
		init_sve(vcpu);
	TEST_ASSERT(!ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg), "pc: errno %d", errno);
}

void pkvm_vm_create(struct pkvm_vm *vm, int nr_vcpus, u32 flags)
{
	int i;

	TEST_ASSERT(nr_vcpus <= PKVM_MAX_VCPUS, "too many vCPUs");

	memset(vm, 0, sizeof(*vm));
	vm->fd = pkvm_vm_open(flags);
	TEST_ASSERT(vm->fd >= 0, "KVM_CREATE_VM: %d", vm->fd);
	vm->run_size = ioctl(kvm_dev(), KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->flags = flags;
	vm->next_on = 1;
	vm->started = flags & PKVM_VM_MANUAL_START;
	pthread_mutex_init(&vm->lock, NULL);

	add_code(vm, flags);

	/* Before the first run, all of them: EL2 takes their number then. */
	for (; vm->nr_vcpus < nr_vcpus; vm->nr_vcpus++)
		add_vcpu(vm, vm->nr_vcpus);
	for (i = 0; i < nr_vcpus; i++)
		init_vcpu(&vm->vcpu[i]);
	if (flags & PKVM_VM_VGIC)
		add_vgic(vm);
}

void pkvm_vm_close_fd(struct pkvm_vm *vm)
{
	if (vm->fd >= 0)
		close(vm->fd);
	vm->fd = -1;
}

void pkvm_vm_close_vcpus(struct pkvm_vm *vm)
{
	int i;

	for (i = 0; i < vm->nr_vcpus; i++) {
		munmap(vm->vcpu[i].run, vm->run_size);
		close(vm->vcpu[i].fd);
	}
	vm->nr_vcpus = 0;
}

void pkvm_vm_close_code(struct pkvm_vm *vm)
{
	if (vm->code)
		munmap(vm->code, getpagesize());
	vm->code = NULL;
	if (vm->code_fd >= 0)
		close(vm->code_fd);
	vm->code_fd = -1;
}

void pkvm_vm_destroy(struct pkvm_vm *vm)
{
	pkvm_vm_close_vcpus(vm);
	pkvm_vm_close_fd(vm);
	pkvm_vm_close_code(vm);
}

int pkvm_vm_create_gmem(struct pkvm_vm *vm, int nr_vcpus, u64 gpa, u64 size, u64 flags,
			char **mem)
{
	int fd, ret;

	pkvm_vm_create(vm, nr_vcpus, PKVM_VM_PROTECTED);
	fd = gmem_create(vm->fd, size, flags);
	TEST_ASSERT(fd >= 0, "guest_memfd of %#lx bytes: %d", (unsigned long)size, fd);
	*mem = gmem_map(fd, size);
	ret = pkvm_slot_gmem(vm, 0, gpa, size, fd, 0);
	TEST_ASSERT(!ret, "slot of %#lx bytes: %d", (unsigned long)size, ret);
	return fd;
}

void pkvm_vm_destroy_gmem(struct pkvm_vm *vm, int fd, char *mem, u64 size)
{
	pkvm_vm_destroy(vm);
	munmap(mem, size);
	close(fd);
}

static void set_skip_line(struct pkvm_vcpu *vcpu, u32 level)
{
	struct kvm_irq_level irq = {
		.irq = KVM_ARM_IRQ_TYPE_PPI << KVM_ARM_IRQ_TYPE_SHIFT |
		       vcpu->id << KVM_ARM_IRQ_VCPU_SHIFT | PKVM_SKIP_INTID,
		.level = level,
	};

	TEST_ASSERT(!ioctl(vcpu->vm->fd, KVM_IRQ_LINE, &irq), "interrupt: errno %d", errno);
}

/* A vCPU that turns itself off comes back to where it began, and has no command then. */
static u64 take_op(struct pkvm_vcpu *vcpu)
{
	u64 op = vcpu->op;

	if ((op & 0xff) == PKVM_OP_CPU_OFF)
		vcpu->op = PKVM_OP_NOP | 1 << 16;
	return op;
}

/* Serve one access to the mailbox. 1: the command is finished. */
static int mailbox(struct pkvm_vcpu *vcpu, int *ret)
{
	struct kvm_run *run = vcpu->run;
	u64 reg = run->mmio.phys_addr - PKVM_MBOX_GPA;
	u64 data;

	if (reg >= 0x1000 || run->mmio.len != sizeof(data)) {
		*ret = PKVM_STOP_OTHER;
		return 1;
	}

	if (!run->mmio.is_write) {
		data = 0;
		if (reg == PKVM_MBOX_OP)
			data = take_op(vcpu);
		else if (reg >= PKVM_MBOX_ARG(0) && reg < PKVM_MBOX_ARG(PKVM_NR_ARGS))
			data = vcpu->args[(reg - PKVM_MBOX_ARG(0)) / 8];
		memcpy(run->mmio.data, &data, sizeof(data));
		return 0;
	}

	memcpy(&data, run->mmio.data, sizeof(data));
	if (reg >= PKVM_MBOX_RES(0) && reg < PKVM_MBOX_RES(PKVM_NR_RES))
		vcpu->res[(reg - PKVM_MBOX_RES(0)) / 8] = data;

	switch (reg) {
	case PKVM_MBOX_RES(0):
		*ret = 0;
		return 1;
	case PKVM_MBOX_ELR:
		vcpu->elr = data;
		return 0;
	case PKVM_MBOX_FAR:
		vcpu->far = data;
		return 0;
	case PKVM_MBOX_LEFT:
		vcpu->left = data;
		set_skip_line(vcpu, 0);
		return 0;
	case PKVM_MBOX_ESR:
		vcpu->esr = data;
		*ret = PKVM_STOP_EXCEPTION;
		return 1;
	default:
		return 0;
	}
}

static int go_on(struct pkvm_vcpu *vcpu)
{
	int ret;

	for (;;) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR && !vcpu->run->immediate_exit)
				continue;
			return -errno;
		}

		switch (vcpu->run->exit_reason) {
		case KVM_EXIT_MMIO:
			if (mailbox(vcpu, &ret))
				return ret;
			break;
		case KVM_EXIT_SYSTEM_EVENT:
			return PKVM_STOP_OFF;
		default:
			return PKVM_STOP_OTHER;
		}
	}
}

static void set_call(struct pkvm_vcpu *vcpu, u64 op, const u64 *args, int nr_args, int nr_res)
{
	vcpu->op = op | nr_args << 8 | nr_res << 16;
	memset(vcpu->res, 0, sizeof(vcpu->res));
	if (nr_args)
		memcpy(vcpu->args, args, nr_args * sizeof(*args));
	vcpu->esr = vcpu->far = vcpu->elr = 0;
}

/*
 * vCPU 0 turns the others on. What it is asked for itself is in vm->vcpu[0]: these calls
 * come before that. One that KVM_RUN ended with an error is made again as it was.
 */
static int turn_on_others(struct pkvm_vm *vm)
{
	struct pkvm_vcpu first = vm->vcpu[0];
	int ret;

	for (; vm->next_on < vm->nr_vcpus; vm->next_on++) {
		u64 args[] = { PKVM_HVC_CPU_ON, vm->next_on, PKVM_CODE_GPA, 0 };

		set_call(&first, PKVM_OP_HVC, args, 4, 1);
		ret = go_on(&first);
		if (ret)
			return ret;
		TEST_ASSERT(!first.res[0], "CPU_ON of vCPU %d: %ld", vm->next_on,
			    (long)first.res[0]);
	}
	return 0;
}

/* Until it is done nobody runs vCPU 0, so that any thread can. */
static int start_vm(struct pkvm_vm *vm)
{
	int ret = 0;

	if (__atomic_load_n(&vm->started, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&vm->lock);
	if (!vm->started)
		ret = turn_on_others(vm);
	if (!ret)
		__atomic_store_n(&vm->started, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int pkvm_vcpu_resume(struct pkvm_vcpu *vcpu)
{
	return start_vm(vcpu->vm) ?: go_on(vcpu);
}

int pkvm_vcpu_call(struct pkvm_vcpu *vcpu, u64 op, const u64 *args, int nr_args,
		   int nr_res)
{
	set_call(vcpu, op, args, nr_args, nr_res);
	return pkvm_vcpu_resume(vcpu);
}

int pkvm_vcpu_batch(struct pkvm_vcpu *vcpu, u64 gpa, u64 nr)
{
	u64 args[] = { gpa, nr, vcpu->vm->flags & PKVM_VM_VGIC };

	return pkvm_vcpu_call(vcpu, PKVM_OP_BATCH, args, 3, 1);
}

int pkvm_vcpu_skip(struct pkvm_vcpu *vcpu)
{
	TEST_ASSERT(vcpu->vm->flags & PKVM_VM_VGIC, "no interrupts without a GIC");

	vcpu->left = 0;
	set_skip_line(vcpu, 1);
	return pkvm_vcpu_resume(vcpu);
}

bool pkvm_fault_is(const struct pkvm_vcpu *vcpu, u64 flags, u64 gpa, u64 size)
{
	const struct kvm_run *run = vcpu->run;

	if (run->exit_reason == KVM_EXIT_MEMORY_FAULT &&
	    run->memory_fault.flags == flags && run->memory_fault.gpa == gpa &&
	    run->memory_fault.size == size)
		return true;

	fprintf(stderr, "# exit %u, memory fault flags %#llx gpa %#llx size %#llx\n",
		run->exit_reason, (unsigned long long)run->memory_fault.flags,
		(unsigned long long)run->memory_fault.gpa,
		(unsigned long long)run->memory_fault.size);
	return false;
}

int pkvm_vcpu_handle(struct pkvm_vcpu *vcpu, int ret, int fd, u64 gpa_base)
{
	struct kvm_run *run = vcpu->run;

	while (ret == -EFAULT && run->exit_reason == KVM_EXIT_MEMORY_FAULT &&
	       run->memory_fault.flags == KVM_MEMORY_EXIT_FLAG_PRIVATE) {
		int err = gmem_set_attr(fd, run->memory_fault.gpa - gpa_base,
					run->memory_fault.size, GMEM_PRIVATE);

		/* Somebody else's short reference goes away by itself. */
		if (err && err != -EAGAIN)
			return err;
		vcpu->nr_faults++;
		ret = pkvm_vcpu_resume(vcpu);
	}
	return ret;
}

/* A command that the test knows to be possible. */
static void must_call(struct pkvm_vcpu *vcpu, u64 op, const u64 *args, int nr_args,
		      int nr_res)
{
	int ret = pkvm_vcpu_call(vcpu, op, args, nr_args, nr_res);

	TEST_ASSERT(!ret, "guest op %lu(%#lx, %#lx): %d, exit %u, esr %#lx far %#lx",
		    (unsigned long)op, nr_args ? (unsigned long)args[0] : 0,
		    nr_args > 1 ? (unsigned long)args[1] : 0, ret,
		    vcpu->run->exit_reason, (unsigned long)vcpu->esr,
		    (unsigned long)vcpu->far);
}

int __guest_read64(struct pkvm_vcpu *vcpu, u64 gpa, u64 *val)
{
	int ret = pkvm_vcpu_call(vcpu, PKVM_OP_READ64, &gpa, 1, 1);

	*val = vcpu->res[0];
	return ret;
}

int __guest_write64(struct pkvm_vcpu *vcpu, u64 gpa, u64 val)
{
	u64 args[] = { gpa, val };

	return pkvm_vcpu_call(vcpu, PKVM_OP_WRITE64, args, 2, 1);
}

u64 guest_read64(struct pkvm_vcpu *vcpu, u64 gpa)
{
	must_call(vcpu, PKVM_OP_READ64, &gpa, 1, 1);
	return vcpu->res[0];
}

void guest_write64(struct pkvm_vcpu *vcpu, u64 gpa, u64 val)
{
	u64 args[] = { gpa, val };

	must_call(vcpu, PKVM_OP_WRITE64, args, 2, 1);
}

u64 guest_exec(struct pkvm_vcpu *vcpu, u64 gpa)
{
	must_call(vcpu, PKVM_OP_EXEC, &gpa, 1, 1);
	return vcpu->res[0];
}

void guest_fill(struct pkvm_vcpu *vcpu, u64 gpa, u64 count, u64 val, u64 step,
		u64 stride)
{
	u64 args[] = { gpa, count, val, step, stride };

	must_call(vcpu, PKVM_OP_FILL, args, 5, 1);
}

u64 guest_check(struct pkvm_vcpu *vcpu, u64 gpa, u64 count, u64 val, u64 step,
		u64 stride)
{
	u64 args[] = { gpa, count, val, step, stride };

	must_call(vcpu, PKVM_OP_CHECK, args, 5, 3);
	if (vcpu->res[0])
		fprintf(stderr, "# guest: %lu mismatches, the last at %#lx: %#lx\n",
			(unsigned long)vcpu->res[0], (unsigned long)vcpu->res[1],
			(unsigned long)vcpu->res[2]);
	return vcpu->res[0];
}

int guest_off(struct pkvm_vcpu *vcpu)
{
	return pkvm_vcpu_call(vcpu, PKVM_OP_OFF, NULL, 0, 1);
}

int __guest_hvc(struct pkvm_vcpu *vcpu, u64 func, u64 a1, u64 a2, u64 a3)
{
	u64 args[] = { func, a1, a2, a3 };

	return pkvm_vcpu_call(vcpu, PKVM_OP_HVC, args, 4, 4);
}

s64 guest_hvc(struct pkvm_vcpu *vcpu, u64 func, u64 a1, u64 a2, u64 a3,
	      u64 *done)
{
	u64 args[] = { func, a1, a2, a3 };

	must_call(vcpu, PKVM_OP_HVC, args, 4, 4);
	if (done)
		*done = vcpu->res[1];
	return vcpu->res[0];
}

s64 guest_share(struct pkvm_vcpu *vcpu, u64 gpa, u64 count, u64 *done)
{
	return guest_hvc(vcpu, PKVM_HVC_SHARE, gpa, count, 0, done);
}

s64 guest_unshare(struct pkvm_vcpu *vcpu, u64 gpa, u64 count, u64 *done)
{
	return guest_hvc(vcpu, PKVM_HVC_UNSHARE, gpa, count, 0, done);
}

int guest_hvc_all(struct pkvm_vcpu *vcpu, u64 func, u64 gpa, u64 count)
{
	int calls = 0;
	u64 done;

	while (count) {
		if (guest_hvc(vcpu, func, gpa, count, 0, &done) || !done ||
		    done > count || done > PKVM_RANGE_MAX)
			return -1;
		gpa += done * getpagesize();
		count -= done;
		calls++;
	}
	return calls;
}
