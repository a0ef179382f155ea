// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes a copy of another process's guest_memfd. Who may do that (ptrace rights) could
 * read the process's memory anyway; the guest's private pages stay out of reach.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pvm.h"

/* The number of the first guest_memfd of the process, or -errno. */
static int find_fd(pid_t pid)
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
		if (strstr(link, "[kvm-gmem]") || strstr(link, "guest_memfd"))
			found = atoi(e->d_name);
	}
	closedir(dir);
	return found;
}

/* 0, or -errno; reported unless quiet. */
int target_open(pid_t pid, struct target *t, bool quiet)
{
	struct stat st;
	int pidfd, num, ret;

	t->fd = -1;
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		ret = -errno;
		goto out;
	}
	num = find_fd(pid);
	if (num < 0) {
		ret = num;
	} else {
		t->fd = syscall(SYS_pidfd_getfd, pidfd, num, 0);
		ret = t->fd < 0 ? -errno : 0;
	}
	close(pidfd);
	if (!ret && fstat(t->fd, &st)) {
		ret = -errno;
		target_close(t);
	}
out:
	if (!ret) {
		t->size = st.st_size;
		return 0;
	}
	if (quiet)
		return ret;

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
	return ret;
}

void target_close(struct target *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}
