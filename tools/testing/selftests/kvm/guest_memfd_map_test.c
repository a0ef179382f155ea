// SPDX-License-Identifier: GPL-2.0-only
/*
 * The map of a guest_memfd in debugfs: a file for each of them in the VM's directory. A line is
 *
 *	START-END private|shared resident|poisoned|hole|given-up GFN-GFN slot N
 *
 * or "unbound" instead of frames and slot, for as much as all of that holds. START and END
 * are bytes of the file, the frames the guest's; both ends are the first that is not meant.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kernel.h>
#include <linux/sizes.h>

#include "guest_memfd_layout.h"

FIXTURE(map) {
	struct gmem_guest g;
	int kmsg;
};

FIXTURE_SETUP(map)
{
	self->kmsg = gmem_kmsg_open();
	gmem_guest_create(&self->g);
}

FIXTURE_TEARDOWN(map)
{
	gmem_guest_close(&self->g);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

static void map_path(char *path, size_t size, struct gmem_guest *g, int fd)
{
	int ret = gmem_map_path(path, size, getpid(), gmem_guest_vm(g), fd);

	TEST_ASSERT(!ret, "fstat: %d", ret);
}

/* All of it, @chunk bytes at a time; NULL and errno if it cannot be read. */
static char *map_read(const char *path, size_t chunk)
{
	size_t used = 0, room = SZ_1M;
	char *text = malloc(room);
	int fd = open(path, O_RDONLY);
	ssize_t n = -1;

	while (fd >= 0) {
		if (used + chunk >= room)
			text = realloc(text, room *= 2);
		n = pread(fd, text + used, chunk, used);
		if (n <= 0)
			break;
		used += n;
	}
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[used] = '\0';
	/* A debug kernel tells more. */
	gmem_map_host_view(text);
	return text;
}

/* What a slot shows, in the file's order. */
struct bound {
	u64 offset, size, gpa;
	int slot;
};

/* The map as GET_MEMORY_ATTRIBUTES2 and the slots tell it. */
static char *map_expected(const struct gmem_file *f, const struct bound *b, int nr)
{
	size_t used = 0, room = SZ_1M;
	char *text = malloc(room);
	u64 start, end;

	for (start = 0; start < f->size; start = end) {
		struct kvm_memory_attributes2 attr;

		while (nr && b->offset + b->size <= start) {
			b++;
			nr--;
		}
		TEST_ASSERT(!gmem_get_attr(f->fd, start, f->size - start, &attr) && attr.size,
			    "GET_MEMORY_ATTRIBUTES2 of %#lx", (unsigned long)start);
		end = start + attr.size;
		if (nr && start < b->offset)
			end = min(end, b->offset);
		else if (nr)
			end = min(end, b->offset + b->size);

		if (room - used < 200)
			text = realloc(text, room *= 2);
		used += sprintf(text + used, "%016lx-%016lx %s %s ", (unsigned long)start,
				(unsigned long)end,
				attr.attributes & GMEM_PRIVATE ? "private" : "shared",
				gmem_presence_word(attr.flags));
		if (nr && start >= b->offset)
			used += sprintf(text + used, "%lx-%lx slot %d\n",
					(unsigned long)((b->gpa + start - b->offset) / page),
					(unsigned long)((b->gpa + end - b->offset) / page),
					b->slot);
		else
			used += sprintf(text + used, "unbound\n");
	}
	text[used] = '\0';
	return text;
}

/* Equal, or the first line that is not goes to the log. */
static bool map_same(const char *want, const char *got)
{
	const char *w = want, *g = got;

	while (*w && *w == *g) {
		w++;
		g++;
	}
	if (*w == *g)
		return true;
	while (w > want && w[-1] != '\n') {
		w--;
		g--;
	}
	fprintf(stderr, "# map: want \"%.*s\"\n#       got \"%.*s\"\n",
		(int)strcspn(w, "\n"), w, (int)strcspn(g, "\n"), g);
	return false;
}

#define EXPECT_MAP(f, bound, nr) do {					\
	char __path[128], *__want = map_expected(f, bound, nr), *__got;	\
									\
	map_path(__path, sizeof(__path), &self->g, (f)->fd);		\
	__got = map_read(__path, SZ_64K);				\
	ASSERT_NE(NULL, __got);						\
	EXPECT_TRUE(map_same(__want, __got));				\
	free(__want);							\
	free(__got);							\
} while (0)

/* Kernels without debugfs are fine; with it, the map has to be there. */
static bool no_debugfs(void)
{
	return access("/sys/kernel/debug/kvm", X_OK);
}

TEST_F(map, map_comes_and_goes_with_the_file)
{
	char path[2][128], dir[128], *text;
	struct gmem_file f[2];
	int copy, open_map;

	if (no_debugfs())
		SKIP(return, "no debugfs");
	gmem_file_create(&f[0], gmem_guest_vm(&self->g), OFF(4));
	gmem_file_create(&f[1], gmem_guest_vm(&self->g), OFF(8));
	map_path(path[0], sizeof(path[0]), &self->g, f[0].fd);
	map_path(path[1], sizeof(path[1]), &self->g, f[1].fd);
	EXPECT_NE(0, strcmp(path[0], path[1]));
	EXPECT_EQ(0, access(path[0], R_OK));
	EXPECT_EQ(0, access(path[1], R_OK));

	/* Another descriptor of it is the same file; a slot does not keep it. */
	copy = dup(f[0].fd);
	ASSERT_EQ(0, bind(&self->g, 0, MEM_GPA, OFF(4), &f[0], 0));
	gmem_file_close(&f[0]);
	EXPECT_EQ(0, access(path[0], R_OK));
	open_map = open(path[0], O_RDONLY);
	ASSERT_LE(0, open_map);
	text = map_read(path[0], 10);
	EXPECT_NE(NULL, text);
	free(text);
	close(copy);
	EXPECT_EQ(-1, access(path[0], F_OK));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(0, access(path[1], R_OK));

	/* Whoever has the map open still gets nothing of a file that is gone. */
	EXPECT_GE(0, pread(open_map, dir, sizeof(dir), 0));
	close(open_map);

	/* A file outlives everything else of its VM, and so does its map. */
	gmem_guest_close(&self->g);
	text = map_read(path[1], SZ_4K);
	ASSERT_NE(NULL, text);
	EXPECT_TRUE(map_same("0000000000000000-0000000000008000 shared hole unbound\n", text));
	free(text);
	gmem_file_close(&f[1]);
	EXPECT_EQ(-1, access(path[1], F_OK));
	EXPECT_EQ(ENOENT, errno);
	*strrchr(path[1], '/') = '\0';
	EXPECT_EQ(-1, access(path[1], F_OK));

	gmem_guest_create(&self->g);
}

TEST_F(map, map_is_exact)
{
	const struct bound bound[] = {
		{ OFF(2), OFF(8), MEM_GPA + SZ_1M, 0 },
		{ OFF(20), OFF(8), MEM_GPA, 1 },
		{ OFF(40), OFF(16), MEM_GPA + SZ_1M + OFF(8), 2 },
	};
	char path[128], *text;
	struct gmem_file f;

	if (no_debugfs())
		SKIP(return, "no debugfs");
	gmem_file_create(&f, gmem_guest_vm(&self->g), OFF(PARTS_ALL));
	map_path(path, sizeof(path), &self->g, f.fd);
	text = map_read(path, SZ_4K);
	ASSERT_NE(NULL, text);
	EXPECT_TRUE(map_same("0000000000000000-0000000000040000 shared hole unbound\n", text));
	free(text);

	bind_parts(&self->g, &f);
	EXPECT_MAP(&f, bound, 3);

	/* Runs that end in the middle of slots, at their ends and where others do. */
	file_tag(&f, 0, 1);
	file_tag(&f, 3, 2);
	file_tag(&f, 8, 4);
	file_tag(&f, 20, 8);
	file_tag(&f, 39, 2);
	file_tag(&f, 63, 1);
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(4), OFF(6), GMEM_PRIVATE));
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(24), OFF(18), GMEM_PRIVATE));
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(62), OFF(2), GMEM_PRIVATE));
	text = map_read(path, SZ_4K);
	ASSERT_NE(NULL, text);
	EXPECT_TRUE(map_same(
		"0000000000000000-0000000000001000 shared resident unbound\n"
		"0000000000001000-0000000000002000 shared hole unbound\n"
		"0000000000002000-0000000000003000 shared hole c0100-c0101 slot 0\n"
		"0000000000003000-0000000000004000 shared resident c0101-c0102 slot 0\n"
		"0000000000004000-0000000000005000 private resident c0102-c0103 slot 0\n"
		"0000000000005000-0000000000008000 private hole c0103-c0106 slot 0\n"
		"0000000000008000-000000000000a000 private resident c0106-c0108 slot 0\n"
		"000000000000a000-000000000000c000 shared resident unbound\n"
		"000000000000c000-0000000000014000 shared hole unbound\n"
		"0000000000014000-0000000000018000 shared resident c0000-c0004 slot 1\n"
		"0000000000018000-000000000001c000 private resident c0004-c0008 slot 1\n"
		"000000000001c000-0000000000027000 private hole unbound\n"
		"0000000000027000-0000000000028000 private resident unbound\n"
		"0000000000028000-0000000000029000 private resident c0108-c0109 slot 2\n"
		"0000000000029000-000000000002a000 private hole c0109-c010a slot 2\n"
		"000000000002a000-0000000000038000 shared hole c010a-c0118 slot 2\n"
		"0000000000038000-000000000003e000 shared hole unbound\n"
		"000000000003e000-000000000003f000 private hole unbound\n"
		"000000000003f000-0000000000040000 private resident unbound\n", text));
	free(text);
	EXPECT_MAP(&f, bound, 3);

	/* And follows what the guest does. */
	EXPECT_EQ(0, gmem_guest_store(&self->g, part_gpa(5), 1));
	EXPECT_MAP(&f, bound, 3);
	ASSERT_TRUE(gmem_guest_gives(&self->g, part_gpa(5), 2, f.fd, OFF(5)));
	EXPECT_MAP(&f, bound, 3);
	EXPECT_EQ(0, gmem_punch(f.fd, OFF(4), OFF(18)));
	EXPECT_MAP(&f, bound, 3);
	EXPECT_EQ(KVM_MEMORY_ATTRIBUTES2_GIVEN_UP, gmem_presence(f.fd, OFF(21)));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(f.fd, OFF(4)));
	gmem_file_close(&f);
}

TEST_F(map, map_of_a_large_file)
{
	const u64 low = 2ULL * SZ_1G, high = SZ_1G;
	const struct bound bound[] = {
		{ 0, low, GMEM_LOW_GPA, 0 },
		{ low, high, GMEM_HIGH_GPA, 1 },
	};
	struct gmem_file f;
	u64 val = 0;

	if (no_debugfs())
		SKIP(return, "no debugfs");
	gmem_file_create(&f, gmem_guest_vm(&self->g), low + high + SZ_1M);
	ASSERT_EQ(0, bind(&self->g, 0, GMEM_LOW_GPA, low, &f, 0));
	ASSERT_EQ(0, bind(&self->g, 1, GMEM_HIGH_GPA, high, &f, low));
	EXPECT_MAP(&f, bound, 2);
	file_tag(&f, low / page - 1, 2);
	ASSERT_EQ(0, gmem_set_attr(f.fd, SZ_1M, low + high - SZ_1M, GMEM_PRIVATE));
	EXPECT_MAP(&f, bound, 2);
	EXPECT_EQ(0, gmem_guest_load(&self->g, GMEM_HIGH_GPA + SZ_4M, &val));
	EXPECT_MAP(&f, bound, 2);
	gmem_file_close(&f);
}

/* Every page a run of its own: whole, in whatever pieces it is read. */
TEST_F_TIMEOUT(map, map_of_thousands_of_runs, 120)
{
	const size_t chunks[] = { SZ_1M, 100, 7 * SZ_4K + 1 };
	const u64 nr = 4096;
	const struct bound bound[] = {
		{ OFF(1), OFF(nr / 2), MEM_GPA, 3 },
		{ OFF(nr / 2 + 1), OFF(100), MEM_GPA + OFF(nr), 4 },
	};
	char path[128], *want, *got;
	struct gmem_file f;
	size_t i;
	u64 n;

	if (no_debugfs())
		SKIP(return, "no debugfs");
	gmem_file_create(&f, gmem_guest_vm(&self->g), OFF(nr));
	for (i = 0; i < ARRAY_SIZE(bound); i++)
		ASSERT_EQ(0, bind(&self->g, bound[i].slot, bound[i].gpa, bound[i].size, &f,
				  bound[i].offset));
	for (n = 0; n < nr; n += 2)
		ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(n), page, GMEM_PRIVATE));
	for (n = 1; n < nr; n += 6)
		file_tag(&f, n, 1);

	map_path(path, sizeof(path), &self->g, f.fd);
	want = map_expected(&f, bound, ARRAY_SIZE(bound));
	for (n = 0, got = want; (got = strchr(got, '\n')); n++)
		got++;
	EXPECT_EQ(nr, n);
	for (i = 0; i < ARRAY_SIZE(chunks); i++) {
		got = map_read(path, chunks[i]);
		ASSERT_NE(NULL, got);
		EXPECT_TRUE(map_same(want, got))
			TH_LOG("in pieces of %zu bytes", chunks[i]);
		free(got);
	}
	free(want);
	gmem_file_close(&f);
}

struct reader {
	char path[128];
	u64 size;
	atomic_bool stop;
	atomic_ulong whole;	/* maps read to their end */
	unsigned long odd;	/* lines that are not such */
};

/* Each line begins where the one before it ended, however old that is by now. */
static void check_lines(struct reader *r, const char *text)
{
	unsigned long start, end, at = 0;
	char attr[16], there[16];

	for (; *text; text = strchr(text, '\n') + 1) {
		if (sscanf(text, "%lx-%lx %15s %15s", &start, &end, attr, there) != 4 ||
		    start != at || end <= start || !strchr(text, '\n')) {
			fprintf(stderr, "# map: after %lx \"%.80s\"\n", at, text);
			r->odd++;
			return;
		}
		at = end;
	}
	r->odd += at != r->size;
}

static void *read_for_ever(void *arg)
{
	struct reader *r = arg;
	char *text;

	while (!atomic_load(&r->stop)) {
		text = map_read(r->path, 100);
		if (!text)
			continue;
		check_lines(r, text);
		free(text);
		atomic_fetch_add(&r->whole, 1);
	}
	return NULL;
}

/* Somebody reads the map all the while, to the file's end. */
TEST_F_TIMEOUT(map, map_of_what_changes, 120)
{
	struct reader r = { .size = OFF(PARTS_ALL) };
	pthread_t thread;
	struct gmem_file f;
	u64 n, i;

	if (no_debugfs())
		SKIP(return, "no debugfs");
	gmem_file_create(&f, gmem_guest_vm(&self->g), OFF(PARTS_ALL));
	map_path(r.path, sizeof(r.path), &self->g, f.fd);
	ASSERT_EQ(0, access(r.path, R_OK));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_for_ever, &r));
	for (i = 0; i < 50 || atomic_load(&r.whole) < 50; i++) {
		n = i % PARTS_ALL;
		bind_parts(&self->g, &f);
		EXPECT_EQ(0, gmem_set_attr(f.fd, OFF(n), page, GMEM_PRIVATE));
		EXPECT_EQ(0, gmem_set_attr(f.fd, OFF(PARTS_ALL - 1 - n), page, GMEM_SHARED));
		file_tag(&f, PARTS_ALL - 1 - n, 1);
		for (n = 0; n < ARRAY_SIZE(parts); n++)
			EXPECT_EQ(0, gmem_set_slot(gmem_guest_vm(&self->g), n, parts[n].gpa, 0, NULL,
						   -1, 0));
		EXPECT_EQ(0, gmem_punch(f.fd, OFF(i % 7), OFF(i % 20 + 1)));
	}
	gmem_file_close(&f);
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.odd);
	EXPECT_EQ(-1, access(r.path, F_OK));
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, gmem_require_guest);
}
