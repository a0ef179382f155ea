// SPDX-License-Identifier: GPL-2.0-only
/*
 * Races of guest_memfd conversions against everything else that userspace can do to the file,
 * its mappings, its slots and its VM; no guest.
 *
 * Each test lets a few racers (threads, or processes that share the mapping) go at the same
 * file, for a second and for some steps of each, and judges every single outcome. What can be
 * judged in a race: whoever converts keeps the *epoch* of each page, which says in its low
 * bits whether the page is certainly shared, certainly private, or on its way. An attempt to
 * use a page that begins and ends in the same epoch has one legal outcome if that epoch is a
 * certain one. Pages carry stamps, so that another page's content is noticed. When all have
 * stopped, attributes, access and content have to agree for every page.
 *
 * GMEM_RACE_MS= in the environment sets how long each race lasts.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "guest_memfd_util.h"

#define NR_PAGES	32
#define MAX_RACERS	10
#define MAX_ARENAS	2
#define MIN_STEPS	20		/* of each racer, however slow the machine is */
#define HANG_S		40		/* no step for so long: it hangs */
#define LIMIT_S		150

#define OWNS		GUEST_MEMFD_FLAG_MMAP
#define INIT_SHARED	GUEST_MEMFD_FLAG_INIT_SHARED
#define MEM_GPA		0x80000000ULL

static size_t page;

#define OFF(n)		((u64)(n) * page)

/* What is known of a page, in the low bits of its epoch. */
enum { SHARED, LEAVING, PRIVATE, COMING, STATES };

/* A VM and its file. All of this is in memory that forked racers share. */
struct arena {
	int vm, fd;
	char *mem;
	pid_t pid;
	u32 tag;
	u32 epoch[NR_PAGES];
	bool uncertain;		/* several convert: epochs say nothing */
	bool holes;		/* somebody punches: what was there may be 0 */
	bool bad[NR_PAGES];	/* reported as bad memory, or about to be */
	u64 pfn[NR_PAGES];
};

struct racer {
	const char *name;
	void (*step)(struct racer *me);
	struct arena *arena;
	struct race *race;
	bool process;
	pthread_t thread;
	pid_t pid;
	u64 seed;
	u64 steps, busy, wrong;
	int pipe[2], sock[2];
	/* The part of the file that this racer is about, where that is fixed. */
	int first, nr, slot;
	bool private, bound;
};

struct race {
	struct arena arena[MAX_ARENAS];
	struct racer racer[MAX_RACERS];
	unsigned int nr_racers;
	bool go, stop;
};

static u32 rnd(struct racer *me, u32 below)
{
	u64 x = me->seed;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	me->seed = x;
	return (x >> 20) % below;
}

/* A range of the file; most are short, so that there are enough that are free. */
static void rnd_range(struct racer *me, int *first, int *nr)
{
	*first = rnd(me, NR_PAGES);
	*nr = 1 + rnd(me, NR_PAGES - *first);
	if (rnd(me, 4) && *nr > 4)
		*nr = 1 + rnd(me, 4);
}

static void __attribute__((format(printf, 2, 3)))
wrong(struct racer *me, const char *fmt, ...)
{
	char line[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (__atomic_fetch_add(&me->wrong, 1, __ATOMIC_RELAXED) < 5)
		dprintf(STDERR_FILENO, "# %s: %s\n", me->name, line);
}

static u32 epoch(struct arena *a, int n)
{
	return __atomic_load_n(&a->epoch[n], __ATOMIC_SEQ_CST);
}

static void set_state(struct arena *a, int n, u32 state)
{
	u32 next = (a->epoch[n] / STATES + 1) * STATES + state;

	__atomic_store_n(&a->epoch[n], next, __ATOMIC_SEQ_CST);
}

/* Page @n was or was not (@ok) usable, as tried from epoch @before on. */
static void judge(struct racer *me, const char *what, int n, u32 before, bool ok)
{
	struct arena *a = me->arena;
	bool bad = READ_ONCE(a->bad[n]);

	if (a->uncertain || epoch(a, n) != before)
		return;
	if (before % STATES == PRIVATE && ok)
		wrong(me, "%s of page %d worked although it is private", what, n);
	if (before % STATES == SHARED && !ok && !bad)
		wrong(me, "%s of page %d failed (errno %d) although it is shared", what, n, errno);
}

/* The places of a page that are used: its ends and its middle. */
static size_t spot(struct racer *me)
{
	const size_t spots[] = { 0, page / 2, page - sizeof(u64) };

	return spots[rnd(me, ARRAY_SIZE(spots))];
}

static u64 stamp(struct arena *a, int n, u32 low)
{
	return (u64)((a->tag << 16) + n + 1) << 32 | low;
}

static void judge_value(struct racer *me, const char *what, int n, u64 val)
{
	struct arena *a = me->arena;

	if (val >> 32 != stamp(a, n, 0) >> 32 && (val || !a->holes))
		wrong(me, "%s of page %d found %#lx", what, n, (unsigned long)val);
}

/* ---- The racers ---- */

/* Userspace reads or writes a page, through any mapping of it. */
static void use(struct racer *me, char *addr, int n)
{
	u32 before = epoch(me->arena, n);
	u64 val;
	int sig;

	addr += spot(me);
	if (rnd(me, 2)) {
		sig = gmem_host_write64(addr, stamp(me->arena, n, me->steps));
		judge(me, "writing", n, before, !sig);
	} else {
		sig = gmem_host_read64(addr, &val);
		judge(me, "reading", n, before, !sig);
		if (!sig)
			judge_value(me, "reading", n, val);
	}
	if (sig && sig != SIGBUS)
		wrong(me, "page %d: signal %d", n, sig);
	else if (sig && gmem_signal_code() != BUS_ADRERR && !READ_ONCE(me->arena->bad[n]))
		wrong(me, "page %d: SIGBUS with code %d", n, gmem_signal_code());
}

static void touch(struct racer *me)
{
	int n = rnd(me, NR_PAGES);

	use(me, me->arena->mem + OFF(n), n);
	me->steps++;
}

static void populate(struct racer *me)
{
	int advice = rnd(me, 2) ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;
	int n = rnd(me, NR_PAGES);
	u32 before = epoch(me->arena, n);

	judge(me, "populating", n, before, !madvise(me->arena->mem + OFF(n), page, advice));
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
			wrong(me, "error_offset %#lx of a success", (unsigned long)err);
		return true;
	}
	me->busy++;
	if (ret != -EAGAIN || !private)
		wrong(me, "%d+%d to %s: %d", first, nr, private ? "private" : "shared", ret);
	else if (err % page || err < OFF(first) || err >= OFF(first + nr))
		wrong(me, "%d+%d: error_offset %#lx", first, nr, (unsigned long)err);
	return false;
}

/* The only one who converts may look at once. */
static void judge_converted(struct racer *me, int n)
{
	u64 attr = epoch(me->arena, n) % STATES == PRIVATE ? GMEM_PRIVATE : GMEM_SHARED;

	if (gmem_attr_of(me->arena->fd, OFF(n)) != attr)
		wrong(me, "page %d has not the attribute %#lx", n, (unsigned long)attr);
	use(me, me->arena->mem + OFF(n), n);
}

static void convert(struct racer *me)
{
	struct arena *a = me->arena;
	bool private = rnd(me, 2), ok;
	int first, nr, i, changing = 0;

	rnd_range(me, &first, &nr);
	for (i = first; i < first + nr; i++) {
		if (epoch(a, i) % STATES == (private ? SHARED : PRIVATE)) {
			set_state(a, i, private ? LEAVING : COMING);
			changing++;
		}
	}
	ok = converted(me, first, nr, private);
	for (i = first; i < first + nr; i++) {
		if (epoch(a, i) % STATES == (private ? LEAVING : COMING))
			set_state(a, i, private == ok ? PRIVATE : SHARED);
	}

	judge_converted(me, first + rnd(me, nr));
	judge_converted(me, rnd(me, NR_PAGES));
	/* Those that matter: without them, a race is no race. */
	me->steps += private && ok && changing;
}

/* One direction, one range; somebody else does the opposite. */
static void convert_own_range(struct racer *me)
{
	me->steps += converted(me, me->first, me->nr, me->private);
}

static void punch(struct racer *me)
{
	int first, nr, ret;

	rnd_range(me, &first, &nr);
	ret = gmem_punch(me->arena->fd, OFF(first), OFF(nr));
	if (ret)
		wrong(me, "%d+%d: %d", first, nr, ret);
	me->steps++;
}

static void allocate(struct racer *me)
{
	int first, nr;

	rnd_range(me, &first, &nr);
	if (fallocate(me->arena->fd, FALLOC_FL_KEEP_SIZE, OFF(first), OFF(nr)))
		wrong(me, "%d+%d: errno %d", first, nr, errno);
	me->steps++;
}

/* Pages of a run have the attribute that their epochs make certain. */
static void judge_run(struct racer *me, const u32 *before, u64 start, u64 end, bool private)
{
	struct arena *a = me->arena;
	u64 n;

	if (a->uncertain)
		return;
	for (n = start / page; n < end / page; n++) {
		if (epoch(a, n) != before[n])
			continue;
		if (before[n] % STATES == (private ? SHARED : PRIVATE))
			wrong(me, "page %lu is said to be %s", (unsigned long)n,
			      private ? "private" : "shared");
	}
}

static void snapshot(struct arena *a, u32 *epochs)
{
	int n;

	for (n = 0; n < NR_PAGES; n++)
		epochs[n] = epoch(a, n);
}

static void get(struct racer *me)
{
	struct kvm_memory_attributes2 attr;
	u32 before[NR_PAGES];
	int first, nr, ret;

	rnd_range(me, &first, &nr);
	snapshot(me->arena, before);
	ret = gmem_get_attr(me->arena->fd, OFF(first), OFF(nr), &attr);
	if (ret || attr.offset != OFF(first) || !attr.size || attr.size % page ||
	    attr.size > OFF(nr) || (attr.attributes & ~GMEM_PRIVATE) ||
	    (attr.flags & ~KVM_MEMORY_ATTRIBUTES2_POPULATED)) {
		wrong(me, "%d+%d: %d, size %#lx, attributes %#lx, flags %#lx", first, nr, ret,
		      (unsigned long)attr.size, (unsigned long)attr.attributes,
		      (unsigned long)attr.flags);
		return;
	}
	judge_run(me, before, attr.offset, attr.offset + attr.size, attr.attributes);
	if (!me->arena->holes && !attr.flags)
		wrong(me, "%d+%d: a hole", first, nr);
	me->steps++;
}

/* A range that is always converted as a whole is never seen half. */
static void get_own_range(struct racer *me)
{
	struct kvm_memory_attributes2 attr;
	int ret = gmem_get_attr(me->arena->fd, OFF(me->first), OFF(me->nr), &attr);

	if (ret || attr.size != OFF(me->nr))
		wrong(me, "%d+%d: %d, size %#lx", me->first, me->nr, ret,
		      (unsigned long)attr.size);
	me->steps++;
}

/* The end of the run, where the next one begins; 0 if the line is not as it should be. */
static u64 judge_map_line(struct racer *me, const u32 *before, u64 from, const char *line)
{
	char attr[16], pages[16];
	u64 start, end;

	if (sscanf(line, "%lx-%lx %15s %15s", &start, &end, attr, pages) != 4 ||
	    start != from || end <= start || end > OFF(NR_PAGES) || end % page ||
	    (strcmp(attr, "private") && strcmp(attr, "shared")) ||
	    (strcmp(pages, "resident") && strcmp(pages, "hole"))) {
		wrong(me, "after %#lx the line %.*s", (unsigned long)from,
		      (int)strcspn(line, "\n"), line);
		return 0;
	}
	judge_run(me, before, start, end, attr[0] == 'p');
	if (!me->arena->holes && pages[0] == 'h')
		wrong(me, "a hole at %#lx", (unsigned long)start);
	return end;
}

static void read_map(struct racer *me)
{
	struct arena *a = me->arena;
	u32 before[NR_PAGES];
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
	while (fgets(line, sizeof(line), f)) {
		end = judge_map_line(me, before, end, line);
		if (!end)
			break;
	}
	fclose(f);
	if (end && end != OFF(NR_PAGES))
		wrong(me, "the map ends at %#lx", (unsigned long)end);
}

/* Binds its part of the file and takes it away again; parts of others may overlap. */
static void toggle_slot(struct racer *me)
{
	struct arena *a = me->arena;
	u64 gpa = MEM_GPA + ((u64)me->slot << 28), size = me->bound ? 0 : OFF(me->nr);
	int ret = gmem_set_slot(a->vm, me->slot, gpa, size, a->mem + OFF(me->first),
				me->bound ? -1 : a->fd, OFF(me->first));

	me->steps++;
	if (!ret)
		me->bound = !me->bound;
	else if (me->bound || ret != -EEXIST)
		wrong(me, "slot %d: %d", me->slot, ret);
	else
		me->busy++;
}

enum part { PART_VM, PART_FILE, PART_MAPPING, NR_PARTS };

/* The end of a VM, a file and a mapping, in some order, with conversions between. */
static void fall_apart(struct racer *me, int vm, int fd, char *mem, int nr)
{
	u32 order = rnd(me, NR_PARTS), step = 1 + rnd(me, 2), i;
	bool open = true;

	for (i = 0; i < NR_PARTS; i++, order = (order + step) % NR_PARTS) {
		if (open && gmem_set_attr(fd, 0, OFF(1 + rnd(me, nr)), GMEM_SHARED))
			wrong(me, "to shared, in the end");
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
static void file_life(struct racer *me)
{
	struct arena *a = me->arena;
	int nr = 1 + rnd(me, 8), fd, ret;
	char *mem;

	fd = gmem_create(a->vm, OFF(nr), OWNS | (rnd(me, 2) ? INIT_SHARED : 0));
	if (fd < 0) {
		wrong(me, "guest_memfd: %d", fd);
		return;
	}
	mem = gmem_map(fd, OFF(nr));
	me->bound = rnd(me, 2);
	ret = !me->bound ? 0 : gmem_set_slot(a->vm, me->slot, MEM_GPA + ((u64)me->slot << 28),
					     OFF(nr), mem, fd, 0);
	if (ret)
		wrong(me, "slot %d: %d", me->slot, ret);
	if (gmem_set_attr(fd, 0, OFF(nr), GMEM_SHARED) || gmem_host_get64(mem) ||
	    gmem_host_write64(mem, 1) || gmem_set_attr(fd, 0, OFF(nr), GMEM_PRIVATE))
		wrong(me, "a new file of %d pages", nr);
	fall_apart(me, -1, fd, mem, nr);
	ret = !me->bound ? 0 : gmem_set_slot(a->vm, me->slot, 0, 0, NULL, -1, 0);
	if (ret)
		wrong(me, "slot %d does not go: %d", me->slot, ret);
	me->steps++;
}

/* Waits for a child; what it found wrong has been counted in shared memory. */
static void reap(struct racer *me, pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		wrong(me, "a child ended with status %#x", status);
}

/*
 * A VM of its own, which two processes hold: both convert and drop it piece by piece. Only
 * to private can one be in the other's way, by the page that it is touching.
 */
static void vm_life(struct racer *me)
{
	int nr = 4, vm = gmem_vm_open(gmem_private_vm_type()), fd, ret, i;
	char *mem;
	pid_t pid;
	u64 val;

	fd = vm < 0 ? vm : gmem_create(vm, OFF(nr), OWNS | INIT_SHARED);
	if (fd < 0) {
		wrong(me, "a VM with a file: %d", fd);
		return;
	}
	mem = gmem_map(fd, OFF(nr));
	ret = gmem_set_slot(vm, 0, MEM_GPA, OFF(nr), mem, fd, 0);
	if (ret)
		wrong(me, "slot: %d", ret);
	gmem_host_set64(mem, stamp(me->arena, 0, 0));
	pid = fork();
	if (!pid)
		me->seed = ~me->seed;
	for (i = 0; i < 4; i++) {
		ret = gmem_set_attr(fd, 0, OFF(1 + rnd(me, nr)), rnd(me, 2) ? GMEM_PRIVATE : 0);
		if (ret && ret != -EAGAIN)
			wrong(me, "conversion: %d", ret);
		if (!gmem_host_read64(mem, &val))
			judge_value(me, "reading", 0, val);
	}
	fall_apart(me, vm, fd, mem, nr);
	if (!pid)
		_exit(0);
	reap(me, pid);
	me->steps++;
}

/* A second mapping, which moves about. */
static void remap(struct racer *me)
{
	struct arena *a = me->arena;
	char *map, *moved;
	int first, nr, n;

	rnd_range(me, &first, &nr);
	n = rnd(me, nr);
	map = mmap(NULL, OFF(nr), PROT_READ | PROT_WRITE,
		   MAP_SHARED | (rnd(me, 2) ? MAP_POPULATE : 0), a->fd, OFF(first));
	if (map == MAP_FAILED) {
		wrong(me, "mmap: errno %d", errno);
		return;
	}
	use(me, map + OFF(n), first + n);
	if (madvise(a->mem + OFF(first), OFF(nr), MADV_DONTNEED) ||
	    (rnd(me, 2) && madvise(map, OFF(nr), MADV_DONTNEED)))
		wrong(me, "MADV_DONTNEED: errno %d", errno);
	/* To a place that is certainly free: that of another mapping. */
	moved = mmap(NULL, OFF(nr), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(map, OFF(nr), OFF(nr), MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	if (moved == MAP_FAILED)
		wrong(me, "mremap: errno %d", errno);
	else
		use(me, moved + OFF(n), first + n);
	munmap(moved, OFF(nr));
	me->steps++;
}

/* A child has the parent's mapping, with what is in it. */
static void fork_and_use(struct racer *me)
{
	pid_t pid = fork();
	int i, n;

	for (i = 0; i < 4; i++) {
		n = rnd(me, NR_PAGES);
		use(me, me->arena->mem + OFF(n), n);
	}
	if (!pid)
		_exit(0);
	if (pid < 0)
		wrong(me, "fork: errno %d", errno);
	else
		reap(me, pid);
	me->steps++;
}

/* process_vm_readv() and writev(): pages of another process are pinned and copied. */
static void vm_copy(struct racer *me)
{
	struct arena *a = me->arena;
	int n = rnd(me, NR_PAGES);
	u64 val = stamp(a, n, me->steps);
	struct iovec here = { &val, sizeof(val) };
	struct iovec there = { a->mem + OFF(n) + spot(me), sizeof(val) };
	u32 before = epoch(a, n);
	bool out = rnd(me, 2);
	ssize_t ret;

	ret = out ? process_vm_writev(a->pid, &here, 1, &there, 1, 0) :
		    process_vm_readv(a->pid, &here, 1, &there, 1, 0);
	me->steps++;
	if (ret < 0 && errno == ENOSYS)
		return;
	judge(me, out ? "process_vm_writev" : "process_vm_readv", n, before, ret > 0);
	judge_value(me, "process_vm", n, val);
	if (ret != sizeof(val) && (ret != -1 || errno != EFAULT))
		wrong(me, "page %d: %zd, errno %d", n, ret, errno);
}

/* Somebody holds a reference: until he lets go, it must not become private. */
static void judge_held(struct racer *me, int n)
{
	if (!me->arena->uncertain && !me->arena->holes &&
	    epoch(me->arena, n) % STATES == PRIVATE)
		wrong(me, "page %d became private while it is referenced", n);
}

static void hold_in_pipe(struct racer *me)
{
	struct arena *a = me->arena;
	int n = rnd(me, NR_PAGES);
	size_t offset = spot(me);
	struct iovec iov = { a->mem + OFF(n) + offset, sizeof(u64) };
	u32 before = epoch(a, n);
	ssize_t ret = vmsplice(me->pipe[1], &iov, 1, SPLICE_F_NONBLOCK);
	u64 val;

	judge(me, "vmsplice", n, before, ret > 0);
	me->steps++;
	if (ret < 0) {
		if (errno != EFAULT)
			wrong(me, "vmsplice of page %d: errno %d", n, errno);
		return;
	}
	if (rnd(me, 2))
		sched_yield();
	judge_held(me, n);
	if (read(me->pipe[0], &val, sizeof(val)) != sizeof(val))
		wrong(me, "the pipe does not give back what it took");
	else
		judge_value(me, "vmsplice", n, val);
}

static void register_buffer(struct racer *me)
{
	struct arena *a = me->arena;
	int n = rnd(me, NR_PAGES), ret;
	u32 before = epoch(a, n);
	struct gmem_pin pin;

	ret = gmem_pin_take(&pin, GMEM_PIN_IO_URING, a->mem + OFF(n), page);
	me->steps++;
	if (ret == -ENOSYS || ret == -EPERM)
		return;
	judge(me, "io_uring", n, before, !ret);
	if (!ret) {
		judge_held(me, n);
		gmem_pin_drop(&pin);
	} else if (ret != -EFAULT) {
		wrong(me, "io_uring buffer of page %d: %d", n, ret);
	}
}

/* One system call with its buffer in the file; 0 or -errno. */
static int copy_by(int fd, bool out, void *addr)
{
	ssize_t ret = out ? write(fd, addr, sizeof(u64)) : read(fd, addr, sizeof(u64));

	return ret == sizeof(u64) ? 0 : ret < 0 ? -errno : -EIO;
}

/* read() and write(), of a pipe or a socket. */
static void copy(struct racer *me)
{
	struct arena *a = me->arena;
	int *ends = rnd(me, 2) ? me->pipe : me->sock;
	int n = rnd(me, NR_PAGES), ret;
	char *addr = a->mem + OFF(n) + spot(me);
	u64 val = stamp(a, n, me->steps);
	bool out = rnd(me, 2);
	u32 before;

	if (!out && copy_by(ends[1], true, &val))
		wrong(me, "cannot write");
	before = epoch(a, n);
	ret = copy_by(out ? ends[1] : ends[0], out, addr);
	judge(me, out ? "write()" : "read()", n, before, !ret);
	if (ret && ret != -EFAULT)
		wrong(me, "page %d: %d", n, ret);
	/* What has been written is read back; what could not be read is in there yet. */
	if (out == !ret) {
		ret = copy_by(ends[0], false, &val);
		if (!ret)
			judge_value(me, "write()", n, val);
		else
			wrong(me, "cannot read: %d", ret);
	}
	me->steps++;
}

#define NR_BAD	16

/* Reports every second page, while conversions go on between them. */
static void report_bad(struct racer *me)
{
	struct arena *a = me->arena;
	int n = me->steps * 2 + 1, ret;

	if (me->steps >= NR_BAD || n >= NR_PAGES) {
		sched_yield();
		me->steps++;
		return;
	}
	WRITE_ONCE(a->bad[n], true);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ret = gmem_report_bad_memory(a->pfn[n]);
	if (ret)
		wrong(me, "page %d, frame %#lx: %d", n, (unsigned long)a->pfn[n], ret);
	me->steps++;
}

/* ---- A race ---- */

static u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

static struct racer *add(struct race *race, struct arena *a, const char *name,
			 void (*step)(struct racer *me), bool process)
{
	struct racer *me = &race->racer[race->nr_racers++];

	TEST_ASSERT(race->nr_racers <= MAX_RACERS, "too many racers");
	me->name = name;
	me->step = step;
	me->arena = a;
	me->race = race;
	me->process = process;
	me->slot = race->nr_racers;
	me->seed = now_ms() << 8 | 1 << 7 | race->nr_racers;
	TEST_ASSERT(!pipe(me->pipe), "pipe: errno %d", errno);
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, me->sock), "socketpair: errno %d", errno);
	return me;
}

#define THREAD	false
#define PROCESS	true

static void *run_racer(void *arg)
{
	struct racer *me = arg;

	while (!READ_ONCE(me->race->go))
		sched_yield();
	while (!READ_ONCE(me->race->stop))
		me->step(me);
	return NULL;
}

/* Processes first: a fork() copies no threads. */
static void start(struct race *race)
{
	unsigned int i;

	for (i = 0; i < race->nr_racers; i++) {
		struct racer *me = &race->racer[i];
		pid_t pid;

		if (!me->process)
			continue;
		pid = fork();
		TEST_ASSERT(pid >= 0, "fork: errno %d", errno);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_racer(me);
			_exit(0);
		}
		me->pid = pid;
	}
	for (i = 0; i < race->nr_racers; i++) {
		struct racer *me = &race->racer[i];

		if (!me->process)
			TEST_ASSERT(!pthread_create(&me->thread, NULL, run_racer, me), "thread");
	}
	WRITE_ONCE(race->go, true);
}

/* Tasks that do not end cannot be waited for: whoever waits for this process goes first. */
static void give_up(struct race *race, struct racer *slow)
{
	unsigned int i;
	FILE *f;

	fprintf(stderr, "# HANG: the racer \"%s\" has made no step for %d s. Steps:", slow->name,
		HANG_S);
	for (i = 0; i < race->nr_racers; i++)
		fprintf(stderr, " %s %ju", race->racer[i].name, (uintmax_t)race->racer[i].steps);
	fprintf(stderr, "\n# The kernel log shows who waits where, if SysRq is there.\n");
	f = fopen("/proc/sysrq-trigger", "w");
	if (f) {
		fputs("w", f);
		fclose(f);
	}
	kill(getppid(), SIGKILL);
	_exit(KSFT_FAIL);
}

static void supervise(struct race *race)
{
	const char *ms = getenv("GMEM_RACE_MS");
	u64 end = now_ms() + (ms ? strtoul(ms, NULL, 0) : 1000), since[MAX_RACERS];
	u64 last[MAX_RACERS] = {};
	bool enough = false;
	unsigned int i;

	for (i = 0; i < race->nr_racers; i++)
		since[i] = now_ms();
	while (!enough || now_ms() < end) {
		usleep(10000);
		enough = true;
		for (i = 0; i < race->nr_racers; i++) {
			u64 steps = READ_ONCE(race->racer[i].steps);

			enough &= steps >= MIN_STEPS;
			if (steps != last[i]) {
				last[i] = steps;
				since[i] = now_ms();
			} else if (now_ms() - since[i] > HANG_S * 1000) {
				give_up(race, &race->racer[i]);
			}
		}
	}
	WRITE_ONCE(race->stop, true);
}

static void finish(struct __test_metadata *_metadata, struct race *race)
{
	char line[400] = "";
	unsigned int i;
	int n = 0;

	for (i = 0; i < race->nr_racers; i++) {
		struct racer *me = &race->racer[i];

		if (me->process)
			reap(me, me->pid);
		else
			pthread_join(me->thread, NULL);
		close(me->pipe[0]);
		close(me->pipe[1]);
		close(me->sock[0]);
		close(me->sock[1]);
		EXPECT_EQ(0, me->wrong)
			TH_LOG("%s", me->name);
		n += snprintf(line + n, sizeof(line) - n, " %s %ju/%ju", me->name,
			      (uintmax_t)me->steps, (uintmax_t)me->busy);
	}
	TH_LOG("steps/busy:%s", line);
}

/* A conversion of all, with nobody about; deferred work may hold a page for a moment. */
static int convert_all(struct arena *a, u64 attr, u64 *err)
{
	int ret, i;

	for (i = 0; i < 500; i++) {
		ret = gmem_set_attr_err(a->fd, 0, OFF(NR_PAGES), attr, err);
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

	for (n = 0; n < NR_PAGES; n++) {
		attr = gmem_attr_of(a->fd, OFF(n));
		sig = gmem_host_read64(a->mem + OFF(n), &val);
		if (!a->uncertain)
			EXPECT_EQ(epoch(a, n) % STATES == PRIVATE, !!attr)
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

	for (n = 0; n < NR_PAGES; n++) {
		vals[n] = 0;
		EXPECT_EQ(a->bad[n] ? SIGBUS : 0, gmem_host_read64(a->mem + OFF(n), &vals[n]))
			TH_LOG("page %d", n);
		if (!a->bad[n])
			judge_value(&reader, "reading", n, vals[n]);
	}
	EXPECT_EQ(0, reader.wrong);
}

static void settle(struct __test_metadata *_metadata, struct arena *a)
{
	u64 before[NR_PAGES], after[NR_PAGES], err, val;
	bool bad = false;
	int n, ret;

	agree(_metadata, a);
	EXPECT_EQ(0, convert_all(a, GMEM_SHARED, &err));
	read_all(_metadata, a, before);
	for (n = 0; n < NR_PAGES; n++)
		bad |= a->bad[n];

	/* A bad page stays referenced, by those who look after bad pages. */
	ret = convert_all(a, GMEM_PRIVATE, &err);
	EXPECT_EQ(bad ? -EAGAIN : 0, ret);
	EXPECT_TRUE(!ret || a->bad[err / page]);
	for (n = 0; n < NR_PAGES; n++)
		EXPECT_EQ(ret && !a->bad[n] ? 0 : SIGBUS, gmem_host_read64(a->mem + OFF(n), &val));

	EXPECT_EQ(0, convert_all(a, GMEM_SHARED, &err));
	read_all(_metadata, a, after);
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
}

static void run(struct __test_metadata *_metadata, struct race *race)
{
	unsigned int i;

	start(race);
	supervise(race);
	finish(_metadata, race);
	for (i = 0; i < MAX_ARENAS; i++) {
		if (race->arena[i].mem)
			settle(_metadata, &race->arena[i]);
	}
}

static void arena_begin(struct arena *a, u32 tag)
{
	size_t spots[] = { 0, page / 2, page - sizeof(u64) }, s;
	int n;

	a->tag = tag;
	a->pid = getpid();
	a->vm = gmem_vm_open(gmem_private_vm_type());
	TEST_ASSERT(a->vm >= 0, "VM: %d", a->vm);
	a->fd = gmem_create(a->vm, OFF(NR_PAGES), OWNS | INIT_SHARED);
	TEST_ASSERT(a->fd >= 0, "guest_memfd: %d", a->fd);
	a->mem = gmem_map(a->fd, OFF(NR_PAGES));
	for (n = 0; n < NR_PAGES; n++) {
		for (s = 0; s < ARRAY_SIZE(spots); s++)
			gmem_host_set64(a->mem + OFF(n) + spots[s], stamp(a, n, 0));
		a->pfn[n] = gmem_pfn(a->mem + OFF(n));
	}
}

static void bind_all(struct arena *a)
{
	TEST_ASSERT(!gmem_set_slot(a->vm, 0, MEM_GPA, OFF(NR_PAGES), a->mem, a->fd, 0), "slot");
}

static void arena_end(struct arena *a)
{
	if (!a->mem)
		return;
	munmap(a->mem, OFF(NR_PAGES));
	close(a->fd);
	close(a->vm);
}

FIXTURE(race) {
	struct race *race;
	struct arena *a;
	int kmsg;
};

FIXTURE_SETUP(race)
{
	self->kmsg = gmem_kmsg_open();
	self->race = mmap(NULL, sizeof(*self->race), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->race);
	self->a = &self->race->arena[0];
	arena_begin(self->a, 1);
}

FIXTURE_TEARDOWN(race)
{
	arena_end(self->a);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

TEST_F_TIMEOUT(race, host_faults, LIMIT_S)
{
	bind_all(self->a);
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "touch", touch, THREAD);
	add(self->race, self->a, "populate", populate, THREAD);
	add(self->race, self->a, "touch-process", touch, PROCESS);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, punch_hole, LIMIT_S)
{
	self->a->holes = true;
	bind_all(self->a);
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "touch", touch, THREAD);
	add(self->race, self->a, "punch", punch, THREAD);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, fallocate, LIMIT_S)
{
	self->a->holes = true;
	bind_all(self->a);
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "touch", touch, THREAD);
	add(self->race, self->a, "punch", punch, PROCESS);
	add(self->race, self->a, "allocate", allocate, THREAD);
	add(self->race, self->a, "allocate-process", allocate, PROCESS);
	run(_metadata, self->race);
}

/* Two share half of their parts, so that one or the other may be bound. */
TEST_F_TIMEOUT(race, memslots, LIMIT_S)
{
	struct racer *r;
	int i;

	self->a->holes = true;
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "punch", punch, THREAD);
	add(self->race, self->a, "touch", touch, PROCESS);
	for (i = 0; i < 3; i++) {
		r = add(self->race, self->a, "slot", toggle_slot, THREAD);
		r->first = i * 8;
		r->nr = i < 2 ? 16 : 8;
	}
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, files_that_come_and_go, LIMIT_S)
{
	bind_all(self->a);
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "touch", touch, PROCESS);
	add(self->race, self->a, "file", file_life, THREAD);
	add(self->race, self->a, "file", file_life, THREAD);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, vms_that_come_and_go, LIMIT_S)
{
	bind_all(self->a);
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "vm", vm_life, THREAD);
	add(self->race, self->a, "vm-process", vm_life, PROCESS);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, mappings_that_come_and_go, LIMIT_S)
{
	bind_all(self->a);
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "remap", remap, THREAD);
	add(self->race, self->a, "remap-process", remap, PROCESS);
	add(self->race, self->a, "fork", fork_and_use, PROCESS);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, transient_references, LIMIT_S)
{
	bind_all(self->a);
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "process_vm", vm_copy, PROCESS);
	add(self->race, self->a, "vmsplice", hold_in_pipe, THREAD);
	add(self->race, self->a, "io_uring", register_buffer, THREAD);
	add(self->race, self->a, "copy", copy, THREAD);
	run(_metadata, self->race);
}

/* The same, while the pages go away under the references. */
TEST_F_TIMEOUT(race, references_and_holes, LIMIT_S)
{
	self->a->holes = true;
	bind_all(self->a);
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "process_vm", vm_copy, PROCESS);
	add(self->race, self->a, "vmsplice", hold_in_pipe, THREAD);
	add(self->race, self->a, "punch", punch, THREAD);
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
	bind_all(self->a);
	r = add(self->race, self->a, "to-private", convert_own_range, THREAD);
	r->first = 0;
	r->nr = 20;
	r->private = true;
	r = add(self->race, self->a, "to-shared", convert_own_range, THREAD);
	r->first = 12;
	r->nr = 20;
	r = add(self->race, self->a, "get", get_own_range, THREAD);
	r->first = 12;
	r->nr = 8;
	r = add(self->race, self->a, "get-shared", get_own_range, PROCESS);
	r->first = 20;
	r->nr = 12;
	add(self->race, self->a, "touch", touch, THREAD);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, two_vms, LIMIT_S)
{
	struct arena *other = &self->race->arena[1];

	arena_begin(other, 2);
	bind_all(self->a);
	bind_all(other);
	add(self->race, self->a, "convert-1", convert, THREAD);
	add(self->race, self->a, "touch-1", touch, THREAD);
	add(self->race, self->a, "touch-1", touch, PROCESS);
	add(self->race, other, "convert-2", convert, THREAD);
	add(self->race, other, "touch-2", touch, THREAD);
	add(self->race, other, "splice-2", hold_in_pipe, THREAD);
	run(_metadata, self->race);
	arena_end(other);
}

TEST_F_TIMEOUT(race, readers_of_the_map, LIMIT_S)
{
	bind_all(self->a);
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "get", get, THREAD);
	add(self->race, self->a, "debugfs", read_map, THREAD);
	add(self->race, self->a, "get-process", get, PROCESS);
	add(self->race, self->a, "file", file_life, THREAD);
	run(_metadata, self->race);
}

/* Pages come under the same lock that readers hold. */
TEST_F_TIMEOUT(race, readers_while_pages_come_and_go, LIMIT_S)
{
	self->a->holes = true;
	bind_all(self->a);
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "get", get, THREAD);
	add(self->race, self->a, "debugfs", read_map, PROCESS);
	add(self->race, self->a, "allocate", allocate, THREAD);
	add(self->race, self->a, "punch", punch, PROCESS);
	run(_metadata, self->race);
}

TEST_F_TIMEOUT(race, all_at_once, LIMIT_S)
{
	struct racer *r;

	self->a->holes = true;
	add(self->race, self->a, "convert", convert, THREAD);
	add(self->race, self->a, "touch", touch, PROCESS);
	add(self->race, self->a, "punch", punch, THREAD);
	add(self->race, self->a, "allocate", allocate, PROCESS);
	r = add(self->race, self->a, "slot", toggle_slot, THREAD);
	r->first = 4;
	r->nr = 20;
	add(self->race, self->a, "remap", remap, THREAD);
	add(self->race, self->a, "process_vm", vm_copy, PROCESS);
	add(self->race, self->a, "vmsplice", hold_in_pipe, THREAD);
	add(self->race, self->a, "get", get, THREAD);
	add(self->race, self->a, "debugfs", read_map, THREAD);
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
	bind_all(a);
	add(self->race, a, "convert", convert, THREAD);
	add(self->race, a, "touch", touch, PROCESS);
	add(self->race, a, "report", report_bad, THREAD);
	add(self->race, a, "get", get, THREAD);
	run(_metadata, self->race);

	EXPECT_EQ(0, gmem_punch(a->fd, 0, OFF(NR_PAGES)));
	memset(a->bad, 0, sizeof(a->bad));
	/* What the page tables say of bad memory is not undone by the file. */
	EXPECT_EQ(0, madvise(a->mem, OFF(NR_PAGES), MADV_DONTNEED));
	for (n = 0; n < NR_PAGES; n++) {
		EXPECT_EQ(0, gmem_host_get64(a->mem + OFF(n)));
		gmem_host_set64(a->mem + OFF(n), stamp(a, n, 1));
	}
	EXPECT_EQ(0, convert_all(a, GMEM_PRIVATE, &err));
	EXPECT_EQ(SIGBUS, gmem_host_read64(a->mem, &val));
	EXPECT_EQ(0, convert_all(a, GMEM_SHARED, &err));
	EXPECT_EQ(stamp(a, 1, 1), gmem_host_get64(a->mem + OFF(1)));
}

int main(int argc, char **argv)
{
	int vm = gmem_vm_open(gmem_private_vm_type());

	__TEST_REQUIRE(vm >= 0, "no VM type with private memory here (%d)", vm);
	__TEST_REQUIRE(gmem_check_cap(vm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) ==
		       GMEM_PRIVATE, "no KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES");
	close(vm);

	page = getpagesize();
	return test_harness_run(argc, argv);
}
