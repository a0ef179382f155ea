// SPDX-License-Identifier: GPL-2.0-only
/*
 * Races of guest_memfd conversions against everything else that userspace can do to the file,
 * its mappings, its slots and its VM; no guest.
 *
 * Each test lets a few racers go at the same file, for a second and for some steps of each;
 * guest_memfd_race.h says how every single outcome is judged. When all have stopped,
 * attributes, access and content have to agree for every page.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "gmem_test.h"
#include "guest_memfd_race.h"

#define LIMIT_S		150

/* A conversion of all, with nobody about; deferred work may hold a page for a moment. */
static int convert_all(struct arena *a, u64 attr, u64 *err)
{
	int ret, i;

	for (i = 0; i < 500; i++) {
		ret = gmem_set_attr_err(a->fd, 0, OFF(RACE_PAGES), attr, err);
		if (ret != -EAGAIN || a->bad[*err / page])
			break;
		usleep(10000);
	}
	return ret;
}

/* What the attribute says is what an access finds. */
static void agree(struct __test_metadata *_metadata, struct arena *a)
{
	u64 val, attr;
	int n, sig;

	for (n = 0; n < RACE_PAGES; n++) {
		attr = gmem_attr_of(a->fd, OFF(n));
		sig = gmem_host_read64(a->mem + OFF(n), &val);
		if (!a->uncertain)
			EXPECT_EQ(race_epoch(a, n) % STATES == PRIVATE, !!attr)
				TH_LOG("attribute of page %d", n);
		EXPECT_EQ(attr || a->bad[n] ? SIGBUS : 0, sig)
			TH_LOG("page %d", n);
		if (sig == SIGBUS && !attr)
			EXPECT_EQ(BUS_MCEERR_AR, gmem_signal_code());
	}
}

/* The content of all; what is bad counts as nothing. */
static void read_all(struct __test_metadata *_metadata, struct arena *a, u64 *vals)
{
	struct racer reader = { .name = "afterwards", .arena = a };
	int n;

	for (n = 0; n < RACE_PAGES; n++) {
		vals[n] = 0;
		EXPECT_EQ(a->bad[n] ? SIGBUS : 0, gmem_host_read64(a->mem + OFF(n), &vals[n]))
			TH_LOG("page %d", n);
		if (!a->bad[n])
			race_judge_value(&reader, "reading", n, vals[n]);
	}
	EXPECT_EQ(0, reader.wrong);
}

static void settle(struct __test_metadata *_metadata, struct arena *a)
{
	u64 before[RACE_PAGES], after[RACE_PAGES], err, val;
	bool bad = false;
	int n, ret;

	agree(_metadata, a);
	EXPECT_EQ(0, convert_all(a, GMEM_SHARED, &err));
	read_all(_metadata, a, before);
	for (n = 0; n < RACE_PAGES; n++)
		bad |= a->bad[n];

	/* A bad page stays referenced, by those who look after bad pages. */
	ret = convert_all(a, GMEM_PRIVATE, &err);
	EXPECT_EQ(bad ? -EAGAIN : 0, ret);
	EXPECT_TRUE(!ret || a->bad[err / page]);
	for (n = 0; n < RACE_PAGES; n++)
		EXPECT_EQ(ret && !a->bad[n] ? 0 : SIGBUS, gmem_host_read64(a->mem + OFF(n), &val));

	EXPECT_EQ(0, convert_all(a, GMEM_SHARED, &err));
	read_all(_metadata, a, after);
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
}

static void run(struct __test_metadata *_metadata, struct race *race)
{
	char line[400] = "";
	unsigned int i;
	int n = 0;

	race_run(race);
	for (i = 0; i < race->nr_racers; i++) {
		struct racer *r = &race->racer[i];

		EXPECT_EQ(0, r->wrong)
			TH_LOG("%s", r->name);
		n += snprintf(line + n, sizeof(line) - n, " %s %ju/%ju", r->name,
			      (uintmax_t)r->steps, (uintmax_t)r->busy);
	}
	TH_LOG("steps/busy:%s", line);
	for (i = 0; i < MAX_ARENAS; i++) {
		if (race->arena[i].mem)
			settle(_metadata, &race->arena[i]);
	}
}

FIXTURE(race) {
	struct race *race;
	struct arena *a;
	int kmsg;
};

FIXTURE_SETUP(race)
{
	self->kmsg = gmem_kmsg_open();
	self->race = race_create();
	self->a = &self->race->arena[0];
}

FIXTURE_TEARDOWN(race)
{
	arena_end(self->a);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

TEST_F_TIMEOUT(race, host_faults, LIMIT_S)
{
	arena_bind(self->a);
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "touch", racer_touch, THREAD);
	race_add(self->race, self->a, "populate", racer_populate, THREAD);
	race_add(self->race, self->a, "touch-process", racer_touch, PROCESS);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, punch_hole, LIMIT_S)
{
	self->a->holes = true;
	arena_bind(self->a);
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "touch", racer_touch, THREAD);
	race_add(self->race, self->a, "punch", racer_punch, THREAD);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, fallocate, LIMIT_S)
{
	self->a->holes = true;
	arena_bind(self->a);
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "touch", racer_touch, THREAD);
	race_add(self->race, self->a, "punch", racer_punch, PROCESS);
	race_add(self->race, self->a, "allocate", racer_allocate, THREAD);
	race_add(self->race, self->a, "allocate-process", racer_allocate, PROCESS);
	run(_metadata, self->race);
}

/* Two share half of their parts, so that one or the other may be bound. */
TEST_F_TIMEOUT(race, memslots, LIMIT_S)
{
	struct racer *r;
	int i;

	self->a->holes = true;
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "punch", racer_punch, THREAD);
	race_add(self->race, self->a, "touch", racer_touch, PROCESS);
	for (i = 0; i < 3; i++) {
		r = race_add(self->race, self->a, "slot", racer_toggle_slot, THREAD);
		r->first = i * 8;
		r->nr = i < 2 ? 16 : 8;
	}
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, files_that_come_and_go, LIMIT_S)
{
	arena_bind(self->a);
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "touch", racer_touch, PROCESS);
	race_add(self->race, self->a, "file", racer_file_life, THREAD);
	race_add(self->race, self->a, "file", racer_file_life, THREAD);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, vms_that_come_and_go, LIMIT_S)
{
	arena_bind(self->a);
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "vm", racer_vm_life, THREAD);
	race_add(self->race, self->a, "vm-process", racer_vm_life, PROCESS);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, mappings_that_come_and_go, LIMIT_S)
{
	arena_bind(self->a);
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "remap", racer_remap, THREAD);
	race_add(self->race, self->a, "remap-process", racer_remap, PROCESS);
	race_add(self->race, self->a, "fork", racer_fork_and_use, PROCESS);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, transient_references, LIMIT_S)
{
	arena_bind(self->a);
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "process_vm", racer_vm_copy, PROCESS);
	race_add(self->race, self->a, "vmsplice", racer_hold_in_pipe, THREAD);
	race_add(self->race, self->a, "io_uring", racer_register_buffer, THREAD);
	race_add(self->race, self->a, "copy", racer_copy, THREAD);
	run(_metadata, self->race);
}

/* The same, while the pages go away under the references. */
TEST_F_TIMEOUT(race, references_and_holes, LIMIT_S)
{
	self->a->holes = true;
	arena_bind(self->a);
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "process_vm", racer_vm_copy, PROCESS);
	race_add(self->race, self->a, "vmsplice", racer_hold_in_pipe, THREAD);
	race_add(self->race, self->a, "punch", racer_punch, THREAD);
	run(_metadata, self->race);
}

/*
 * 0-11 is only ever made private, 20-31 shared; between them it goes both ways, as a whole,
 * and those who look see it as a whole.
 */
TEST_F_TIMEOUT(race, opposite_directions, LIMIT_S)
{
	struct racer *r;

	self->a->uncertain = true;
	arena_bind(self->a);
	r = race_add(self->race, self->a, "to-private", racer_convert_own_range, THREAD);
	r->first = 0;
	r->nr = 20;
	r->private = true;
	r = race_add(self->race, self->a, "to-shared", racer_convert_own_range, THREAD);
	r->first = 12;
	r->nr = 20;
	r = race_add(self->race, self->a, "get", racer_get_own_range, THREAD);
	r->first = 12;
	r->nr = 8;
	r = race_add(self->race, self->a, "get-shared", racer_get_own_range, PROCESS);
	r->first = 20;
	r->nr = 12;
	race_add(self->race, self->a, "touch", racer_touch, THREAD);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, two_vms, LIMIT_S)
{
	struct arena *other = &self->race->arena[1];

	arena_begin(other, 2);
	arena_bind(self->a);
	arena_bind(other);
	race_add(self->race, self->a, "convert-1", racer_convert, THREAD);
	race_add(self->race, self->a, "touch-1", racer_touch, THREAD);
	race_add(self->race, self->a, "touch-1", racer_touch, PROCESS);
	race_add(self->race, other, "convert-2", racer_convert, THREAD);
	race_add(self->race, other, "touch-2", racer_touch, THREAD);
	race_add(self->race, other, "splice-2", racer_hold_in_pipe, THREAD);
	run(_metadata, self->race);
	arena_end(other);
}

TEST_F_TIMEOUT(race, readers_of_the_map, LIMIT_S)
{
	arena_bind(self->a);
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "get", racer_get, THREAD);
	race_add(self->race, self->a, "debugfs", racer_read_map, THREAD);
	race_add(self->race, self->a, "get-process", racer_get, PROCESS);
	race_add(self->race, self->a, "file", racer_file_life, THREAD);
	run(_metadata, self->race);
}

/* Pages come under the same lock that readers hold. */
TEST_F_TIMEOUT(race, readers_while_pages_come_and_go, LIMIT_S)
{
	self->a->holes = true;
	arena_bind(self->a);
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "get", racer_get, THREAD);
	race_add(self->race, self->a, "debugfs", racer_read_map, PROCESS);
	race_add(self->race, self->a, "allocate", racer_allocate, THREAD);
	race_add(self->race, self->a, "punch", racer_punch, PROCESS);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, all_at_once, LIMIT_S)
{
	struct racer *r;

	self->a->holes = true;
	race_add(self->race, self->a, "convert", racer_convert, THREAD);
	race_add(self->race, self->a, "touch", racer_touch, PROCESS);
	race_add(self->race, self->a, "punch", racer_punch, THREAD);
	race_add(self->race, self->a, "allocate", racer_allocate, PROCESS);
	r = race_add(self->race, self->a, "slot", racer_toggle_slot, THREAD);
	r->first = 4;
	r->nr = 20;
	race_add(self->race, self->a, "remap", racer_remap, THREAD);
	race_add(self->race, self->a, "process_vm", racer_vm_copy, PROCESS);
	race_add(self->race, self->a, "vmsplice", racer_hold_in_pipe, THREAD);
	race_add(self->race, self->a, "get", racer_get, THREAD);
	race_add(self->race, self->a, "debugfs", racer_read_map, THREAD);
	run(_metadata, self->race);
}

/*
 * The last one: where conversion and memory failure wait for each other, what follows would
 * wait too. The frames are lost, but the file can have others.
 */
TEST_F_TIMEOUT(race, memory_failure, LIMIT_S)
{
	struct arena *a = self->a;
	u64 err, val;
	int n;

	if (access("/sys/devices/system/memory/hard_offline_page", W_OK) || !a->pfn[0])
		SKIP(return, "no hard_offline_page in this kernel");
	arena_bind(a);
	race_add(self->race, a, "convert", racer_convert, THREAD);
	race_add(self->race, a, "touch", racer_touch, PROCESS);
	race_add(self->race, a, "report", racer_report_bad, THREAD);
	race_add(self->race, a, "get", racer_get, THREAD);
	run(_metadata, self->race);

	EXPECT_EQ(0, gmem_punch(a->fd, 0, OFF(RACE_PAGES)));
	memset(a->bad, 0, sizeof(a->bad));
	/* What the page tables say of bad memory is not undone by the file. */
	EXPECT_EQ(0, madvise(a->mem, OFF(RACE_PAGES), MADV_DONTNEED));
	for (n = 0; n < RACE_PAGES; n++) {
		EXPECT_EQ(0, gmem_host_get64(a->mem + OFF(n)));
		gmem_host_set64(a->mem + OFF(n), race_stamp(a, n, 1));
	}
	EXPECT_EQ(0, convert_all(a, GMEM_PRIVATE, &err));
	EXPECT_EQ(SIGBUS, gmem_host_read64(a->mem, &val));
	EXPECT_EQ(0, convert_all(a, GMEM_SHARED, &err));
	EXPECT_EQ(race_stamp(a, 1, 1), gmem_host_get64(a->mem + OFF(1)));
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, gmem_require_private);
}
