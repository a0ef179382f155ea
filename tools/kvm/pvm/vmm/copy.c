// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies from and to memory that may not be there any more.
 *
 * They go through a pipe rather than process_vm_readv(), which would pin the page for a
 * moment and so make the guest's conversion of it fail, and which not every kernel has.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/copy.h"

/* What an empty pipe takes at once even where the user has too many pipes. */
#define PIPE_CHUNK	4096

static pthread_key_t pipe_key;
static pthread_once_t pipe_once = PTHREAD_ONCE_INIT;

static void pipe_free(void *ptr)
{
	int *fds = ptr;

	close(fds[0]);
	close(fds[1]);
	free(fds);
}

static void pipe_init(void)
{
	if (pthread_key_create(&pipe_key, pipe_free))
		abort();
}

/* This thread's pipe; empty between calls. */
static int *pipe_get(void)
{
	int *fds;

	pthread_once(&pipe_once, pipe_init);
	fds = pthread_getspecific(pipe_key);
	if (fds)
		return fds;

	fds = malloc(2 * sizeof(*fds));
	if (!fds)
		return NULL;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK)) {
		free(fds);
		return NULL;
	}
	if (pthread_setspecific(pipe_key, fds)) {
		pipe_free(fds);
		return NULL;
	}
	return fds;
}

/*
 * Copies len bytes, either side of which may be memory that cannot be reached:
 * -EFAULT then, with part of it possibly copied.
 */
static int copy_fragile(void *dst, const void *src, size_t len)
{
	int *fds = pipe_get();
	char scratch[PIPE_CHUNK];

	if (!fds)
		return -ENOMEM;

	while (len) {
		size_t want = len < PIPE_CHUNK ? len : PIPE_CHUNK;
		ssize_t in, out;

		in = write(fds[1], src, want);
		if (in < 0 && errno == EINTR)
			continue;
		if (in <= 0)
			return in ? -errno : -EIO;

		for (ssize_t done = 0; done < in; done += out) {
			out = read(fds[0], (char *)dst + done, in - done);
			if (out < 0 && errno == EINTR) {
				out = 0;
			} else if (out <= 0) {
				int err = out ? -errno : -EIO;

				while (read(fds[0], scratch, sizeof(scratch)) > 0)
					;
				return err;
			}
		}

		dst = (char *)dst + in;
		src = (const char *)src + in;
		len -= in;
	}
	return 0;
}

int copy_from_fragile(void *dst, const void *src, size_t len)
{
	return copy_fragile(dst, src, len);
}

int copy_to_fragile(void *dst, const void *src, size_t len)
{
	return copy_fragile(dst, src, len);
}
