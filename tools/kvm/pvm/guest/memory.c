// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that the guest uses.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest/lines.h"
#include "guest/memory.h"

/* A line of /proc/meminfo, in kB; 0 if it is not there. */
unsigned long meminfo_kb(const char *name)
{
	size_t len = strlen(name);
	unsigned long kb = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, len) || line[len] != ':')
			continue;
		kb = strtoul(line + len + 1, NULL, 10);
		break;
	}
	fclose(f);
	return kb;
}

size_t some_memory(void)
{
	return meminfo_kb("MemTotal") > 48 * 1024 ? 16 * MIB : 4 * MIB;
}

/* Memory that the host has never given us yet, and that must keep what we write. */
bool use_memory(size_t size)
{
	uint64_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t n = size / sizeof(*p), bad = 0;

	if (p == MAP_FAILED) {
		put("guest: no %zu MiB to test", size / MIB);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		p[i] = i * 0x9e3779b97f4a7c15ULL;
	for (size_t i = 0; i < n; i++)
		bad += p[i] != i * 0x9e3779b97f4a7c15ULL;
	munmap(p, size);
	put("guest: %zu MiB written and read back, %zu errors", size / MIB, bad);
	return !bad;
}
