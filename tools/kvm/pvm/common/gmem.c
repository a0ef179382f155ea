// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest_memfd's private and shared pages: setting and reading them.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <time.h>

#include <linux/kvm.h>

#include "common/gmem.h"
#include "common/layout.h"

#define SET_TRIES	500
#define SET_PAUSE_NS	2000000

/*
 * Makes [offset, offset + size) private or shared. -EAGAIN means that somebody still
 * holds a reference to a page, often only for a moment (an LRU batch, a read() in
 * flight): tries for about a second before it gives up. On an error *error_offset is
 * the page that stopped it.
 */
int gmem_set(int fd, uint64_t offset, uint64_t size, bool private, uint64_t *error_offset)
{
	const struct timespec pause = { .tv_nsec = SET_PAUSE_NS };
	struct kvm_memory_attributes2 attr;
	int ret;

	for (int i = 0; i < SET_TRIES; i++) {
		attr = (struct kvm_memory_attributes2) {
			.offset = offset,
			.size = size,
			.attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
			.error_offset = offset,
		};
		ret = ioctl(fd, KVM_SET_MEMORY_ATTRIBUTES2, &attr) ? -errno : 0;
		if (ret != -EAGAIN && ret != -EINTR)
			break;
		nanosleep(&pause, NULL);
	}
	if (ret && error_offset)
		*error_offset = attr.error_offset;
	return ret;
}

static enum page_state run_state(const struct kvm_memory_attributes2 *attr)
{
	if (attr->flags & KVM_MEMORY_ATTRIBUTES2_POISONED)
		return PAGE_POISONED;
	if (!(attr->flags & KVM_MEMORY_ATTRIBUTES2_POPULATED))
		return attr->flags & KVM_MEMORY_ATTRIBUTES2_GIVEN_UP ? PAGE_RELINQUISHED :
								       PAGE_UNTOUCHED;
	return attr->attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE ? PAGE_PRIVATE : PAGE_SHARED;
}

/* The run of like pages that begins at offset and ends at `end` or before. */
int gmem_next_run(int fd, uint64_t offset, uint64_t end, struct gmem_run *run)
{
	struct kvm_memory_attributes2 attr = {
		.offset = offset,
		.size = end - offset,
	};

	if (ioctl(fd, KVM_GET_MEMORY_ATTRIBUTES2, &attr))
		return -errno;
	/* A kernel that does not get on would keep us here for ever. */
	if (!attr.size || attr.size > end - offset || attr.size % PVM_PAGE)
		return -EPROTO;

	run->offset = offset;
	run->size = attr.size;
	run->private = attr.attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE;
	run->populated = attr.flags & KVM_MEMORY_ATTRIBUTES2_POPULATED;
	run->state = run_state(&attr);
	return 0;
}
