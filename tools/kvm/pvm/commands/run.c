// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvm run: puts a guest together, and waits for its end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/terminal.h"
#include "common/array_size.h"
#include "common/exit_codes.h"
#include "common/say.h"
#include "common/thread.h"
#include "devices/bus.h"
#include "devices/console.h"
#include "devices/devices.h"
#include "devices/fdt.h"
#include "devices/record.h"
#include "devices/serial.h"
#include "devices/virtio_console.h"
#include "vmm/event.h"
#include "vmm/gic.h"
#include "vmm/image.h"
#include "vmm/memory.h"
#include "vmm/options.h"
#include "vmm/registers_answer.h"
#include "vmm/stats.h"
#include "vmm/vcpu.h"
#include "vmm/vcpu_run.h"
#include "vmm/vm.h"

#define INPUT_RETRY_MS	10

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Returns false once there will be no more input. */
static bool run_input(struct vm *vm)
{
	uint8_t buf[256];
	size_t room = console_input_room(vm), len;
	ssize_t n;

	n = read(STDIN_FILENO, buf, room < sizeof(buf) ? room : sizeof(buf));
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (!n)
		return false;

	len = n;
	if (terminal_filter(buf, &len)) {
		say("stopped by Ctrl-A x");
		vm_stop(vm, PVM_EXIT_SIGNAL + SIGINT);
		return false;
	}
	console_input(vm, buf, len);
	return true;
}

/* What came: true if it stops the guest. */
static bool run_signal(struct vm *vm, int sig_fd)
{
	struct signalfd_siginfo si;

	if (read(sig_fd, &si, sizeof(si)) != sizeof(si))
		return false;
	switch (si.ssi_signo) {
	case SIGWINCH:
		if (vm->console)
			virtio_console_resize(vm->console);
		return false;
	case SIGUSR2:
		registers_asked(vm);
		return false;
	default:
		say("stopped by signal %u", si.ssi_signo);
		vm_stop(vm, PVM_EXIT_SIGNAL + si.ssi_signo);
		return true;
	}
}

/* The main thread's part: input, signals, time; until something stops the guest. */
static void run_wait(struct vm *vm, int sig_fd, int64_t end)
{
	bool input = true;

	for (;;) {
		bool listen = input && console_input_room(vm);
		struct pollfd fds[] = {
			{ .fd = vm->stop_fd, .events = POLLIN },
			{ .fd = sig_fd, .events = POLLIN },
			{ .fd = listen ? STDIN_FILENO : -1, .events = POLLIN },
		};
		int wait = -1;

		if (end) {
			int64_t left = end - now_ms();

			if (left <= 0) {
				say("--timeout: the guest did not end within %u s", vm->opt->timeout);
				vm_stop(vm, PVM_EXIT_TIMEOUT);
				return;
			}
			wait = left < 1000000 ? left : 1000000;
		}
		/* The guest makes room without telling us. */
		if (input && !listen && (wait < 0 || wait > INPUT_RETRY_MS))
			wait = INPUT_RETRY_MS;

		if (poll(fds, ARRAY_SIZE(fds), wait) < 0) {
			if (errno == EINTR)
				continue;
			say("poll: %s", strerror(errno));
			vm_stop(vm, PVM_EXIT_FAIL);
			return;
		}

		if (fds[0].revents)
			return;
		if (fds[1].revents && run_signal(vm, sig_fd))
			return;
		if (fds[2].revents)
			input = run_input(vm);
	}
}

static int run_guest(struct vm *vm, int sig_fd, int64_t end)
{
	int ret;

	ret = registers_open(vm) ?: memory_create(vm) ?: image_load(vm) ?: fdt_load(vm) ?:
	      vcpu_create_all(vm) ?: gic_create(vm) ?: memory_seal(vm);
	if (ret)
		return ret;

	vm->serial = serial_create(vm, STDOUT_FILENO);
	if (!vm->serial) {
		say("no memory for the console");
		return PVM_EXIT_FAIL;
	}

	stats_open(vm);
	terminal_raw();
	if (!devices_start(vm) && !vcpu_start_all(vm, bus_access))
		run_wait(vm, sig_fd, end);
	else
		vm_stop(vm, PVM_EXIT_FAIL);
	/* A vCPU may wait for a device, but no device for a vCPU. */
	devices_join(vm);
	vcpu_join_all(vm);
	terminal_restore();
	return vm->stop_code;
}

static int run_record(struct vm *vm)
{
	int ret = vm->opt->record ? record_open(vm, vm->opt->record) : 0;

	if (!ret)
		return 0;
	say("--record: cannot write %s: %s", vm->opt->record, strerror(-ret));
	return PVM_EXIT_USAGE;
}

/* Each takes what its counterpart has made: what was made last goes first. */
static void run_destroy(struct vm *vm)
{
	stats_close(vm);
	serial_destroy(vm->serial);
	gic_destroy(vm);
	vcpu_destroy_all(vm);
	memory_destroy(vm);
	registers_close(vm);
	vm_destroy(vm);
	record_close();
	devices_destroy(vm);
	image_close(vm);
}

/* From its first instruction to its end: a reset is the end, and another VM follows. */
static int run_life(const struct pvm_options *opt, int sig_fd, int64_t end)
{
	struct vm vm;
	int ret;

	vm_prepare(&vm, opt);
	ret = image_open(&vm) ?: devices_create(&vm) ?: run_record(&vm) ?: vm_create(&vm) ?:
	      run_guest(&vm, sig_fd, end);
	stats_destroy_begin(&vm);
	run_destroy(&vm);
	if (opt->stats)
		stats_print(&vm, ret);
	return ret;
}

int cmd_run(int argc, char **argv)
{
	struct pvm_options opt;
	int64_t end = 0;
	sigset_t set;
	int sig_fd, ret;

	ret = options_parse(argc, argv, &opt);
	if (ret)
		return ret;

	/* Blocked in every thread: only signalfd sees them. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	thread_prepare();
	sig_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sig_fd < 0) {
		say("signalfd: %s", strerror(errno));
		return PVM_EXIT_FAIL;
	}

	if (opt.trace) {
		ret = event_open(opt.trace);
		if (ret) {
			say("--trace: cannot write %s: %s", opt.trace, strerror(-ret));
			return PVM_EXIT_USAGE;
		}
	}

	if (opt.timeout)
		end = now_ms() + opt.timeout * 1000LL;
	do {
		ret = run_life(&opt, sig_fd, end);
	} while (ret == PVM_EXIT_RESET && opt.reboot);
	event_close();
	close(sig_fd);
	return ret;
}
