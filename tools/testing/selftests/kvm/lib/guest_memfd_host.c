// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host around a test: its kernel's log, files of /proc and sysfs, time, free memory; and
 * descriptors for another process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>

#include "guest_memfd_util.h"

int gmem_send_fd(int sock, int fd)
{
	char c = 0, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

int gmem_recv_fd(int sock)
{
	char c, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, 0) != 1)
		return -EIO;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -EIO;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

int gmem_kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	else
		fprintf(stderr, "# the kernel log is not watched: %s\n", strerror(errno));
	return fd;
}

int gmem_kmsg_bad(int fd)
{
	static const char * const marks[] = {
		"WARNING:", "BUG:", "INFO: possible", "INFO: rcu", "INFO: task",
		"Unable to handle", "Internal error", "Kernel panic", "hyp panic",
		"soft lockup", "KASAN:", "UBSAN:", "Bad page state",
	};
	char line[4096];
	ssize_t n;
	int bad = 0;
	size_t i;

	if (fd < 0)
		return 0;

	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		/* EPIPE: some lines were lost, the next read goes on. */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		line[n] = '\0';
		for (i = 0; i < ARRAY_SIZE(marks); i++) {
			if (!strstr(line, marks[i]))
				continue;
			fprintf(stderr, "# kernel log: %s", line);
			bad++;
			break;
		}
	}
	return bad;
}

u64 gmem_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

int gmem_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

int gmem_write_to(const char *dir, const char *file, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return gmem_write_file(path, text);
}

void gmem_read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

bool gmem_read_field(const char *dir, const char *file, const char *name, u64 *val)
{
	char path[160], line[128];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "r");
	while (f && !found && fgets(line, sizeof(line), f)) {
		found = !strncmp(line, name, strlen(name));
		if (found)
			*val = strtoull(line + strlen(name), NULL, 10);
	}
	if (f)
		fclose(f);
	return found;
}

static u64 proc_kb(const char *path, const char *name)
{
	char line[256];
	u64 val = 0;
	FILE *f = fopen(path, "r");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':') {
			val = strtoull(line + strlen(name) + 1, NULL, 10);
			break;
		}
	}
	fclose(f);
	return val;
}

u64 gmem_meminfo_kb(const char *name)
{
	return proc_kb("/proc/meminfo", name);
}

/* Counters are folded together only now and then, or when asked for. */
static void refresh_vm_stat(void)
{
	FILE *f = fopen("/proc/sys/vm/stat_refresh", "w");

	if (!f)
		return;
	fputs("1", f);
	fclose(f);
}

u64 gmem_free_kb(void)
{
	u64 count, pages = 0;
	char line[256];
	FILE *f;

	refresh_vm_stat();
	f = fopen("/proc/zoneinfo", "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " count: %lu", &count) == 1)
			pages += count;
	}
	if (f)
		fclose(f);
	return gmem_meminfo_kb("MemFree") + pages * getpagesize() / 1024;
}

u64 gmem_settled_free_kb(u64 enough_kb)
{
	u64 free_kb = 0;
	int i;

	for (i = 0; i < 100; i++) {
		free_kb = gmem_free_kb();
		if (free_kb > enough_kb)
			break;
		usleep(100000);
	}
	return free_kb;
}

static bool kernel_has_symbol(const char *name)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char line[512], symbol[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %255s", symbol) == 1 && !strcmp(symbol, name);
	if (f)
		fclose(f);
	return found;
}

u64 gmem_free_slack_kb(void)
{
	static u64 slack_kb;

	if (!slack_kb)
		slack_kb = kernel_has_symbol("kasan_quarantine_put") ?
			   gmem_meminfo_kb("MemTotal") / 16 : 4096;
	return slack_kb;
}

u64 gmem_status_kb(const char *name)
{
	return proc_kb("/proc/self/status", name);
}
