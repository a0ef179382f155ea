// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to remember which pages of a guest_memfd are private: checkerboards of a
 * gigabyte, to whose memory cgroup that is charged, and what happens where there is no memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "gmem_test.h"
#include "guest_memfd_util.h"

#define OWNS		GUEST_MEMFD_FLAG_MMAP

FIXTURE(large) {
	int vm;
	int kmsg;
};

FIXTURE_SETUP(large)
{
	self->kmsg = gmem_kmsg_open();
	self->vm = gmem_vm_open(gmem_private_vm_type());
	ASSERT_LE(0, self->vm);
}

FIXTURE_TEARDOWN(large)
{
	close(self->vm);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

/* A gigabyte, or what an emulated kernel full of checks gets through in reasonable time. */
static u64 pages_for_a_checkerboard(int vm)
{
	u64 count = 1 << 18, start, i, per_page;
	int fd = gmem_create(vm, OFF(4096), OWNS);

	TEST_ASSERT(fd >= 0, "guest_memfd: %d", fd);
	start = gmem_now_us();
	for (i = 0; i < 4096; i++) {
		TEST_ASSERT(!gmem_set_attr(fd, OFF(i), page, i & 1 ? 0 : GMEM_PRIVATE), "convert");
		gmem_attr_of(fd, OFF(i));
	}
	per_page = (gmem_now_us() - start) / 4096;
	close(fd);
	while (count > 1 << 14 && count * per_page > 15 * 1000000)
		count /= 2;
	return count;
}

/* Every second page of a private file is shared: read back, undone at once, closed. */
static void checkerboard(struct __test_metadata *_metadata, int fd, u64 count, u64 flags)
{
	struct kvm_memory_attributes2 attr;
	u64 i;

	for (i = 0; i < count; i += 2)
		ASSERT_EQ(0, gmem_set_attr(fd, OFF(i), page, GMEM_SHARED));
	for (i = 0; i < count; i++) {
		ASSERT_EQ(0, gmem_get_attr(fd, OFF(i), OFF(count - i), &attr));
		ASSERT_EQ(page, attr.size);
		ASSERT_EQ(i & 1 ? GMEM_PRIVATE : GMEM_SHARED, attr.attributes);
		ASSERT_EQ(flags, attr.flags);
	}
	EXPECT_EQ(0, gmem_set_attr(fd, 0, OFF(count), GMEM_PRIVATE));
	EXPECT_EQ(0, gmem_get_attr(fd, 0, OFF(count), &attr));
	EXPECT_EQ(OFF(count), attr.size);
	EXPECT_EQ(GMEM_PRIVATE, attr.attributes);

	/* It has gone whole; what is closed now is a checkerboard once more. */
	for (i = 1; i < count; i += 2)
		ASSERT_EQ(0, gmem_set_attr(fd, OFF(i), page, GMEM_SHARED));
	close(fd);
}

TEST_F_TIMEOUT(large, checkerboard_of_a_gigabyte, 300)
{
	u64 count = pages_for_a_checkerboard(self->vm);
	int fd = gmem_create(self->vm, OFF(count), OWNS);

	ASSERT_LE(0, fd);
	checkerboard(_metadata, fd, count, 0);
	TH_LOG("%ju pages", (uintmax_t)count);
}

/*
 * Runs are kept in a tree of nodes of at most 16: some of these numbers make a node full, and
 * some give a tree one more level. A tree goes when one conversion covers it all, and when the
 * file is closed. What becomes of it is seen by the kernel log alone, and only later if the
 * kernel has no checks.
 */
TEST_F_TIMEOUT(large, files_with_any_number_of_runs, 900)
{
	u64 count, i, round;
	int fd;

	for (count = 1; count <= 400; count++) {
		fd = gmem_create(self->vm, OFF(2 * count + 1), OWNS);
		ASSERT_LE(0, fd);
		for (round = 0; round < 2; round++) {
			ASSERT_EQ(0, gmem_set_attr(fd, 0, OFF(2 * count + 1), GMEM_PRIVATE));
			for (i = 0; i < count; i++)
				ASSERT_EQ(0, gmem_set_attr(fd, OFF(2 * i + 1), page, GMEM_SHARED));
		}
		close(fd);
	}
	/* Trees are freed some time after they have gone. */
	sleep(1);
}

TEST_F_TIMEOUT(large, checkerboard_of_a_gigabyte_in_memory, 300)
{
	u64 size = OFF(pages_for_a_checkerboard(self->vm));
	u64 before = gmem_free_kb(), after;
	int fd;

	if (before < size / 1024 * 5 / 4)
		SKIP(return, "%ju MiB of free memory are not enough", (uintmax_t)before / 1024);
	fd = gmem_create(self->vm, size, OWNS);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size));
	checkerboard(_metadata, fd, size / page, KVM_MEMORY_ATTRIBUTES2_POPULATED);
	TH_LOG("%ju pages", (uintmax_t)(size / page));
	after = gmem_settled_free_kb(before - gmem_free_slack_kb());
	EXPECT_LT(before, after + gmem_free_slack_kb())
		TH_LOG("%ju kB free before, %ju after", (uintmax_t)before, (uintmax_t)after);
}

#define CGROUPS		"/sys/fs/cgroup"

static u64 slab_of(const char *dir)
{
	u64 val;

	TEST_ASSERT(gmem_read_field(dir, "memory.stat", "slab_unreclaimable", &val),
		    "no slab_unreclaimable");
	return val;
}

/*
 * A process in a memory cgroup of its own, which the OOM killer leaves alone, and what it is
 * asked to do there: share @count pages, every second one from @first on. How many went well?
 * Asked by memory and semaphores, for anything else needs memory that it may not have.
 */
struct caged {
	char dir[64];
	pid_t pid;
	sem_t ask, answer;
	int fd;
	u64 first, count, done;
	int ret;
};

static void caged_process(struct caged *c)
{
	for (;;) {
		if (sem_wait(&c->ask))
			continue;
		c->ret = 0;
		for (c->done = 0; c->done < c->count && !c->ret; c->done += !c->ret)
			c->ret = gmem_set_attr(c->fd, OFF(c->first + 2 * c->done), page,
					       GMEM_SHARED);
		sem_post(&c->answer);
	}
}

static void cage_share(struct caged *c, int fd, u64 first, u64 count)
{
	c->fd = fd;
	c->first = first;
	c->count = count;
	sem_post(&c->ask);
	while (sem_wait(&c->answer))
		;
}

static struct caged *cage_open(void)
{
	struct caged *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char name[16];
	pid_t pid;
	u64 val;

	TEST_ASSERT(c != MAP_FAILED, "mmap: errno %d", errno);
	snprintf(c->dir, sizeof(c->dir), CGROUPS "/gmem%d", getpid());
	gmem_write_to(CGROUPS, "cgroup.subtree_control", "+memory");
	if (mkdir(c->dir, 0700))
		return NULL;
	if (!gmem_read_field(c->dir, "memory.stat", "slab_unreclaimable", &val)) {
		rmdir(c->dir);
		return NULL;
	}
	sem_init(&c->ask, 1, 0);
	sem_init(&c->answer, 1, 0);
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: errno %d", errno);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		caged_process(c);
	}
	c->pid = pid;
	snprintf(name, sizeof(name), "%d", pid);
	TEST_ASSERT(!gmem_write_to(c->dir, "cgroup.procs", name), "cgroup.procs");
	snprintf(name, sizeof(name), "/proc/%d", pid);
	TEST_ASSERT(!gmem_write_to(name, "oom_score_adj", "-1000"), "oom_score_adj");
	return c;
}

static void cage_close(struct caged *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	rmdir(c->dir);
}

/* A checkerboard is memory too, and that of him who makes it. */
TEST_F_TIMEOUT(large, what_records_a_change_is_charged, 120)
{
	const u64 count = 1 << 15;
	/* 16 bytes a run is as dense as it can be; half of it is asked for. */
	const u64 least = count * 16 / 2;
	int fd = gmem_create(self->vm, OFF(count), OWNS);
	struct caged *c = cage_open();
	u64 before, after;

	ASSERT_LE(0, fd);
	if (!c)
		SKIP(return, "no memory cgroups here");
	cage_share(c, fd, 0, 16);
	EXPECT_EQ(0, c->ret);
	before = slab_of(c->dir);
	cage_share(c, fd, 32, count / 2 - 16);
	EXPECT_EQ(0, c->ret);
	after = slab_of(c->dir);
	EXPECT_LE(before + least, after)
		TH_LOG("%ju bytes charged before, %ju with %ju runs", (uintmax_t)before,
		       (uintmax_t)after, (uintmax_t)count);
	cage_close(c);
	close(fd);
}

/* -ENOMEM: as much as fits is recorded, and what does not fit has not happened. */
TEST_F_TIMEOUT(large, no_memory_to_record_a_change, 120)
{
	const u64 count = 1 << 18;
	int fd = gmem_create(self->vm, OFF(count), OWNS);
	struct kvm_memory_attributes2 attr;
	struct caged *c = cage_open();
	char max[24];
	u64 end, now;

	ASSERT_LE(0, fd);
	if (!c)
		SKIP(return, "no memory cgroups here");
	cage_share(c, fd, 0, 16);
	EXPECT_EQ(0, c->ret);
	ASSERT_TRUE(gmem_read_field(c->dir, "memory.current", "", &now));
	snprintf(max, sizeof(max), "%lu", now + (1 << 18));
	EXPECT_EQ(0, gmem_write_to(c->dir, "memory.max", max));

	cage_share(c, fd, 32, count / 2 - 16);
	EXPECT_EQ(-ENOMEM, c->ret)
		TH_LOG("%ju pages were shared with 256 KiB", (uintmax_t)c->done);
	if (c->ret) {
		end = 32 + 2 * c->done;
		EXPECT_EQ(0, gmem_get_attr(fd, OFF(end - 2), OFF(2), &attr));
		EXPECT_EQ(GMEM_SHARED, attr.attributes);
		EXPECT_EQ(page, attr.size);
		EXPECT_EQ(0, gmem_get_attr(fd, OFF(end - 1), OFF(count - end + 1), &attr));
		EXPECT_EQ(GMEM_PRIVATE, attr.attributes);
		EXPECT_EQ(OFF(count - end + 1), attr.size);

		/* He who has memory can do it. */
		EXPECT_EQ(0, gmem_write_to(c->dir, "memory.max", "max"));
		cage_share(c, fd, end, 1);
		EXPECT_EQ(0, c->ret);
		EXPECT_EQ(GMEM_SHARED, gmem_attr_of(fd, OFF(end)));
	}
	EXPECT_EQ(0, gmem_set_attr(fd, 0, OFF(count), GMEM_PRIVATE));
	cage_close(c);
	close(fd);
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, gmem_require_private);
}
