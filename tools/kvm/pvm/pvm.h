/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pvm - a small VMM for protected guests whose memory is a guest_memfd.
 *
 * One file per subject; this header is what they share. Functions return 0 or a
 * negative errno, and have printed a message that names the option, the cause and
 * the remedy where they say "reported".
 */
#ifndef PVM_H
#define PVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <pthread.h>
#include <sys/types.h>

#include <linux/kvm.h>

/*
 * Exit codes of every subcommand; --help and pvm.1 list them. A signal that ends
 * the guest gives 128 + its number.
 */
enum {
	PVM_EXIT_OK		= 0,	/* the guest powered off; the check held */
	PVM_EXIT_FAIL		= 1,	/* pvm or a system call failed */
	PVM_EXIT_USAGE		= 2,	/* a bad option, number or input file */
	PVM_EXIT_HOST		= 3,	/* the host cannot do it */
	PVM_EXIT_GUEST		= 4,	/* the guest had to be stopped */
	PVM_EXIT_RESET		= 5,	/* the guest asked for a reset */
	PVM_EXIT_TIMEOUT	= 124,	/* --timeout ran out */
	PVM_EXIT_SIGNAL		= 128,
};

/*
 * The guest's physical address space. RAM lies in one file, offset 0 being
 * PVM_RAM_BASE: `pvm poke` and `pvm map` count on it.
 */
#define PVM_GICD_BASE	0x08000000ULL
#define PVM_GICD_SIZE	0x00010000ULL
#define PVM_GICR_BASE	0x080a0000ULL
#define PVM_GICR_SIZE	0x00020000ULL	/* per vCPU */
#define PVM_UART_BASE	0x09000000ULL
#define PVM_UART_SIZE	0x00001000ULL
#define PVM_UART_IRQ	1		/* SPI number, from 0 */
#define PVM_RTC_BASE	0x09010000ULL
#define PVM_RTC_SIZE	0x00001000ULL
#define PVM_VIRTIO_BASE	0x0a000000ULL
#define PVM_VIRTIO_SIZE	0x00001000ULL	/* per device */
#define PVM_VIRTIO_IRQ	16		/* SPI number of the first device */
#define PVM_RAM_BASE	0x80000000ULL

#define PVM_NR_IRQS	128
#define PVM_MAX_CPUS	8
#define PVM_MAX_DISKS	8
#define PVM_MAX_NETS	4
#define PVM_MAX_VIRTIO	(PVM_MAX_DISKS + PVM_MAX_NETS + 2)
#define PVM_MIN_MEM	(32ULL << 20)
#define PVM_MAX_MEM	(64ULL << 30)
#define PVM_PAGE	4096ULL

#define POOL_PER_DISK	(2ULL << 20)	/* virtio_blk.c is held to that */

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct pvm_disk {
	char path[4096];
	bool read_only;
};

struct pvm_net {
	/* One of them is empty. */
	char tap[16];			/* a device's name */
	char socket[108];		/* a path */
	uint8_t mac[6];
	bool have_mac;
};

struct pvm_options {
	const char *kernel;
	const char *initrd;
	const char *append;
	uint64_t mem;
	uint64_t pool;			/* 0: none */
	bool have_pool;			/* given, not the default */
	unsigned int cpus;
	unsigned int timeout;		/* seconds; 0: none */
	uint64_t seed;
	const char *trace, *record;	/* files, or NULL */
	unsigned int nr_disks, nr_nets;
	struct pvm_disk disk[PVM_MAX_DISKS];
	struct pvm_net net[PVM_MAX_NETS];
	bool protect;
	bool anon;
	bool stats;
	bool seeded;
	bool rng;
	bool serial;			/* the only console */
	bool reboot;			/* a reset is a new start */
};

struct vm;
struct registers_page;

struct vcpu {
	struct vm *vm;
	unsigned int id;
	int fd;
	int stats_fd;			/* -1 without --stats */
	struct kvm_run *run;
	size_t run_size;
	pthread_t thread;
	bool started;
	/* The last memory fault, to tell a retry from a loop. */
	uint64_t fault_gpa;
	unsigned int fault_count;
};

struct serial;
struct virtio_dev;

/* What KVM counts for a vCPU; names in stats.c. */
#define STATS_NR_COUNTERS	7

/* With --stats. */
struct stats {
	unsigned int matched;		/* of the console's line, with init's first */
	bool booted;
	uint64_t begin_ns, begin_cpu_ns;
	uint64_t boot_ns, boot_cpu_ns;
	uint64_t resident;		/* bytes of guest memory */
	uint64_t count[STATS_NR_COUNTERS];
	uint64_t destroy_ns;
	/* At the guest's end: pages that are its own, that it shares, and that are not there. */
	bool have_pages;
	uint64_t private, shared, absent;
};

/* An access of a vCPU to what is not memory. */
typedef void (*mmio_fn)(struct vm *vm, uint64_t addr, uint8_t *data, uint32_t len,
			bool is_write);

/* A file that is loaded into guest memory. */
struct image_file {
	const char *path;
	int fd;				/* -1: there is none */
	uint64_t size;
	uint64_t gpa;
};

struct vm {
	const struct pvm_options *opt;
	int kvm_fd;
	int fd;
	int gic_fd;
	int gmem_fd;			/* -1 with --anon */
	/*
	 * The host's mapping of guest RAM. Only memory.c touches it: any page may
	 * become private at any time.
	 */
	void *ram;
	struct serial *serial;
	struct virtio_dev *virtio[PVM_MAX_VIRTIO];
	unsigned int nr_virtio;
	struct virtio_dev *console;	/* one of them, or NULL */
	struct stats stats;

	struct image_file kernel, initrd;
	uint64_t kernel_end;		/* gpa, as the Image's header says */
	uint64_t dtb_start;
	uint64_t pool_start;		/* gpa; the pool ends where RAM ends */

	unsigned int nr_vcpus;
	struct vcpu vcpu[PVM_MAX_CPUS];
	mmio_fn mmio;

	int registers_fd;
	struct registers_page *registers;	/* of registers_answer.c */

	pthread_mutex_t stop_lock;
	int stop_fd;			/* eventfd: readable when stopping */
	bool stopping;			/* atomic; guarded by stop_lock for writing */
	int stop_code;			/* guarded by stop_lock */
};

/* say.c */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int write_all(int fd, const void *buf, size_t len);

/* numbers.c */
int parse_u64(const char *option, const char *text, uint64_t min, uint64_t max,
	      uint64_t *val);
int parse_size(const char *option, const char *text, uint64_t min, uint64_t max,
	       uint64_t *val);
int parse_mac(const char *option, const char *text, uint8_t *mac);
int parse_pid(const char *text, pid_t *pid);
const char *size_text(uint64_t bytes, char *buf, size_t len);

/* thread.c */
void join_interrupted(pthread_t thread);

/* random.c: what a guest gets of random numbers; from --seed, if there is one */
struct random {
	bool seeded;
	uint64_t state;
};

enum { RANDOM_FDT = 1, RANDOM_RNG, RANDOM_MAC };

void random_init(struct random *r, const struct pvm_options *opt, unsigned int stream);
int random_fill(struct random *r, void *buf, size_t len);

/* event.c: --trace, one line for each thing that pvm does for the guest */
extern bool event_on;
int event_open(const char *path);
void event_close(void);
void event_write(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define event(...) do { if (event_on) event_write(__VA_ARGS__); } while (0)

/* options.c: 0, or PVM_EXIT_USAGE when reported */
int options_parse(int argc, char **argv, struct pvm_options *opt);
extern const char options_help[];

/* pool.c */
uint64_t pool_default(const struct pvm_options *opt);
uint64_t pool_disk_share(const struct pvm_options *opt);

/* memory.c */
int memory_create(struct vm *vm);
void memory_destroy(struct vm *vm);
int memory_read(struct vm *vm, uint64_t gpa, void *buf, size_t len);
int memory_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len);
int memory_pread(struct vm *vm, uint64_t gpa, int fd, uint64_t pos, size_t len);
int memory_pwrite(struct vm *vm, uint64_t gpa, int fd, uint64_t pos, size_t len);
int memory_load(struct vm *vm, uint64_t gpa, int fd, uint64_t len);
int memory_seal(struct vm *vm);

/* copy.c */
int copy_from_fragile(void *dst, const void *src, size_t len);
int copy_to_fragile(void *dst, const void *src, size_t len);

/* What a page of the guest's is, to the host. */
enum page_state {
	PAGE_UNTOUCHED,			/* nothing is there yet */
	PAGE_RELINQUISHED,		/* nothing is there any more: guest or host gave it up */
	PAGE_PRIVATE,
	PAGE_SHARED,
	PAGE_POISONED,			/* destroyed under the guest */
	NR_PAGE_STATES
};

/* gmem.c: ioctls on a guest_memfd, of this process or another's */
struct gmem_run {
	uint64_t offset;
	uint64_t size;
	bool private;
	bool populated;
	enum page_state state;
};

int gmem_set(int fd, uint64_t offset, uint64_t size, bool private, uint64_t *error_offset);
int gmem_next_run(int fd, uint64_t offset, uint64_t end, struct gmem_run *run);

/* vm.c; PVM_EXIT_* when reported */
void vm_prepare(struct vm *vm, const struct pvm_options *opt);
int vm_create(struct vm *vm);
int vm_irq_line(struct vm *vm, unsigned int spi, bool level);
int vm_ioeventfd(struct vm *vm, uint64_t gpa, int fd);
void vm_stop(struct vm *vm, int code);
void vm_destroy(struct vm *vm);

static inline bool vm_stopping(struct vm *vm)
{
	return __atomic_load_n(&vm->stopping, __ATOMIC_SEQ_CST);
}

/* gic.c */
int gic_create(struct vm *vm);
void gic_destroy(struct vm *vm);

/* image.c, fdt.c; PVM_EXIT_* when reported */
int image_open(struct vm *vm);
int image_load(struct vm *vm);
void image_close(struct vm *vm);
int fdt_load(struct vm *vm);

/* vcpu.c; PVM_EXIT_* when reported, but the registers' are 0 or -errno */
int vcpu_get_pc(struct vcpu *vcpu, uint64_t *pc);
int vcpu_set_pc(struct vcpu *vcpu, uint64_t pc);
void vcpu_kick(struct vcpu *vcpu);
int vcpu_create_all(struct vm *vm);
void vcpu_destroy_all(struct vm *vm);
int vcpu_init(struct vcpu *vcpu);

/* vcpu_run.c; PVM_EXIT_* when reported */
int vcpu_start_all(struct vm *vm, mmio_fn mmio);
void vcpu_join_all(struct vm *vm);

/* output.c */
void output_console(struct vm *vm, int fd, const uint8_t *buf, size_t len);

/* serial.c: ns16550a */
struct serial *serial_create(struct vm *vm, int out_fd);
void serial_destroy(struct serial *s);	/* or of NULL */
void serial_access(struct serial *s, uint64_t reg, uint8_t *data, bool is_write);
size_t serial_input_room(struct serial *s);
void serial_input(struct serial *s, const uint8_t *buf, size_t len);

/* bus.c */
void bus_access(struct vm *vm, uint64_t addr, uint8_t *data, uint32_t len, bool is_write);

/* rtc.c */
void rtc_access(uint64_t reg, uint8_t *data, uint32_t len, bool is_write);

/* devices.c: the virtio devices; PVM_EXIT_* when reported */
int devices_create(struct vm *vm);
int devices_start(struct vm *vm);
void devices_join(struct vm *vm);
void devices_destroy(struct vm *vm);
void devices_access(struct vm *vm, uint64_t offset, uint8_t *data, uint32_t len,
		    bool is_write);

/* console.c: the guest's console that input goes to */
size_t console_input_room(struct vm *vm);
void console_input(struct vm *vm, const uint8_t *buf, size_t len);

/* stats.c: --stats */
void stats_open(struct vm *vm);
void stats_close(struct vm *vm);
void stats_begin(struct vm *vm);
void stats_console(struct vm *vm, uint8_t byte);
void stats_destroy_begin(struct vm *vm);
void stats_print(struct vm *vm, int code);

/* terminal.c: the user's terminal as the guest's console */
void terminal_raw(void);
void terminal_restore(void);
bool terminal_filter(uint8_t *buf, size_t *len);

/* target.c: another process's guest_memfd */
struct target {
	pid_t pid;
	int pidfd;
	int fd;				/* -1: let go of */
	uint64_t size;
	uint64_t inode;
};

int target_open(pid_t pid, struct target *t, bool quiet);
int target_get(const struct target *t, const char *name);
int target_take(struct target *t);
void target_drop(struct target *t);
bool target_ended(struct target *t, int *sig_fd, int ms);
void target_close(struct target *t);

/* registers_answer.c, registers_ask.c: see registers_page.h */
int registers_open(struct vm *vm);
void registers_close(struct vm *vm);
void registers_asked(struct vm *vm);
void registers_answer(struct vcpu *vcpu);
int registers_ask(const struct target *t, uint32_t which, int *got);

/* probe.c: touch memory that may not let us */
int probe_read(const void *addr, void *buf, size_t len);
int probe_write(void *addr, const void *buf, size_t len);
const char *probe_result(int ret);

/* map.c: what each page of a guest's memory is */
struct map {
	uint64_t pages;
	uint8_t *state;			/* of each page: enum page_state */
	uint64_t unbound;		/* pages that are in no memory slot */
	uint64_t disputed;		/* of which EL2 says what cannot be */
	uint64_t relinquished, reclaimed; /* in the VM's life */
	bool has_private;		/* the guest can have private memory */
};

struct map_counts {
	uint64_t pages[NR_PAGE_STATES];
};

struct map_options {
	pid_t pid;
	bool watch;
	uint64_t seconds;
	const char *svg;		/* a file, or NULL */
};

int map_parse(int argc, char **argv, struct map_options *opt);
int map_read(const struct target *t, struct map *map);
void map_free(struct map *map);
int map_debugfs_line(struct map *map, const char *line);
void map_count_range(const struct map *map, uint64_t first, uint64_t nr,
		     struct map_counts *counts);
int map_count(const struct target *t, struct map_counts *counts);

/* picture.c: a map, drawn */
struct map_layout {
	unsigned int columns;
	uint64_t per_cell;		/* pages */
	uint64_t cells;
};

void map_layout(uint64_t pages, unsigned int columns, unsigned int rows,
		struct map_layout *layout);
char map_char(const struct map_counts *counts);
void map_draw(FILE *f, const struct map *map, bool colour);
void map_draw_svg(FILE *f, const struct map *map);

/* attempts.c: everything that a curious host might try; PVM_EXIT_* */
int attempt_everything(const struct target *t, const char *direct, bool punch);

/* trace.c: the kernel's own account of donated and shared pages */
struct trace {
	bool active;
	bool lossy;
	uint64_t nr_pages;
	/* By page offset in the guest_memfd. */
	uint64_t *donated;		/* pfn; 0: never given to the guest */
	bool *shared;			/* the guest has shared it at some time */
};

int trace_start(void);
void trace_line(struct trace *t, const char *line);
int trace_read(struct trace *t, uint64_t nr_pages);
void trace_stop(struct trace *t);

/* kmsg.c: reports of trouble in the kernel log */
int kmsg_check(unsigned int *lines, char *first, size_t len);

/* Subcommands: main.c's table */
int cmd_run(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_poke(int argc, char **argv);
int cmd_demo(int argc, char **argv);

#endif
