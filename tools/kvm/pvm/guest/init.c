// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demonstration guest's only process: says what it runs on, uses some memory, does what
 * its command line asks for, and powers off.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest/lines.h"
#include "guest/memory.h"
#include "guest/tries.h"
#include "guest/words.h"

#define REPORT_DELAY	"/sys/module/page_reporting/parameters/page_reporting_delay_ms"

/* The host says by a line whether the guest ends in a reset or in power-off. */
#define END_WORD	"pvm.end"

static void end(bool reset)
{
	put(reset ? "guest: reset" : "guest: power-off");
	sync();
	reboot(reset ? RB_AUTOBOOT : RB_POWER_OFF);
	for (;;)
		pause();
}

static void setup(void)
{
	int fd;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		if (fd > STDERR_FILENO)
			close(fd);
	}
	/* Only errors may still come between our lines. */
	klogctl(8, NULL, 4);

	/* Nobody wants to wait for two seconds at a time. */
	fd = open(REPORT_DELAY, O_WRONLY);
	if (fd >= 0) {
		if (write(fd, "100", 3) != 3)
			put("guest: cannot set " REPORT_DELAY);
		close(fd);
	}
}

static void banner(void)
{
	struct utsname u;

	if (!uname(&u))
		put("guest: %s %s %s", u.sysname, u.release, u.machine);
	put("guest: %ld CPUs, %lu MiB of memory, %s", sysconf(_SC_NPROCESSORS_ONLN),
	    meminfo_kb("MemTotal") / 1024, access(SHARE_DEV, F_OK) ?
	    "no " SHARE_DEV " (not protected, or no driver)" : "protected by pKVM");
}

int main(void)
{
	const char *line = NULL;

	setup();
	banner();
	if (!use_memory(some_memory()))
		put("guest: FAILED");
	if (has_word("/proc/cmdline", DEVICES_WORD))
		try_devices();
	if (has_word("/proc/cmdline", DRIVERS_WORD))
		try_drivers();
	if (has_word("/proc/cmdline", CPUS_WORD))
		try_cpus();
	if (has_word("/proc/cmdline", SECRETS_WORD))
		try_secrets();
	dialogue();
	if (has_word("/proc/cmdline", END_WORD))
		line = listen_to_console("for its end");
	end(line && !strcmp(line, "reset"));
	return 0;
}
