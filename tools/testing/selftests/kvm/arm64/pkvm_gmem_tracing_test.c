// SPDX-License-Identifier: GPL-2.0-only
/*
 * Seeing what happens to a protected VM's guest_memfd: tracepoints, binary statistics, EL2's
 * own events, and the map in debugfs with EL2's word beside the host's. The last two need a
 * debug kernel (CONFIG_NVHE_EL2_DEBUG); elsewhere they must not be there.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "gmem_test.h"
#include "kvm_util.h"
#include "pkvm_guest.h"

#define TRACING		"/sys/kernel/tracing/"
#define INSTANCE	TRACING "instances/pkvm_gmem_tracing/"
#define EL2		TRACING "remotes/hypervisor/"
#define EL2_EVENT	EL2 "events/hypervisor/pkvm_transition/enable"
#define AROUND		"/sys/module/kvm/parameters/pkvm_donate_around"

#define NR_PAGES	1024
#define BLOCK		64
#define TEXT_SIZE	(1 << 20)

#define GFN(n)		((unsigned long)(GPA(n) / page))

static const char * const events[] = {
	"kvm_gmem_convert", "pkvm_gmem_donate", "pkvm_gmem_share", "pkvm_gmem_unshare",
	"pkvm_gmem_relinquish", "pkvm_gmem_absent", "pkvm_gmem_reclaim",
};

static char *get(const char *path)
{
	char *text = malloc(TEXT_SIZE);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t used = 0;
	ssize_t n;

	TEST_ASSERT(text && fd >= 0, "%s: errno %d", path, errno);
	while ((n = read(fd, text + used, TEXT_SIZE - 1 - used)) > 0)
		used += n;
	close(fd);
	text[used] = '\0';
	return text;
}

/* Text that grows line by line. */
struct text {
	char *str;
	size_t used;
};

__printf(2, 3)
static void add(struct text *t, const char *format, ...)
{
	va_list args;

	if (!t->str)
		t->str = calloc(1, TEXT_SIZE);
	va_start(args, format);
	t->used += vsnprintf(t->str + t->used, TEXT_SIZE - t->used, format, args);
	va_end(args);
	TEST_ASSERT(t->used < TEXT_SIZE, "too much to say");
}

/*
 * Of the lines of @log those that have @key behind @from: what follows the colon with which
 * @from begins, for ftrace puts the name of the process before it, which may be anything.
 */
static void pick(struct text *t, const char *log, const char *from, const char *key)
{
	size_t len;

	for (; *log; log += len + !!log[len]) {
		const char *start = strstr(log, from), *end = start ? strstr(start, key) : NULL;

		len = strcspn(log, "\n");
		if (!start || start >= log + len || !end || end >= log + len)
			continue;
		start += strspn(start, ": ");
		add(t, "%.*s\n", (int)(log + len - start), start);
	}
}

#define EXPECT_TEXT(want, got) do {					\
	EXPECT_EQ(0, strcmp((want).str ?: "", (got).str ?: ""))		\
		TH_LOG("expected:\n%s\ngot:\n%s", (want).str ?: "",	\
		       (got).str ?: "");				\
	free((want).str);						\
	free((got).str);						\
	(want) = (got) = (struct text) {};				\
} while (0)

/* A kernel on which EL2 can be asked. */
static bool el2_talks(void)
{
	return !access(EL2, X_OK);
}

FIXTURE(tracing) {
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;		/* the first of two */
	struct pkvm_vcpu *other;
	struct kvm_binary_stats stats, vcpu_stats;
	int fd;
	char *mem;			/* all of the file */
	u64 pfn[8];			/* where the host has put something */
	u32 handle;			/* the VM's, in events */
	unsigned long ino;
	char *around;			/* the parameter as it was */
	int kmsg;
};

struct donation {
	u32 vm;
	unsigned long gfn, pfn, nr;
	long ret;
};

/* The next event, or NULL. */
static const char *next_donation(const char *log, struct donation *d)
{
	static const char name[] = ": pkvm_gmem_donate: ";
	const char *p = strstr(log, name);

	if (!p)
		return NULL;
	p += strlen(name);
	TEST_ASSERT(sscanf(p, "vm %x gfn %lx pfn %lx nr %lu ret %ld", &d->vm, &d->gfn, &d->pfn,
			   &d->nr, &d->ret) == 5, "odd event: %.80s", p);
	return p;
}

/* The payload's page is the first that the VM gets; its event has the VM's handle. */
static u32 learn_handle(struct pkvm_vcpu *vcpu)
{
	struct donation d;
	char *log;

	TEST_ASSERT(!pkvm_vcpu_call(vcpu, PKVM_OP_NOP, NULL, 0, 1), "the guest does not run");
	log = get(INSTANCE "trace");
	TEST_ASSERT(next_donation(log, &d), "no event of the payload's page: %s", log);
	free(log);
	return d.vm;
}

static void trace_begin(void)
{
	char path[128];
	size_t i;

	TEST_ASSERT(!mkdir(INSTANCE, 0700) || errno == EEXIST, "trace: errno %d", errno);
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		snprintf(path, sizeof(path), INSTANCE "events/kvm/%s/enable", events[i]);
		TEST_ASSERT(!gmem_write_file(path, "1"), "no event %s", events[i]);
	}
	gmem_write_file(INSTANCE "trace", "");
	if (!el2_talks())
		return;
	TEST_ASSERT(!gmem_write_file(EL2_EVENT, "1") && !gmem_write_file(EL2 "tracing_on", "1"),
		    "no EL2 event");
	gmem_write_file(EL2 "trace", "");
}

static void trace_end(void)
{
	if (el2_talks()) {
		gmem_write_file(EL2 "tracing_on", "0");
		gmem_write_file(EL2_EVENT, "0");
		gmem_write_file(EL2 "trace", "");
	}
	rmdir(INSTANCE);
}

FIXTURE_SETUP(tracing)
{
	struct stat st;
	u64 i;

	self->kmsg = gmem_kmsg_open();
	/* A fault gives the guest one page: what is to be seen can be told in advance. */
	self->around = get(AROUND);
	ASSERT_EQ(0, gmem_write_file(AROUND, "1"));
	trace_begin();

	pkvm_vm_create(&self->vm, 2, PKVM_VM_PROTECTED);
	self->vcpu = &self->vm.vcpu[0];
	self->other = &self->vm.vcpu[1];
	self->stats.fd = ioctl(self->vm.fd, KVM_GET_STATS_FD, NULL);
	self->vcpu_stats.fd = ioctl(self->vcpu->fd, KVM_GET_STATS_FD, NULL);
	ASSERT_LE(0, self->stats.fd);
	ASSERT_LE(0, self->vcpu_stats.fd);

	self->fd = gmem_create(self->vm.fd, OFF(NR_PAGES), GUEST_MEMFD_FLAG_MMAP |
			       GUEST_MEMFD_FLAG_INIT_SHARED);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, fstat(self->fd, &st));
	self->ino = st.st_ino;
	self->mem = gmem_map(self->fd, OFF(NR_PAGES));
	for (i = 0; i < ARRAY_SIZE(self->pfn); i++) {
		gmem_host_set64(HVA(i), 0x1000 + i);
		self->pfn[i] = gmem_pfn(HVA(i));
		ASSERT_NE(0, self->pfn[i]);
	}
	ASSERT_EQ(0, pkvm_slot_gmem(&self->vm, 0, MEM_GPA, OFF(NR_PAGES), self->fd, 0));
	self->handle = learn_handle(self->vcpu);
	/* The payload's page is nobody's business any more. */
	gmem_write_file(INSTANCE "trace", "");
}

static void destroy(FIXTURE_DATA(tracing) * self)
{
	if (!self->mem)
		return;
	pkvm_vm_destroy(&self->vm);
	munmap(self->mem, OFF(NR_PAGES));
	close(self->fd);
	self->mem = NULL;
}

FIXTURE_TEARDOWN(tracing)
{
	destroy(self);
	close(self->stats.fd);
	close(self->vcpu_stats.fd);
	free(self->stats.desc);
	free(self->vcpu_stats.desc);
	trace_end();
	EXPECT_EQ(0, gmem_write_file(AROUND, self->around));
	free(self->around);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

/* What the host's events say of this VM and this file from here on. */
static struct text events_read(FIXTURE_DATA(tracing) * self)
{
	char *log = get(INSTANCE "trace"), key[64];
	struct text t = {};

	snprintf(key, sizeof(key), "inode %lu ", self->ino);
	pick(&t, log, ": kvm_gmem_convert: ", key);
	snprintf(key, sizeof(key), "vm 0x%x ", self->handle);
	pick(&t, log, ": pkvm_gmem_", key);
	free(log);
	return t;
}

static void want_convert(FIXTURE_DATA(tracing) * self, struct text *t, u64 n, u64 nr, u64 attr,
			 const char *who, u64 error, long ret)
{
	add(t, "kvm_gmem_convert: inode %lu offset 0x%lx size 0x%lx attributes 0x%lx by %s error 0x%lx ret %ld\n",
	    self->ino, (unsigned long)OFF(n), (unsigned long)OFF(nr), (unsigned long)attr, who,
	    (unsigned long)OFF(error), ret);
}

#define NO_PFN	(~0ULL)

static void want_run(FIXTURE_DATA(tracing) * self, struct text *t, const char *what, u64 n,
		     u64 pfn, u64 nr, long ret)
{
	add(t, "pkvm_gmem_%s: vm 0x%x gfn 0x%lx pfn 0x%llx nr %lu ret %ld\n", what,
	    self->handle, GFN(n), (unsigned long long)pfn, (unsigned long)nr, ret);
}

static void want_reclaim(FIXTURE_DATA(tracing) * self, struct text *t, u64 n, u64 nr,
			 int owned, int shared)
{
	add(t, "pkvm_gmem_reclaim: vm 0x%x gfn 0x%lx nr %lu owned %d shared %d\n",
	    self->handle, GFN(n), (unsigned long)nr, owned, shared);
}

/* A page that somebody holds is not unshared; then it is. */
static void unshare_held(struct __test_metadata *_metadata, FIXTURE_DATA(tracing) * self, u64 n)
{
	struct gmem_pin pin;

	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, HVA(n), page));
	ASSERT_EQ(-EFAULT, __guest_hvc(self->vcpu, PKVM_HVC_UNSHARE, GPA(n), 1, 0));
	ASSERT_TRUE(pkvm_fault_is(self->vcpu, KVM_MEMORY_EXIT_FLAG_PRIVATE, GPA(n), page));
	EXPECT_EQ(-EAGAIN, gmem_set_attr(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE));
	gmem_pin_drop(&pin);
	ASSERT_EQ(0, pkvm_vcpu_resume(self->vcpu));
	ASSERT_EQ(PKVM_SUCCESS, (s64)self->vcpu->res[0]);
}

/*
 * The script that all of the following look at. In the end the guest has page 2 for itself
 * and shares page 5; 0 and 1 are poisoned; 3 it has given up, 4 and 6 it never had, and 7 is
 * shared though the guest never had it either.
 */
static void play(struct __test_metadata *_metadata, FIXTURE_DATA(tracing) * self)
{
	u64 i;

	ASSERT_EQ(0, gmem_set_attr(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0x1000 + i, guest_read64(self->vcpu, GPA(i)));
	ASSERT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(1), 2, NULL));
	unshare_held(_metadata, self, 1);
	ASSERT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(2), 1, NULL));
	ASSERT_EQ(-EPERM, gmem_set_attr(self->fd, 0, OFF(NR_PAGES), GMEM_SHARED));

	ASSERT_EQ(PKVM_SUCCESS, guest_hvc(self->vcpu, PKVM_HVC_RELINQUISH, GPA(3), 1, 0, NULL));
	ASSERT_EQ(PKVM_SUCCESS, guest_hvc(self->vcpu, PKVM_HVC_RELINQUISH, GPA(3), 2, 0, NULL));
	ASSERT_EQ(PKVM_INVALID_PARAMETER, guest_hvc(self->vcpu, PKVM_HVC_RELINQUISH,
						    GPA(NR_PAGES), 1, 0, NULL));
	ASSERT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(5), 1, NULL));
	ASSERT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(1), 1, NULL));
	ASSERT_EQ(0, gmem_punch(self->fd, OFF(0), OFF(2)));
	ASSERT_EQ(0, gmem_set_attr(self->fd, OFF(7), page, GMEM_SHARED));
}

TEST_F(tracing, tracepoints)
{
	struct text want = {}, got;

	play(_metadata, self);

	/* The host's and the guest's conversions, in the order in which they are done. */
	want_convert(self, &want, 0, NR_PAGES, GMEM_PRIVATE, "host", 0, 0);
	want_convert(self, &want, 1, 2, GMEM_SHARED, "guest", 1, 0);
	want_convert(self, &want, 1, 1, GMEM_PRIVATE, "guest", 1, -EAGAIN);
	want_convert(self, &want, 0, NR_PAGES, GMEM_PRIVATE, "host", 1, -EAGAIN);
	want_convert(self, &want, 1, 1, GMEM_PRIVATE, "guest", 1, 0);
	want_convert(self, &want, 2, 1, GMEM_PRIVATE, "guest", 2, 0);
	want_convert(self, &want, 0, NR_PAGES, GMEM_SHARED, "host", 0, -EPERM);
	want_convert(self, &want, 5, 1, GMEM_SHARED, "guest", 5, 0);
	want_convert(self, &want, 1, 1, GMEM_SHARED, "guest", 1, 0);
	want_convert(self, &want, 7, 1, GMEM_SHARED, "host", 7, 0);

	want_run(self, &want, "donate", 0, self->pfn[0], 1, 1);
	want_run(self, &want, "donate", 1, self->pfn[1], 1, 1);
	want_run(self, &want, "donate", 2, self->pfn[2], 1, 1);
	want_run(self, &want, "donate", 3, self->pfn[3], 1, 1);
	want_run(self, &want, "share", 1, self->pfn[1], 2, 2);
	want_run(self, &want, "unshare", 1, self->pfn[1], 1, -EAGAIN);
	want_run(self, &want, "unshare", 1, self->pfn[1], 1, 1);
	want_run(self, &want, "unshare", 2, self->pfn[2], 1, 1);
	want_run(self, &want, "relinquish", 3, self->pfn[3], 1, 1);
	want_run(self, &want, "absent", 3, NO_PFN, 2, 2);
	want_run(self, &want, "absent", NR_PAGES, NO_PFN, 1, -EFAULT);
	want_run(self, &want, "donate", 5, self->pfn[5], 1, 1);
	want_run(self, &want, "share", 5, self->pfn[5], 1, 1);
	want_run(self, &want, "share", 1, self->pfn[1], 1, 1);
	want_reclaim(self, &want, 0, 2, 1, 1);

	got = events_read(self);
	EXPECT_TEXT(want, got);
}

/* One fault gives away a whole block: what the events name is all of it, and only once. */
TEST_F(tracing, donation_of_a_block)
{
	char seen[BLOCK] = {}, *log;
	unsigned int runs = 0;
	struct donation d;
	const char *p;
	u64 i;

	ASSERT_EQ(0, gmem_write_file(AROUND, "64"));
	ASSERT_EQ(0, gmem_set_attr(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE));
	gmem_write_file(INSTANCE "trace", "");
	EXPECT_EQ(0x1003, guest_read64(self->vcpu, GPA(3)));

	log = get(INSTANCE "trace");
	for (p = log; (p = next_donation(p, &d)); runs++) {
		EXPECT_EQ(self->handle, d.vm);
		EXPECT_EQ((long)d.nr, d.ret);
		ASSERT_TRUE(d.gfn >= GFN(0) && d.gfn + d.nr <= GFN(BLOCK));
		for (i = 0; i < d.nr; i++) {
			u64 n = d.gfn + i - GFN(0);

			EXPECT_EQ(0, seen[n]++);
			if (n < ARRAY_SIZE(self->pfn))
				EXPECT_EQ(self->pfn[n], d.pfn + i);
		}
	}
	free(log);
	EXPECT_LT(0, runs);
	EXPECT_EQ(NULL, memchr(seen, 0, sizeof(seen)));
}

#define EXPECT_STAT(name, val) do {					\
	u64 __v = ~0ULL;						\
									\
	kvm_get_stat(&self->stats, "gmem_" #name, &__v, 1);		\
	EXPECT_EQ((u64)(val), __v)					\
		TH_LOG("VM statistic %s", #name);			\
} while (0)

#define EXPECT_VCPU_STAT(name, val) do {				\
	u64 __v = ~0ULL;						\
									\
	kvm_get_stat(&self->vcpu_stats, "gmem_" #name, &__v, 1);	\
	EXPECT_EQ((u64)(val), __v)					\
		TH_LOG("vCPU statistic %s", #name);			\
} while (0)

#define EXPECT_STATS(donated_, shared_, unshared_, relinquished_, reclaimed_) do { \
	EXPECT_STAT(pages_donated, donated_);				\
	EXPECT_STAT(pages_shared, shared_);				\
	EXPECT_STAT(pages_unshared, unshared_);				\
	EXPECT_STAT(pages_relinquished, relinquished_);			\
	EXPECT_STAT(pages_reclaimed, reclaimed_);			\
	EXPECT_STAT(shared, (shared_) - (unshared_) - gone_shared);	\
	EXPECT_STAT(private, (donated_) - (relinquished_) - (reclaimed_) - \
			     ((shared_) - (unshared_) - gone_shared));	\
} while (0)

static u32 stat_type(struct kvm_binary_stats *stats, const char *name)
{
	u32 i;

	for (i = 0; i < stats->header.num_desc; i++) {
		struct kvm_stats_desc *desc = get_stats_descriptor(stats->desc, i,
								   &stats->header);

		if (!strcmp(desc->name, name))
			return desc->flags & KVM_STATS_TYPE_MASK;
	}
	return ~0U;
}

TEST_F(tracing, statistics)
{
	/* The payload's file has been converted once, and its page is the VM's first. */
	const u64 code = 1;
	int gone_shared = 0;
	u64 val;

	EXPECT_STATS(code, 0, 0, 0, 0);
	EXPECT_STAT(conversions, 1);
	EXPECT_EQ(KVM_STATS_TYPE_CUMULATIVE, stat_type(&self->stats, "gmem_pages_donated"));
	EXPECT_EQ(KVM_STATS_TYPE_CUMULATIVE, stat_type(&self->stats, "gmem_pages_reclaimed"));
	EXPECT_EQ(KVM_STATS_TYPE_INSTANT, stat_type(&self->stats, "gmem_private"));
	EXPECT_EQ(KVM_STATS_TYPE_INSTANT, stat_type(&self->stats, "gmem_shared"));

	play(_metadata, self);
	gone_shared = 1;
	EXPECT_STATS(code + 5, 4, 2, 1, 2);
	/* All and page 7; what was refused is not one, and only EAGAIN is busy. */
	EXPECT_STAT(conversions, 3);
	EXPECT_STAT(conversions_busy, 1);
	EXPECT_VCPU_STAT(busy_exits, 1);
	EXPECT_VCPU_STAT(private_exits, 0);
	EXPECT_VCPU_STAT(poison_exits, 0);

	EXPECT_EQ(-EFAULT, __guest_read64(self->vcpu, GPA(7), &val));
	EXPECT_VCPU_STAT(private_exits, 1);
	ASSERT_EQ(0, gmem_set_attr(self->fd, OFF(7), page, GMEM_PRIVATE));
	EXPECT_EQ(0, pkvm_vcpu_resume(self->vcpu));
	EXPECT_STATS(code + 6, 4, 2, 1, 2);
	EXPECT_EQ(-EHWPOISON, __guest_read64(self->vcpu, GPA(1), &val));
	EXPECT_VCPU_STAT(poison_exits, 1);
	EXPECT_STAT(conversions, 4);

	/* Many pages in a call. */
	guest_fill(self->other, GPA(100), 500, 1, 1, page);
	EXPECT_STATS(code + 506, 4, 2, 1, 2);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->other, GPA(100), 500, NULL));
	EXPECT_STATS(code + 506, 504, 2, 1, 2);
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->other, GPA(200), 100, NULL));
	EXPECT_STATS(code + 506, 504, 102, 1, 2);
	EXPECT_EQ(PKVM_SUCCESS, guest_hvc(self->other, PKVM_HVC_RELINQUISH, GPA(200), 512, 0,
					  NULL));
	EXPECT_STATS(code + 506, 504, 102, 101, 2);

	/* What is left: 2 and 7 private, 5 and 400 of them shared. */
	ASSERT_EQ(0, gmem_punch(self->fd, 0, OFF(NR_PAGES)));
	gone_shared = 402;
	EXPECT_STATS(code + 506, 504, 102, 101, 2 + 403);
	EXPECT_STAT(private, code);
	EXPECT_STAT(shared, 0);

	/* The VM outlives its fds by its statistics: nothing is the guest's any more. */
	destroy(self);
	EXPECT_STAT(shared, 0);
}

static void *touch_other(void *arg)
{
	FIXTURE_DATA(tracing) * self = arg;

	guest_fill(self->other, GPA(NR_PAGES / 2), NR_PAGES / 2, 1, 1, page);
	return NULL;
}

/* Two vCPUs count at once, and nothing is lost. */
TEST_F(tracing, statistics_of_several_vcpus)
{
	pthread_t thread;

	ASSERT_EQ(0, gmem_set_attr(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE));
	ASSERT_EQ(0, pthread_create(&thread, NULL, touch_other, self));
	guest_fill(self->vcpu, GPA(0), NR_PAGES / 2, 1, 1, page);
	pthread_join(thread, NULL);
	/* And the payload's. */
	EXPECT_STAT(pages_donated, NR_PAGES + 1);
	EXPECT_STAT(private, NR_PAGES + 1);
}

/* A VM whose process has ended, and whose statistics somebody else still holds. */
TEST_F(tracing, statistics_of_a_dead_vm)
{
	struct kvm_binary_stats mine = self->stats;
	int sock[2], status;
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct pkvm_vm vm;
		int fd;

		pkvm_vm_create(&vm, 1, PKVM_VM_PROTECTED);
		fd = gmem_create(vm.fd, OFF(64), GUEST_MEMFD_FLAG_MMAP);
		if (fd < 0 || pkvm_slot_gmem(&vm, 0, MEM_GPA, OFF(64), fd, 0))
			_exit(1);
		guest_fill(&vm.vcpu[0], GPA(0), 64, 1, 1, page);
		if (guest_share(&vm.vcpu[0], GPA(8), 16, NULL) ||
		    gmem_send_fd(sock[1], ioctl(vm.fd, KVM_GET_STATS_FD, NULL)))
			_exit(1);
		_exit(0);
	}

	self->stats = (struct kvm_binary_stats) { .fd = gmem_recv_fd(sock[0]) };
	ASSERT_LE(0, self->stats.fd);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_STAT(pages_donated, 65);
	EXPECT_STAT(pages_shared, 16);
	EXPECT_STAT(pages_reclaimed, 65);
	EXPECT_STAT(private, 0);
	EXPECT_STAT(shared, 0);

	close(self->stats.fd);
	free(self->stats.desc);
	self->stats = mine;
	close(sock[0]);
	close(sock[1]);
}

static void want_el2(FIXTURE_DATA(tracing) * self, struct text *t, const char *op, u64 n, u64 nr,
		     long ret)
{
	add(t, "pkvm_transition vm=0x%x op=%s gfn=0x%lx nr=%lu ret=%ld\n", self->handle, op,
	    GFN(n), (unsigned long)nr, ret);
}

/* EL2 says by itself what it did; what it was not asked to do it does not say. */
TEST_F(tracing, el2_events)
{
	struct text want = {}, got = {};
	char key[64], *log;
	u64 val;

	if (!el2_talks()) {
		/* Not a debug kernel: no way in. */
		EXPECT_EQ(-1, access(EL2_EVENT, F_OK));
		EXPECT_EQ(-ENOENT, gmem_write_file(EL2_EVENT, "1"));
		return;
	}
	gmem_write_file(EL2 "trace", "");
	play(_metadata, self);
	EXPECT_EQ(-EHWPOISON, __guest_read64(self->vcpu, GPA(1), &val));

	want_el2(self, &want, "donate", 0, 1, 1);
	want_el2(self, &want, "donate", 1, 1, 1);
	want_el2(self, &want, "donate", 2, 1, 1);
	want_el2(self, &want, "donate", 3, 1, 1);
	want_el2(self, &want, "share", 1, 2, 2);
	want_el2(self, &want, "unshare", 1, 1, 1);
	want_el2(self, &want, "unshare", 2, 1, 1);
	want_el2(self, &want, "relinquish", 3, 1, 1);
	want_el2(self, &want, "donate", 5, 1, 1);
	want_el2(self, &want, "share", 5, 1, 1);
	want_el2(self, &want, "share", 1, 1, 1);
	want_el2(self, &want, "reclaim", 0, 2, 2);

	log = get(EL2 "trace");
	snprintf(key, sizeof(key), "vm=0x%x ", self->handle);
	pick(&got, log, ": pkvm_transition ", key);
	free(log);
	EXPECT_TEXT(want, got);
}

static struct text map_read(FIXTURE_DATA(tracing) * self)
{
	struct text t = { .str = calloc(1, TEXT_SIZE) };
	int map = gmem_map_open(getpid(), self->vm.fd, self->fd);
	ssize_t n;

	TEST_ASSERT(map >= 0, "no map: %d", map);
	while ((n = read(map, t.str + t.used, TEXT_SIZE - 1 - t.used)) > 0)
		t.used += n;
	close(map);
	return t;
}

static void want_map(struct text *t, u64 n, u64 end, const char *host, const char *el2)
{
	add(t, "%016lx-%016lx %s %lx-%lx slot 0 el2 %s\n", (unsigned long)OFF(n),
	    (unsigned long)OFF(end), host, GFN(n), GFN(end), el2);
}

/* Both columns, and they agree; or the host's alone. */
TEST_F(tracing, map_with_el2s_word)
{
	struct text want = {}, got;

	play(_metadata, self);
	want_map(&want, 0, 1, "private given-up", "poisoned");
	want_map(&want, 1, 2, "shared given-up", "poisoned");
	want_map(&want, 2, 3, "private resident", "owned");
	want_map(&want, 3, 4, "private given-up", "absent");
	want_map(&want, 4, 5, "private resident", "absent");
	want_map(&want, 5, 6, "shared resident", "shared");
	want_map(&want, 6, 7, "private resident", "absent");
	want_map(&want, 7, 8, "shared resident", "absent");
	want_map(&want, 8, NR_PAGES, "private hole", "absent");
	got = map_read(self);
	if (!el2_talks()) {
		EXPECT_EQ(NULL, strstr(got.str, "el2"));
		gmem_map_host_view(want.str);
	}
	EXPECT_TEXT(want, got);

	/* The host gives up what the guest shares: no disagreement. And more of a kind. */
	ASSERT_EQ(0, gmem_set_attr(self->fd, OFF(5), OFF(3), GMEM_PRIVATE));
	guest_fill(self->vcpu, GPA(6), NR_PAGES - 7, 1, 1, page);
	want_map(&want, 0, 1, "private given-up", "poisoned");
	want_map(&want, 1, 2, "shared given-up", "poisoned");
	want_map(&want, 2, 3, "private resident", "owned");
	want_map(&want, 3, 4, "private given-up", "absent");
	want_map(&want, 4, 5, "private resident", "absent");
	want_map(&want, 5, 6, "private resident", "shared");
	want_map(&want, 6, NR_PAGES - 1, "private resident", "owned");
	want_map(&want, NR_PAGES - 1, NR_PAGES, "private hole", "absent");
	got = map_read(self);
	if (!el2_talks())
		gmem_map_host_view(want.str);
	EXPECT_TEXT(want, got);
}

struct toucher {
	struct pkvm_vcpu *vcpu;
	u64 rounds;
	int bad;
	bool stop;
};

static void *change_all_the_while(void *arg)
{
	struct toucher *t = arg;

	while (!READ_ONCE(t->stop)) {
		guest_fill(t->vcpu, GPA(0), 32, t->rounds, 1, page);
		t->bad += guest_hvc_all(t->vcpu, PKVM_HVC_SHARE, GPA(0), 16) < 0;
		t->bad += guest_hvc_all(t->vcpu, PKVM_HVC_UNSHARE, GPA(0), 16) < 0;
		t->bad += guest_hvc_all(t->vcpu, PKVM_HVC_RELINQUISH, GPA(0), 32) < 0;
		__atomic_fetch_add(&t->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* However the guest's pages come and go: the two columns never contradict each other. */
TEST_F_TIMEOUT(tracing, map_of_what_changes, 120)
{
	struct toucher t = { .vcpu = self->vcpu };
	unsigned int el2 = 0, maps;
	pthread_t thread;
	struct text got;

	ASSERT_EQ(0, gmem_set_attr(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE));
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_all_the_while, &t));
	for (maps = 0; maps < 100 || __atomic_load_n(&t.rounds, __ATOMIC_RELAXED) < 10; maps++) {
		got = map_read(self);
		EXPECT_EQ(NULL, strstr(got.str, "DISAGREES"))
			TH_LOG("%s", got.str);
		el2 += !!strstr(got.str, "el2 owned") + !!strstr(got.str, "el2 shared");
		free(got.str);
	}
	WRITE_ONCE(t.stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, t.bad);
	EXPECT_EQ(el2_talks(), !!el2);
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
