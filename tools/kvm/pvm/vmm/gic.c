// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's interrupt controller.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "common/exit_codes.h"
#include "common/layout.h"
#include "common/say.h"
#include "vmm/gic.h"
#include "vmm/vm.h"

static int gic_attr(struct vm *vm, uint32_t group, uint64_t attr, void *val)
{
	struct kvm_device_attr dev = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)val,
	};

	return ioctl(vm->gic_fd, KVM_SET_DEVICE_ATTR, &dev);
}

/* GICv3 without an ITS. After the vCPUs are made. Reported; PVM_EXIT_*. */
int gic_create(struct vm *vm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
	uint64_t dist = PVM_GICD_BASE, redist = PVM_GICR_BASE;
	uint32_t nr_irqs = PVM_NR_IRQS;

	if (ioctl(vm->fd, KVM_CREATE_DEVICE, &create)) {
		say("the host cannot give the guest a GICv3 (%s): it needs one itself",
		    strerror(errno));
		return PVM_EXIT_HOST;
	}
	vm->gic_fd = create.fd;

	if (gic_attr(vm, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &dist) ||
	    gic_attr(vm, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST, &redist) ||
	    gic_attr(vm, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &nr_irqs) ||
	    gic_attr(vm, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL)) {
		say("cannot set up the GICv3: %s", strerror(errno));
		return PVM_EXIT_FAIL;
	}
	return 0;
}

void gic_destroy(struct vm *vm)
{
	if (vm->gic_fd >= 0)
		close(vm->gic_fd);
}
