// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which device is where the guest has no memory.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/layout.h"
#include "devices/bus.h"
#include "devices/devices.h"
#include "devices/rtc.h"
#include "devices/serial.h"
#include "vmm/options.h"
#include "vmm/vm.h"

/* A vCPU's access, of 8 bytes at the most. */
void bus_access(struct vm *vm, uint64_t addr, uint8_t *data, uint32_t len, bool is_write)
{
	/* What is not there reads as zero. */
	if (!is_write)
		memset(data, 0, len);
	if (addr - PVM_UART_BASE < PVM_UART_SIZE && len)
		serial_access(vm->serial, addr - PVM_UART_BASE, data, is_write);
	else if (addr - PVM_RTC_BASE < PVM_RTC_SIZE)
		rtc_access(addr - PVM_RTC_BASE, data, len, is_write);
	else if (addr - PVM_VIRTIO_BASE < PVM_MAX_VIRTIO * PVM_VIRTIO_SIZE)
		devices_access(vm, addr - PVM_VIRTIO_BASE, data, len, is_write);
}
