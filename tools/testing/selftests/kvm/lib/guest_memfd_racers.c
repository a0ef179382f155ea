// SPDX-License-Identifier: GPL-2.0-only
/*
 * The racers over guest_memfd files: one step of each. What one may find is judged by what is
 * known of the page, see the header.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "guest_memfd_race.h"

#define OWNS		GUEST_MEMFD_FLAG_MMAP
#define INIT_SHARED	GUEST_MEMFD_FLAG_INIT_SHARED

#define PAGE		((size_t)getpagesize())
#define OFF(n)		((u64)(n) * PAGE)

/* Userspace reads or writes a page, through any mapping of it. */
static void use(struct racer *me, char *addr, int n)
{
	u32 before = race_epoch(me->arena, n);
	u64 val;
	int sig;

	addr += race_spot(me);
	if (race_rnd(me, 2)) {
		sig = gmem_host_write64(addr, race_stamp(me->arena, n, me->steps));
		race_judge(me, "writing", n, before, !sig);
	} else {
		sig = gmem_host_read64(addr, &val);
		race_judge(me, "reading", n, before, !sig);
		if (!sig)
			race_judge_value(me, "reading", n, val);
	}
	if (sig && sig != SIGBUS)
		race_wrong(me, "page %d: signal %d", n, sig);
	else if (sig && gmem_signal_code() != BUS_ADRERR && !READ_ONCE(me->arena->bad[n]))
		race_wrong(me, "page %d: SIGBUS with code %d", n, gmem_signal_code());
}

void racer_touch(struct racer *me)
{
	int n = race_rnd(me, RACE_PAGES);

	use(me, me->arena->mem + OFF(n), n);
	me->steps++;
}

void racer_populate(struct racer *me)
{
	int advice = race_rnd(me, 2) ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;
	int n = race_rnd(me, RACE_PAGES);
	u32 before = race_epoch(me->arena, n);

	race_judge(me, "populating", n, before, !madvise(me->arena->mem + OFF(n), PAGE, advice));
	me->steps++;
}

/*
 * What a conversion may answer. On success error_offset is as it was.
 */
static bool converted(struct racer *me, int first, int nr, bool private)
{
	u64 err, attr = private ? GMEM_PRIVATE : GMEM_SHARED;
	int ret = gmem_set_attr_err(me->arena->fd, OFF(first), OFF(nr), attr, &err);

	if (!ret) {
		if (err != GMEM_NO_OFFSET)
			race_wrong(me, "error_offset %#lx of a success", (unsigned long)err);
		return true;
	}
	me->busy++;
	if (ret != -EAGAIN || !private)
		race_wrong(me, "%d+%d to %s: %d", first, nr, private ? "private" : "shared", ret);
	else if (err % PAGE || err < OFF(first) || err >= OFF(first + nr))
		race_wrong(me, "%d+%d: error_offset %#lx", first, nr, (unsigned long)err);
	return false;
}

/* The only one who converts may look at once. */
static void judge_converted(struct racer *me, int n)
{
	u64 attr = race_epoch(me->arena, n) % STATES == PRIVATE ? GMEM_PRIVATE : GMEM_SHARED;

	if (gmem_attr_of(me->arena->fd, OFF(n)) != attr)
		race_wrong(me, "page %d has not the attribute %#lx", n, (unsigned long)attr);
	use(me, me->arena->mem + OFF(n), n);
}

void racer_convert(struct racer *me)
{
	struct arena *a = me->arena;
	bool private = race_rnd(me, 2), ok;
	int first, nr, i, changing = 0;

	race_rnd_range(me, &first, &nr);
	for (i = first; i < first + nr; i++) {
		if (race_epoch(a, i) % STATES == (private ? SHARED : PRIVATE)) {
			race_set_state(a, i, private ? LEAVING : COMING);
			changing++;
		}
	}
	ok = converted(me, first, nr, private);
	for (i = first; i < first + nr; i++) {
		if (race_epoch(a, i) % STATES == (private ? LEAVING : COMING))
			race_set_state(a, i, private == ok ? PRIVATE : SHARED);
	}

	judge_converted(me, first + race_rnd(me, nr));
	judge_converted(me, race_rnd(me, RACE_PAGES));
	/* Those that matter: without them, a race is no race. */
	me->steps += private && ok && changing;
}

/* One direction, one range; somebody else does the opposite. */
void racer_convert_own_range(struct racer *me)
{
	me->steps += converted(me, me->first, me->nr, me->private);
}

void racer_punch(struct racer *me)
{
	int first, nr, ret;

	race_rnd_range(me, &first, &nr);
	ret = gmem_punch(me->arena->fd, OFF(first), OFF(nr));
	if (ret)
		race_wrong(me, "%d+%d: %d", first, nr, ret);
	me->steps++;
}

void racer_allocate(struct racer *me)
{
	int first, nr;

	race_rnd_range(me, &first, &nr);
	if (fallocate(me->arena->fd, FALLOC_FL_KEEP_SIZE, OFF(first), OFF(nr)))
		race_wrong(me, "%d+%d: errno %d", first, nr, errno);
	me->steps++;
}

/* Pages of a run have the attribute that their epochs make certain. */
static void judge_run(struct racer *me, const u32 *before, u64 start, u64 end, bool private)
{
	struct arena *a = me->arena;
	u64 n;

	if (a->uncertain)
		return;
	for (n = start / PAGE; n < end / PAGE; n++) {
		if (race_epoch(a, n) != before[n])
			continue;
		if (before[n] % STATES == (private ? SHARED : PRIVATE))
			race_wrong(me, "page %lu is said to be %s", (unsigned long)n,
				   private ? "private" : "shared");
	}
}

static void snapshot(struct arena *a, u32 *epochs)
{
	int n;

	for (n = 0; n < RACE_PAGES; n++)
		epochs[n] = race_epoch(a, n);
}

void racer_get(struct racer *me)
{
	struct kvm_memory_attributes2 attr;
	u32 before[RACE_PAGES];
	int first, nr, ret;

	race_rnd_range(me, &first, &nr);
	snapshot(me->arena, before);
	ret = gmem_get_attr(me->arena->fd, OFF(first), OFF(nr), &attr);
	if (ret || attr.offset != OFF(first) || !attr.size || attr.size % PAGE ||
	    attr.size > OFF(nr) || (attr.attributes & ~GMEM_PRIVATE) ||
	    !gmem_presence_word(attr.flags)) {
		race_wrong(me, "%d+%d: %d, size %#lx, attributes %#lx, flags %#lx", first, nr, ret,
			   (unsigned long)attr.size, (unsigned long)attr.attributes,
			   (unsigned long)attr.flags);
		return;
	}
	judge_run(me, before, attr.offset, attr.offset + attr.size, attr.attributes);
	if (!me->arena->holes && !(attr.flags & KVM_MEMORY_ATTRIBUTES2_POPULATED))
		race_wrong(me, "%d+%d: a hole", first, nr);
	me->steps++;
}

/* A range that is always converted as a whole is never seen half. */
void racer_get_own_range(struct racer *me)
{
	struct kvm_memory_attributes2 attr;
	int ret = gmem_get_attr(me->arena->fd, OFF(me->first), OFF(me->nr), &attr);

	if (ret || attr.size != OFF(me->nr))
		race_wrong(me, "%d+%d: %d, size %#lx", me->first, me->nr, ret,
			   (unsigned long)attr.size);
	me->steps++;
}

static bool is_presence_word(const char *word)
{
	return !strcmp(word, gmem_presence_word(0)) ||
	       !strcmp(word, gmem_presence_word(KVM_MEMORY_ATTRIBUTES2_POPULATED)) ||
	       !strcmp(word, gmem_presence_word(KVM_MEMORY_ATTRIBUTES2_GIVEN_UP)) ||
	       !strcmp(word, gmem_presence_word(GMEM_BAD));
}

/* The end of the run, where the next one begins; 0 if the line is not as it should be. */
static u64 judge_map_line(struct racer *me, const u32 *before, u64 from, const char *line)
{
	char attr[16], pages[16];
	u64 start, end;

	if (sscanf(line, "%lx-%lx %15s %15s", &start, &end, attr, pages) != 4 ||
	    start != from || end <= start || end > OFF(RACE_PAGES) || end % PAGE ||
	    (strcmp(attr, "private") && strcmp(attr, "shared")) ||
	    !is_presence_word(pages)) {
		race_wrong(me, "after %#lx the line %.*s", (unsigned long)from,
			   (int)strcspn(line, "\n"), line);
		return 0;
	}
	judge_run(me, before, start, end, attr[0] == 'p');
	if (!me->arena->holes && strcmp(pages, "resident") && strcmp(pages, "poisoned"))
		race_wrong(me, "a hole at %#lx", (unsigned long)start);
	return end;
}

void racer_read_map(struct racer *me)
{
	struct arena *a = me->arena;
	u32 before[RACE_PAGES];
	bool good = true;
	u64 end = 0;
	char line[128];
	FILE *f;
	int fd;

	snapshot(a, before);
	fd = gmem_map_open(a->pid, a->vm, a->fd);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	/* A kernel without the map: somebody else's test says so. */
	me->steps++;
	if (!f) {
		me->busy++;
		return;
	}
	while (good && fgets(line, sizeof(line), f)) {
		end = judge_map_line(me, before, end, line);
		good = end;
	}
	fclose(f);
	if (good && end != OFF(RACE_PAGES))
		race_wrong(me, "the map ends at %#lx", (unsigned long)end);
}

/* Binds its part of the file and takes it away again; parts of others may overlap. */
void racer_toggle_slot(struct racer *me)
{
	struct arena *a = me->arena;
	u64 gpa = MEM_GPA + ((u64)me->slot << 28), size = me->bound ? 0 : OFF(me->nr);
	int ret = gmem_set_slot(a->vm, me->slot, gpa, size, a->mem + OFF(me->first),
				me->bound ? -1 : a->fd, OFF(me->first));

	me->steps++;
	if (!ret)
		me->bound = !me->bound;
	else if (me->bound || ret != -EEXIST)
		race_wrong(me, "slot %d: %d", me->slot, ret);
	else
		me->busy++;
}

enum part { PART_VM, PART_FILE, PART_MAPPING, NR_PARTS };

/* The end of a VM, a file and a mapping, in some order, with conversions between. */
static void fall_apart(struct racer *me, int vm, int fd, char *mem, int nr)
{
	u32 order = race_rnd(me, NR_PARTS), step = 1 + race_rnd(me, 2), i;
	bool open = true;

	for (i = 0; i < NR_PARTS; i++, order = (order + step) % NR_PARTS) {
		if (open && gmem_set_attr(fd, 0, OFF(1 + race_rnd(me, nr)), GMEM_SHARED))
			race_wrong(me, "to shared, in the end");
		switch (order) {
		case PART_VM:
			if (vm >= 0)
				close(vm);
			break;
		case PART_FILE:
			close(fd);
			open = false;
			break;
		default:
			munmap(mem, OFF(nr));
			break;
		}
	}
}

/* A file of its own on everybody's VM: made, bound, converted, closed. */
void racer_file_life(struct racer *me)
{
	struct arena *a = me->arena;
	int nr = 1 + race_rnd(me, 8), fd, ret;
	char *mem;

	fd = gmem_create(a->vm, OFF(nr), OWNS | (race_rnd(me, 2) ? INIT_SHARED : 0));
	if (fd < 0) {
		race_wrong(me, "guest_memfd: %d", fd);
		return;
	}
	mem = gmem_map(fd, OFF(nr));
	me->bound = race_rnd(me, 2);
	ret = !me->bound ? 0 : gmem_set_slot(a->vm, me->slot, MEM_GPA + ((u64)me->slot << 28),
					     OFF(nr), mem, fd, 0);
	if (ret)
		race_wrong(me, "slot %d: %d", me->slot, ret);
	if (gmem_set_attr(fd, 0, OFF(nr), GMEM_SHARED) || gmem_host_get64(mem) ||
	    gmem_host_write64(mem, 1) || gmem_set_attr(fd, 0, OFF(nr), GMEM_PRIVATE))
		race_wrong(me, "a new file of %d pages", nr);
	fall_apart(me, -1, fd, mem, nr);
	ret = !me->bound ? 0 : gmem_set_slot(a->vm, me->slot, 0, 0, NULL, -1, 0);
	if (ret)
		race_wrong(me, "slot %d does not go: %d", me->slot, ret);
	me->steps++;
}

/*
 * A VM of its own, which two processes hold: both convert and drop it piece by piece. Only
 * to private can one be in the other's way, by the page that it is touching.
 */
void racer_vm_life(struct racer *me)
{
	int nr = 4, vm = gmem_vm_open(gmem_private_vm_type()), fd, ret, i;
	char *mem;
	pid_t pid;
	u64 val;

	fd = vm < 0 ? vm : gmem_create(vm, OFF(nr), OWNS | INIT_SHARED);
	if (fd < 0) {
		race_wrong(me, "a VM with a file: %d", fd);
		return;
	}
	mem = gmem_map(fd, OFF(nr));
	ret = gmem_set_slot(vm, 0, MEM_GPA, OFF(nr), mem, fd, 0);
	if (ret)
		race_wrong(me, "slot: %d", ret);
	gmem_host_set64(mem, race_stamp(me->arena, 0, 0));
	pid = fork();
	if (!pid)
		me->seed = ~me->seed;
	for (i = 0; i < 4; i++) {
		ret = gmem_set_attr(fd, 0, OFF(1 + race_rnd(me, nr)), race_rnd(me, 2) ? GMEM_PRIVATE : 0);
		if (ret && ret != -EAGAIN)
			race_wrong(me, "conversion: %d", ret);
		if (!gmem_host_read64(mem, &val))
			race_judge_value(me, "reading", 0, val);
	}
	fall_apart(me, vm, fd, mem, nr);
	if (!pid)
		_exit(0);
	race_reap(me, pid);
	me->steps++;
}

/* A second mapping, which moves about. */
void racer_remap(struct racer *me)
{
	struct arena *a = me->arena;
	char *map, *moved;
	int first, nr, n;

	race_rnd_range(me, &first, &nr);
	n = race_rnd(me, nr);
	map = mmap(NULL, OFF(nr), PROT_READ | PROT_WRITE,
		   MAP_SHARED | (race_rnd(me, 2) ? MAP_POPULATE : 0), a->fd, OFF(first));
	if (map == MAP_FAILED) {
		race_wrong(me, "mmap: errno %d", errno);
		return;
	}
	use(me, map + OFF(n), first + n);
	if (madvise(a->mem + OFF(first), OFF(nr), MADV_DONTNEED) ||
	    (race_rnd(me, 2) && madvise(map, OFF(nr), MADV_DONTNEED)))
		race_wrong(me, "MADV_DONTNEED: errno %d", errno);
	/* To a place that is certainly free: that of another mapping. */
	moved = mmap(NULL, OFF(nr), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(map, OFF(nr), OFF(nr), MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	if (moved == MAP_FAILED)
		race_wrong(me, "mremap: errno %d", errno);
	else
		use(me, moved + OFF(n), first + n);
	munmap(moved, OFF(nr));
	me->steps++;
}

/* A child has the parent's mapping, with what is in it. */
void racer_fork_and_use(struct racer *me)
{
	pid_t pid = fork();
	int i, n;

	for (i = 0; i < 4; i++) {
		n = race_rnd(me, RACE_PAGES);
		use(me, me->arena->mem + OFF(n), n);
	}
	if (!pid)
		_exit(0);
	if (pid < 0)
		race_wrong(me, "fork: errno %d", errno);
	else
		race_reap(me, pid);
	me->steps++;
}

/* process_vm_readv() and writev(): pages of another process are pinned and copied. */
void racer_vm_copy(struct racer *me)
{
	struct arena *a = me->arena;
	int n = race_rnd(me, RACE_PAGES);
	u64 val = race_stamp(a, n, me->steps);
	struct iovec here = { &val, sizeof(val) };
	struct iovec there = { a->mem + OFF(n) + race_spot(me), sizeof(val) };
	u32 before = race_epoch(a, n);
	bool out = race_rnd(me, 2);
	ssize_t ret;

	ret = out ? process_vm_writev(a->pid, &here, 1, &there, 1, 0) :
		    process_vm_readv(a->pid, &here, 1, &there, 1, 0);
	me->steps++;
	if (ret < 0 && errno == ENOSYS)
		return;
	race_judge(me, out ? "process_vm_writev" : "process_vm_readv", n, before, ret > 0);
	race_judge_value(me, "process_vm", n, val);
	if (ret != sizeof(val) && (ret != -1 || errno != EFAULT))
		race_wrong(me, "page %d: %zd, errno %d", n, ret, errno);
}

/* Somebody holds a reference: until he lets go, it must not become private. */
static void judge_held(struct racer *me, int n)
{
	if (!me->arena->uncertain && !me->arena->holes &&
	    race_epoch(me->arena, n) % STATES == PRIVATE)
		race_wrong(me, "page %d became private while it is referenced", n);
}

void racer_hold_in_pipe(struct racer *me)
{
	struct arena *a = me->arena;
	int n = race_rnd(me, RACE_PAGES);
	size_t offset = race_spot(me);
	struct iovec iov = { a->mem + OFF(n) + offset, sizeof(u64) };
	u32 before = race_epoch(a, n);
	ssize_t ret = vmsplice(me->pipe[1], &iov, 1, SPLICE_F_NONBLOCK);
	u64 val;

	race_judge(me, "vmsplice", n, before, ret > 0);
	me->steps++;
	if (ret < 0) {
		if (errno != EFAULT)
			race_wrong(me, "vmsplice of page %d: errno %d", n, errno);
		return;
	}
	if (race_rnd(me, 2))
		sched_yield();
	judge_held(me, n);
	if (read(me->pipe[0], &val, sizeof(val)) != sizeof(val))
		race_wrong(me, "the pipe does not give back what it took");
	else
		race_judge_value(me, "vmsplice", n, val);
}

void racer_register_buffer(struct racer *me)
{
	struct arena *a = me->arena;
	int n = race_rnd(me, RACE_PAGES), ret;
	u32 before = race_epoch(a, n);
	struct gmem_pin pin;

	ret = gmem_pin_take(&pin, GMEM_PIN_IO_URING, a->mem + OFF(n), PAGE);
	me->steps++;
	if (ret == -ENOSYS || ret == -EPERM)
		return;
	race_judge(me, "io_uring", n, before, !ret);
	if (!ret) {
		judge_held(me, n);
		gmem_pin_drop(&pin);
	} else if (ret != -EFAULT) {
		race_wrong(me, "io_uring buffer of page %d: %d", n, ret);
	}
}

/* One system call with its buffer in the file; 0 or -errno. */
static int copy_by(int fd, bool out, void *addr)
{
	ssize_t ret = out ? write(fd, addr, sizeof(u64)) : read(fd, addr, sizeof(u64));

	return ret == sizeof(u64) ? 0 : ret < 0 ? -errno : -EIO;
}

/* read() and write(), of a pipe or a socket. */
void racer_copy(struct racer *me)
{
	struct arena *a = me->arena;
	int *ends = race_rnd(me, 2) ? me->pipe : me->sock;
	int n = race_rnd(me, RACE_PAGES), ret;
	char *addr = a->mem + OFF(n) + race_spot(me);
	u64 val = race_stamp(a, n, me->steps);
	bool out = race_rnd(me, 2);
	u32 before;

	if (!out && copy_by(ends[1], true, &val))
		race_wrong(me, "cannot write");
	before = race_epoch(a, n);
	ret = copy_by(out ? ends[1] : ends[0], out, addr);
	race_judge(me, out ? "write()" : "read()", n, before, !ret);
	if (ret && ret != -EFAULT)
		race_wrong(me, "page %d: %d", n, ret);
	/* What has been written is read back; what could not be read is in there yet. */
	if (out == !ret) {
		ret = copy_by(ends[0], false, &val);
		if (!ret)
			race_judge_value(me, "write()", n, val);
		else
			race_wrong(me, "cannot read: %d", ret);
	}
	me->steps++;
}

#define NR_BAD	16

/* Reports every second page, while conversions go on between them. */
void racer_report_bad(struct racer *me)
{
	struct arena *a = me->arena;
	int n = me->steps * 2 + 1, ret;

	if (me->steps >= NR_BAD || n >= RACE_PAGES) {
		sched_yield();
		me->steps++;
		return;
	}
	WRITE_ONCE(a->bad[n], true);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ret = gmem_report_bad_memory(a->pfn[n]);
	if (ret)
		race_wrong(me, "page %d, frame %#lx: %d", n, (unsigned long)a->pfn[n], ret);
	me->steps++;
}
