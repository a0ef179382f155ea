// SPDX-License-Identifier: GPL-2.0-only
/*
 * guest_memfd's ioctls with arguments that are right, nearly right and wrong; no guest.
 *
 * Each step makes one call that would work, spoils a few of its fields at random, or the
 * address of its argument, and knows every errno that the call deserves. It must then fail
 * with one of those and change nothing, or succeed if it deserves none. "Nothing" is what
 * the file tells of itself: the attribute of every page and which pages there are after
 * each step, their content now and then.
 *
 * GMEM_FUZZ_SEED= and GMEM_FUZZ_STEPS= in the environment; what fails says its seed and step.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/falloc.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "gmem_test.h"
#include "guest_memfd_util.h"

#define NR_PAGES	24
#define SLOT		3
#define STEPS		4000

#define OWNS		GUEST_MEMFD_FLAG_MMAP
#define INIT_SHARED	GUEST_MEMFD_FLAG_INIT_SHARED

#define THERE		KVM_MEMORY_ATTRIBUTES2_POPULATED
#define GIVEN_UP	KVM_MEMORY_ATTRIBUTES2_GIVEN_UP

/* A set of errnos that a call deserves: none means that it works. */
struct deserved {
	int err[8];
	int nr;
};

static void deserves(struct deserved *d, bool condition, int err)
{
	if (condition && d->nr < (int)ARRAY_SIZE(d->err))
		d->err[d->nr++] = err;
}

static bool is_deserved(const struct deserved *d, int ret)
{
	int i;

	for (i = 0; i < d->nr; i++) {
		if (ret == -d->err[i])
			return true;
	}
	return !d->nr && !ret;
}

/* Where an argument is. */
enum place { GOOD, READ_ONLY, UNMAPPED, CUT_OFF, OF_THE_KERNEL, NULL_POINTER, PLACES };

FIXTURE(fuzz) {
	int vm, fd, kmsg;
	char *mem;		/* NULL if the file cannot be mapped */
	/* Three pages for arguments: one to write to, one to read, one that is not there. */
	char *arg;
	u64 seed, step;
	/* What the file should be. */
	u64 attr[NR_PAGES], content[NR_PAGES];
	u64 presence[NR_PAGES];	/* KVM_MEMORY_ATTRIBUTES2_* of each page */
	bool slot;
	u64 slot_gpa, slot_pages;
	u64 worked, failed;
};

FIXTURE_VARIANT(fuzz) {
	bool private;		/* the VM has private memory */
	u64 flags;
};

FIXTURE_VARIANT_ADD(fuzz, init_shared) {
	.private = true,
	.flags = OWNS | INIT_SHARED,
};

FIXTURE_VARIANT_ADD(fuzz, init_private) {
	.private = true,
	.flags = OWNS,
};

FIXTURE_VARIANT_ADD(fuzz, no_attributes_of_its_own) {
	.private = true,
	.flags = 0,
};

FIXTURE_VARIANT_ADD(fuzz, ordinary_vm) {
	.private = false,
	.flags = OWNS | INIT_SHARED,
};

static u64 env(const char *name, u64 otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

FIXTURE_SETUP(fuzz)
{
	int i;

	self->kmsg = gmem_kmsg_open();
	self->vm = gmem_vm_open(variant->private ? gmem_private_vm_type() : 0);
	ASSERT_LE(0, self->vm);
	self->fd = gmem_create(self->vm, OFF(NR_PAGES), variant->flags);
	ASSERT_LE(0, self->fd);
	if (variant->flags & OWNS)
		self->mem = gmem_map(self->fd, OFF(NR_PAGES));

	self->arg = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->arg);
	ASSERT_EQ(0, munmap(self->arg + 2 * page, page));

	for (i = 0; i < NR_PAGES; i++)
		self->attr[i] = variant->flags & INIT_SHARED ? GMEM_SHARED : GMEM_PRIVATE;
	self->seed = (env("GMEM_FUZZ_SEED", 1) * 8 + variant->flags) * 0x9e3779b97f4a7c15ULL | 1;
}

FIXTURE_TEARDOWN(fuzz)
{
	if (self->mem)
		munmap(self->mem, OFF(NR_PAGES));
	munmap(self->arg, 2 * page);
	close(self->fd);
	close(self->vm);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

#define SELF	FIXTURE_DATA(fuzz) * self
#define WHERE	TH_LOG("seed %llu, step %llu",					\
		       (unsigned long long)env("GMEM_FUZZ_SEED", 1),		\
		       (unsigned long long)self->step)

static u64 rnd(SELF, u64 below)
{
	u64 x = self->seed;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	self->seed = x;
	return (x >> 16) % below;
}

static bool one_in(SELF, u64 n)
{
	return !rnd(self, n);
}

/* A number of the kind that is forgotten in checks. */
static u64 odd_number(SELF)
{
	static const u64 odd[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 1ULL << 32,
				   1ULL << 47, 1ULL << 62, 1ULL << 63, ~0ULL };
	u64 x = odd[rnd(self, ARRAY_SIZE(odd))];

	switch (rnd(self, 4)) {
	case 0:
		return x;
	case 1:
		return x & -(u64)page;
	case 2:
		return x + rnd(self, 16) - 8;
	default:
		return OFF(rnd(self, 2 * NR_PAGES)) + rnd(self, 3) - 1;
	}
}

/* Spoils a field now and then. */
static u64 spoil(SELF, u64 good)
{
	return one_in(self, 12) ? odd_number(self) : good;
}

static u64 spoil_bits(SELF, u64 good)
{
	return one_in(self, 12) ? good ^ (1ULL << rnd(self, 64)) : good;
}

static void range(SELF, u64 *first, u64 *nr)
{
	*first = rnd(self, NR_PAGES);
	*nr = 1 + rnd(self, NR_PAGES - *first);
}

static bool aligned(u64 x)
{
	return !(x % page);
}

/* Puts an argument somewhere; the kernel gets the address. */
static void *put(SELF, const void *what, size_t size, enum place place)
{
	char *at = self->arg;

	switch (place) {
	case GOOD:
		at += rnd(self, 64);
		break;
	case READ_ONLY:
		at += page;
		break;
	case UNMAPPED:
		return self->arg + 2 * page;
	case CUT_OFF:
		/* Its first part is in the second page. */
		at += 2 * page - 1 - rnd(self, size - 1);
		size = self->arg + 2 * page - at;
		break;
	case OF_THE_KERNEL:
		return (void *)(0xffff800000000000ULL + rnd(self, 1 << 20) * 8);
	default:
		return NULL;
	}

	mprotect(self->arg, 2 * page, PROT_READ | PROT_WRITE);
	memcpy(at, what, size);
	if (place == READ_ONLY)
		mprotect(self->arg + page, page, PROT_READ);
	return at;
}

static enum place any_place(SELF)
{
	return one_in(self, 10) ? rnd(self, PLACES) : GOOD;
}

static bool is_readable(enum place place)
{
	return place == GOOD || place == READ_ONLY;
}

static int call(int fd, unsigned long nr, void *arg)
{
	return ioctl(fd, nr, arg) < 0 ? -errno : 0;
}

/* KVM_SET_MEMORY_ATTRIBUTES2 and KVM_GET_MEMORY_ATTRIBUTES2. */
static void set_or_get(struct __test_metadata *_metadata, SELF,
		       const FIXTURE_VARIANT(fuzz) * variant)
{
	struct kvm_memory_attributes2 req = {}, *there;
	enum place place = any_place(self);
	bool set = rnd(self, 2), reserved = false;
	struct deserved d = {};
	u64 first, nr, i;
	int ret;

	range(self, &first, &nr);
	req.offset = spoil(self, OFF(first));
	req.size = spoil(self, OFF(nr));
	req.attributes = spoil_bits(self, rnd(self, 2) ? GMEM_PRIVATE : GMEM_SHARED);
	req.flags = spoil_bits(self, 0);
	req.error_offset = GMEM_NO_OFFSET;
	if (one_in(self, 12)) {
		req.reserved[rnd(self, ARRAY_SIZE(req.reserved))] = 1 + odd_number(self) / 2;
		reserved = true;
	}

	deserves(&d, !is_readable(place), EFAULT);
	deserves(&d, !(variant->flags & OWNS), ENOTTY);
	deserves(&d, !variant->private || reserved || req.flags ||
		 (req.attributes & ~GMEM_PRIVATE) || !req.size || !aligned(req.offset) ||
		 !aligned(req.size) || req.offset > OFF(NR_PAGES) ||
		 req.size > OFF(NR_PAGES) - req.offset, EINVAL);
	/* A SET that works writes nothing. */
	deserves(&d, !set && place != GOOD, EFAULT);

	there = put(self, &req, sizeof(req), place);
	ret = call(self->fd, set ? KVM_SET_MEMORY_ATTRIBUTES2 : KVM_GET_MEMORY_ATTRIBUTES2,
		   there);
	ASSERT_TRUE(is_deserved(&d, ret)) {
		WHERE;
		TH_LOG("%s place %d offset %#llx size %#llx attributes %#llx flags %#llx: %d",
		       set ? "SET" : "GET", place, req.offset, req.size, req.attributes,
		       req.flags, ret);
	}

	first = req.offset / page;
	if (!ret && set) {
		for (i = first; i < first + req.size / page; i++)
			self->attr[i] = req.attributes;
		ASSERT_EQ(0, memcmp(there, &req, sizeof(req)))
			WHERE;
	} else if (!ret) {
		for (i = first; i < first + req.size / page; i++) {
			if (self->attr[i] != self->attr[first] ||
			    self->presence[i] != self->presence[first])
				break;
		}
		ASSERT_EQ(self->attr[first], there->attributes)
			WHERE;
		ASSERT_EQ(OFF(i - first), there->size)
			WHERE;
		ASSERT_EQ(self->presence[first], there->flags)
			WHERE;
	}
	self->failed += !!ret;
	self->worked += !ret;
}

/* Any other ioctl on the file, by a number close to one of its own. */
static void other_ioctl(struct __test_metadata *_metadata, SELF)
{
	unsigned long nr = rnd(self, 2) ? KVM_SET_MEMORY_ATTRIBUTES2 : KVM_GET_MEMORY_ATTRIBUTES2;
	struct kvm_memory_attributes2 req = { .size = page };

	nr ^= 1UL << rnd(self, 32);
	/* What every file answers is nobody's number of KVM's. */
	if (nr == KVM_SET_MEMORY_ATTRIBUTES2 || nr == KVM_GET_MEMORY_ATTRIBUTES2 ||
	    _IOC_TYPE(nr) != KVMIO)
		return;

	ASSERT_EQ(-ENOTTY, call(self->fd, nr, put(self, &req, sizeof(req), any_place(self)))) {
		WHERE;
		TH_LOG("ioctl %#lx", nr);
	}
	self->failed++;
}

static void allocate(struct __test_metadata *_metadata, SELF)
{
	u64 modes[] = { FALLOC_FL_KEEP_SIZE, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE };
	u32 mode = spoil_bits(self, modes[rnd(self, 2)]);
	bool punch = mode & FALLOC_FL_PUNCH_HOLE;
	struct deserved d = {};
	u64 first, nr, i;
	s64 offset, size;
	int ret;

	range(self, &first, &nr);
	offset = spoil(self, OFF(first));
	size = spoil(self, OFF(nr));

	deserves(&d, offset < 0 || size <= 0 || !aligned(offset) || !aligned(size), EINVAL);
	deserves(&d, mode != modes[0] && mode != modes[1], EOPNOTSUPP);
	deserves(&d, mode != modes[0] && mode != modes[1], EINVAL);
	if (offset >= 0 && size > 0) {
		deserves(&d, (u64)offset + size > INT64_MAX, EFBIG);
		deserves(&d, !punch && (u64)offset + size > OFF(NR_PAGES), EINVAL);
	}

	ret = fallocate(self->fd, mode, offset, size) < 0 ? -errno : 0;
	ASSERT_TRUE(is_deserved(&d, ret)) {
		WHERE;
		TH_LOG("fallocate mode %#x offset %#jx size %#jx: %d", mode, (uintmax_t)offset,
		       (uintmax_t)size, ret);
	}
	self->failed += !!ret;
	self->worked += !ret;
	if (ret)
		return;

	for (i = offset / page; i < NR_PAGES && i < (u64)(offset + size) / page; i++) {
		self->presence[i] = punch ? GIVEN_UP : THERE;
		if (punch)
			self->content[i] = 0;
	}
}

static void create(struct __test_metadata *_metadata, SELF)
{
	u64 supported = gmem_check_cap(self->vm, KVM_CAP_GUEST_MEMFD_FLAGS);
	struct kvm_create_guest_memfd req = {};
	enum place place = any_place(self);
	bool reserved = one_in(self, 12);
	struct deserved d = {};
	int ret;

	/* Reserved fields have never been looked at, and that is how it has to stay. */
	if (reserved)
		req.reserved[rnd(self, ARRAY_SIZE(req.reserved))] = odd_number(self);
	req.size = spoil(self, OFF(1 + rnd(self, 1 << 20)));
	req.flags = spoil_bits(self, supported & rnd(self, 4));

	deserves(&d, !is_readable(place), EFAULT);
	deserves(&d, (s64)req.size <= 0 || !aligned(req.size) || (req.flags & ~supported), EINVAL);

	ret = ioctl(self->vm, KVM_CREATE_GUEST_MEMFD, put(self, &req, sizeof(req), place));
	ret = ret < 0 ? -errno : ret;
	if (ret >= 0) {
		close(ret);
		ret = 0;
	}
	ASSERT_TRUE(is_deserved(&d, ret)) {
		WHERE;
		TH_LOG("CREATE_GUEST_MEMFD place %d size %#llx flags %#llx: %d", place, req.size,
		       req.flags, ret);
	}
	self->failed += !!ret;
	self->worked += !ret;
}

static void log_slot(struct __test_metadata *_metadata,
		     const struct kvm_userspace_memory_region2 *req, int ret)
{
	TH_LOG("slot %#x flags %#x gpa %#llx size %#llx fd %d offset %#llx: %d", req->slot,
	       req->flags, req->guest_phys_addr, req->memory_size, req->guest_memfd,
	       req->guest_memfd_offset, ret);
}

/* On arm64 a slot is all of a guest_memfd or nothing: what cannot be mapped cannot be bound. */
static bool can_be_bound(SELF)
{
#ifdef __aarch64__
	return self->mem;
#else
	return true;
#endif
}

/* Makes the slot, or one beside it, or takes it away; what is spoiled must not matter. */
static void slot(struct __test_metadata *_metadata, SELF)
{
	struct kvm_userspace_memory_region2 good = { .slot = SLOT }, req;
	struct kvm_userspace_memory_region2 *there;
	int not_a_file[] = { -1, 0x7fffffff, self->kmsg, self->vm };
	enum place place = any_place(self);
	bool spoiled = false;
	u64 first, nr;
	int ret;

	if (!self->slot) {
		range(self, &first, &nr);
		good.flags = KVM_MEM_GUEST_MEMFD;
		good.guest_phys_addr = MEM_GPA + OFF(rnd(self, NR_PAGES));
		good.memory_size = OFF(nr);
		good.guest_memfd = self->fd;
		good.guest_memfd_offset = OFF(first);
		/* Whoever has no mapping of the file does without one. */
		good.userspace_addr = self->mem ? (u64)self->mem + OFF(first) : (u64)self->arg;
	}

	req = good;
	if (self->slot) {
		/* That it is made a second time is wrong with anything but size 0. */
		if (one_in(self, 2)) {
			req.memory_size = OFF(1 + rnd(self, NR_PAGES));
			req.flags = KVM_MEM_GUEST_MEMFD;
			req.guest_memfd = self->fd;
			req.guest_phys_addr = self->slot_gpa;
			req.slot = rnd(self, 2) ? SLOT : SLOT + 1;
			spoiled = true;
		}
	} else {
		switch (rnd(self, 14)) {
		case 0:
			req.guest_phys_addr += 1 + rnd(self, page - 1);
			break;
		case 1:
			req.guest_phys_addr = -(u64)page;
			req.memory_size = 2 * page;
			req.guest_memfd_offset = 0;
			break;
		case 2:
			req.memory_size += 1 + rnd(self, page - 1);
			break;
		case 3:
			req.memory_size = OFF(NR_PAGES) - req.guest_memfd_offset + page;
			break;
		case 4:
			req.guest_memfd_offset += 1 + rnd(self, page - 1);
			break;
		case 5:
			req.guest_memfd_offset = -(u64)page;
			break;
		case 6:
			req.guest_memfd_offset = OFF(NR_PAGES) << rnd(self, 40);
			break;
		case 7:
			req.guest_memfd = not_a_file[rnd(self, 4)];
			break;
		case 8:
			req.flags |= 1U << (3 + rnd(self, 29));
			break;
		case 9:
			req.flags |= KVM_MEM_LOG_DIRTY_PAGES;
			break;
		case 10:
			req.slot = 0xffff;
			break;
		case 11:
			req.slot |= 0x10000u << (2 + rnd(self, 14));
			break;
		case 12:
			req.memory_size = 0;
			break;
		default:
			break;
		}
		spoiled = !can_be_bound(self) || memcmp(&req, &good, sizeof(req));
	}

	there = put(self, &req, sizeof(req), place);
	ret = call(self->vm, KVM_SET_USER_MEMORY_REGION2, there);
	/* Which of the errnos is the base kernel's business; that there is one is ours. */
	if (!is_readable(place)) {
		ASSERT_EQ(-EFAULT, ret)
			WHERE;
	} else if (spoiled) {
		ASSERT_TRUE(ret == -EINVAL || ret == -EEXIST || ret == -EBADF) {
			WHERE;
			log_slot(_metadata, &req, ret);
		}
	} else {
		ASSERT_EQ(0, ret) {
			WHERE;
			log_slot(_metadata, &req, ret);
		}
	}
	self->failed += !!ret;
	self->worked += !ret;
	if (!ret) {
		self->slot = req.memory_size;
		self->slot_gpa = req.guest_phys_addr;
	}
}

/* Userspace touches a page, which is allowed to a shared one only. */
static void touch(struct __test_metadata *_metadata, SELF)
{
	u64 n = rnd(self, NR_PAGES), stamp = 1 + rnd(self, 1ULL << 40);
	int ret;

	if (!self->mem)
		return;

	ret = gmem_host_write64(self->mem + OFF(n), stamp);
	ASSERT_EQ(self->attr[n] == GMEM_PRIVATE ? SIGBUS : 0, ret)
		WHERE;
	if (!ret) {
		self->presence[n] = THERE;
		self->content[n] = stamp;
	}
}

/* The file is as it should be, by its own word. */
static void check_state(struct __test_metadata *_metadata, SELF)
{
	struct kvm_memory_attributes2 attr;
	u64 n, end, i;

	for (n = 0; n < NR_PAGES; n = end) {
		ASSERT_EQ(0, gmem_get_attr(self->fd, OFF(n), OFF(NR_PAGES - n), &attr))
			WHERE;
		end = n + attr.size / page;
		ASSERT_LT(n, end);
		ASSERT_LE(end, NR_PAGES);
		for (i = n; i < end; i++) {
			ASSERT_EQ(self->attr[i], attr.attributes)
				WHERE;
			ASSERT_EQ(self->presence[i], attr.flags)
				WHERE;
		}
	}
}

static void check_content(struct __test_metadata *_metadata, SELF)
{
	u64 n, val;

	for (n = 0; n < NR_PAGES; n++) {
		if (self->presence[n] != THERE || self->attr[n] == GMEM_PRIVATE)
			continue;
		ASSERT_EQ(0, gmem_host_read64(self->mem + OFF(n), &val))
			WHERE;
		ASSERT_EQ(self->content[n], val) {
			WHERE;
			TH_LOG("page %llu", (unsigned long long)n);
		}
	}
}

TEST_F_TIMEOUT(fuzz, calls, 300)
{
	u64 steps = env("GMEM_FUZZ_STEPS", STEPS);
	bool tells = variant->private && (variant->flags & OWNS);

	for (self->step = 0; self->step < steps; self->step++) {
		switch (rnd(self, 10)) {
		case 0:
			create(_metadata, self);
			break;
		case 1:
			slot(_metadata, self);
			break;
		case 2:
			other_ioctl(_metadata, self);
			break;
		case 3:
			allocate(_metadata, self);
			break;
		case 4:
		case 5:
			touch(_metadata, self);
			break;
		default:
			set_or_get(_metadata, self, variant);
			break;
		}
		if (tells)
			check_state(_metadata, self);
		if (self->mem && one_in(self, 64))
			check_content(_metadata, self);
	}

	/* Neither side of it may be idle. */
	EXPECT_LT(steps / 8, self->worked);
	EXPECT_LT(steps / 8, self->failed);
	TH_LOG("%llu calls worked, %llu failed as they deserve",
	       (unsigned long long)self->worked, (unsigned long long)self->failed);
}

int main(int argc, char **argv)
{
	page = getpagesize();
	return test_harness_run(argc, argv);
}
