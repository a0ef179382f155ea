// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes the last CPU off and on again, for tests/cpus.sh: says "guest: cpus ok" or "guest:
 * cpus FAILED: why". Each CPU works in between, on a number of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/lines.h"
#include "guest/tries.h"
#include "guest/words.h"

#define WORK	20000

static bool set_online(unsigned int cpu, bool on)
{
	char path[64];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
	fd = open(path, O_WRONLY);
	ok = fd >= 0 && write(fd, on ? "1" : "0", 1) == 1;
	if (fd >= 0)
		close(fd);
	return ok;
}

static uint64_t mix(uint64_t val)
{
	for (int i = 0; i < WORK; i++)
		val = (val ^ val >> 29) * 0x9e3779b97f4a7c15ULL + i;
	return val;
}

/* There, by a process that runs nowhere else, as here; with floating point, too. */
static bool works(unsigned int cpu, uint64_t val)
{
	volatile double sum = 0;
	cpu_set_t set;
	int status;
	pid_t pid = fork();

	if (!pid) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) || sched_getcpu() != (int)cpu)
			_exit(1);
		for (int i = 1; i <= 1000; i++)
			sum += i;
		_exit(sum == 500500.0 && mix(val) == mix(val) ? 0 : 2);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static bool off_and_on(unsigned int cpu, unsigned int times)
{
	long all = sysconf(_SC_NPROCESSORS_ONLN);

	for (unsigned int i = 0; i < times; i++) {
		if (!set_online(cpu, false))
			return failed("cpus", "off");
		if (sysconf(_SC_NPROCESSORS_ONLN) != all - 1)
			return failed("cpus", "it is still there");
		if (!set_online(cpu, true))
			return failed("cpus", "on");
		if (!works(cpu, i))
			return failed("cpus", "it does not work");
	}
	return true;
}

void try_cpus(void)
{
	unsigned int times = strtoul(word_value(CPUS_WORD), NULL, 10);
	long nr = sysconf(_SC_NPROCESSORS_ONLN);

	for (long cpu = 0; cpu < nr; cpu++) {
		if (!works(cpu, cpu)) {
			failed("cpus", "one of them does not work");
			return;
		}
	}
	if (nr > 1 && !off_and_on(nr - 1, times))
		return;
	put("guest: cpus ok, %ld of them, the last off and on %u times", nr, nr > 1 ? times : 0);
}
