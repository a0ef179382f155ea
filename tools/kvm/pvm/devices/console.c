// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user's input goes to one console: virtio's once the guest's driver is there, and
 * before that, or without it, the ns16550a. None of this waits for the guest's output,
 * which nobody may be reading.
 */
#include <stdbool.h>
#include <stdint.h>

#include "devices/console.h"
#include "devices/serial.h"
#include "devices/virtio.h"
#include "devices/virtio_console.h"
#include "vmm/vm.h"

static bool is_virtio(struct vm *vm)
{
	return vm->console && virtio_running(vm->console);
}

size_t console_input_room(struct vm *vm)
{
	return is_virtio(vm) ? virtio_console_room(vm->console) :
			       serial_input_room(vm->serial);
}

void console_input(struct vm *vm, const uint8_t *buf, size_t len)
{
	if (is_virtio(vm))
		virtio_console_input(vm->console, buf, len);
	else
		serial_input(vm->serial, buf, len);
}
