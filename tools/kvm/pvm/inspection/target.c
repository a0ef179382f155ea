// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes a copy of another process's guest_memfd, or of other files of it. Who may do that (ptrace rights) could
 * read the process's memory anyway; the guest's private pages stay out of reach.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/array_size.h"
#include "common/say.h"
#include "inspection/target.h"

/* The number of the process's first file with that in its name, or -errno. */
static int find_fd(pid_t pid, const char *name)
{
	char path[300], link[256];
	struct dirent *e;
	int found = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while (found < 0 && (e = readdir(dir))) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = 0;
		if (strstr(link, name))
			found = atoi(e->d_name);
	}
	closedir(dir);
	return found;
}

/* A copy of one of its files, by a part of the name; or -errno. */
int target_get(const struct target *t, const char *name)
{
	int num = find_fd(t->pid, name), fd;

	if (num < 0)
		return num;
	fd = syscall(SYS_pidfd_getfd, t->pidfd, num, 0);
	return fd < 0 ? -errno : fd;
}

/* Its file, for as long as we need it: we keep the VM alive meanwhile. 0, or -errno. */
int target_take(struct target *t)
{
	struct stat st;
	int fd = target_get(t, "[kvm-gmem]");

	if (fd == -ENOENT)
		fd = target_get(t, "guest_memfd");
	if (fd < 0)
		return fd;
	t->fd = fd;
	if (fstat(t->fd, &st)) {
		target_drop(t);
		return -EIO;
	}
	t->size = st.st_size;
	t->inode = st.st_ino;
	return 0;
}

void target_drop(struct target *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

static void report(pid_t pid, int ret)
{
	switch (ret) {
	case -ESRCH:
		say("there is no process %d", pid);
		break;
	case -ENOENT:
		say("process %d has no guest_memfd: is it a pvm, run without --anon?", pid);
		break;
	case -EPERM:
	case -EACCES:
		say("process %d: %s: run as root, or as the user who started it", pid,
		    strerror(-ret));
		break;
	default:
		say("process %d: cannot get at its guest_memfd: %s", pid, strerror(-ret));
	}
}

/* 0, or -errno; reported unless quiet. */
int target_open(pid_t pid, struct target *t, bool quiet)
{
	int ret;

	t->pid = pid;
	t->fd = -1;
	t->pidfd = syscall(SYS_pidfd_open, pid, 0);
	ret = t->pidfd < 0 ? -errno : target_take(t);
	if (ret) {
		target_close(t);
		if (!quiet)
			report(pid, ret);
	}
	return ret;
}

/*
 * Waits up to ms milliseconds, or less if *sig_fd, a signalfd, has a signal: it becomes -1
 * then. True once the process has ended.
 */
bool target_ended(struct target *t, int *sig_fd, int ms)
{
	struct pollfd fds[] = {
		{ .fd = t->pidfd, .events = POLLIN },
		{ .fd = *sig_fd, .events = POLLIN },
	};

	if (poll(fds, ARRAY_SIZE(fds), ms) <= 0)
		return false;
	if (fds[1].revents) {
		close(*sig_fd);
		*sig_fd = -1;
	}
	return fds[0].revents;
}

void target_close(struct target *t)
{
	target_drop(t);
	if (t->pidfd >= 0)
		close(t->pidfd);
	t->pidfd = -1;
}
