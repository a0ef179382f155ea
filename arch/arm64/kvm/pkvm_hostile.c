// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile host, for tests of EL2 only: this kernel attacks its own protected guests.
 *
 * What pKVM promises, it promises against the host's kernel. So the tests need a host kernel
 * that reads what it can reach of a guest after every exit, and overwrites what it can reach
 * before every entry, and lives on to tell. It sleeps until a test names a VMM in debugfs:
 *
 *   kvm/pkvm_hostile/target	the VMM's process id, "all", or "off"; forgets everything else.
 *				"control PID": that VMM's guests that are not protected, which
 *				are watched and nothing else
 *   kvm/pkvm_hostile/watch	"ANTITAG MASK": look for words w with (~w & MASK) == ANTITAG
 *   kvm/pkvm_hostile/smash	"MODES [SEED [GADGET [EXCEPT]]]": HOSTILE_* of what is overwritten
 *   kvm/pkvm_hostile/attack	single attacks, see pkvm_hostile_attack.c
 *   kvm/pkvm_hostile/stats	exits by class, and what was found; a write forgets it
 *   kvm/pkvm_hostile/scan	the same, after a look at all memory
 *
 * struct hostile is written under config_lock; the hooks read it without, and a test changes
 * nothing there while its guest runs but modes and rules.
 */
#include <linux/cleanup.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kvm_host.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

#include <asm/kvm_emulate.h>
#include <asm/kvm_pkvm.h>
#include <asm/kvm_pkvm_hostile.h>

#include "pkvm_hostile.h"

DEFINE_STATIC_KEY_FALSE(pkvm_hostile_on);

struct hostile hostile;
static DEFINE_MUTEX(config_lock);

static atomic64_t nr_exits[HOSTILE_NR_CLASSES];

static const char *const class_names[] = {
	[HOSTILE_IRQ] = "irq", [HOSTILE_SERROR] = "serror", [HOSTILE_WFX] = "wfx",
	[HOSTILE_HVC] = "hvc", [HOSTILE_SYS] = "sys", [HOSTILE_IABT] = "iabt",
	[HOSTILE_DABT] = "dabt", [HOSTILE_LOAD] = "load", [HOSTILE_STORE] = "store",
	[HOSTILE_MEMREQ] = "memreq", [HOSTILE_REFUSED] = "refused", [HOSTILE_OTHER] = "other",
	[HOSTILE_ANY] = "any",
};

const char *hostile_class_name(enum hostile_class class)
{
	return class < ARRAY_SIZE(class_names) ? class_names[class] : "?";
}

int hostile_parse_class(const char *name)
{
	return match_string(class_names, ARRAY_SIZE(class_names), name);
}

/* splitmix64: each vCPU has its own, so that one vCPU's life is that of its seed. */
u64 hostile_random(struct hostile_vcpu *hv)
{
	u64 z = hv->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static void seed_vcpus(void)
{
	unsigned int i;

	for (i = 0; i < HOSTILE_MAX_VCPUS; i++)
		hostile.vcpu[i].random = hostile.seed + ((u64)i << 32);
}

static bool is_target(struct kvm_vcpu *vcpu)
{
	pid_t target = READ_ONCE(hostile.target);

	return (target < 0 || target == current->tgid) &&
	       kvm_vm_is_protected(vcpu->kvm) != hostile.control;
}

/* Of a data abort: is there memory, as far as the VMM is concerned? */
static bool aborts_on_memory(struct kvm_vcpu *vcpu)
{
	gfn_t gfn = gpa_to_gfn(kvm_vcpu_get_fault_ipa(vcpu));
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	bool memory = gfn_to_memslot(vcpu->kvm, gfn);

	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	return memory;
}

static enum hostile_class dabt_class(struct kvm_vcpu *vcpu)
{
	bool memory = aborts_on_memory(vcpu);

	if (memory || !kvm_vcpu_dabt_isvalid(vcpu))
		return HOSTILE_DABT;
	return kvm_vcpu_dabt_iswrite(vcpu) ? HOSTILE_STORE : HOSTILE_LOAD;
}

/* The value of a store stands in the host's registers: of one to memory, too? */
static void note_store(struct kvm_vcpu *vcpu, enum hostile_class class)
{
	if ((class == HOSTILE_DABT || class == HOSTILE_STORE) &&
	    kvm_vcpu_dabt_isvalid(vcpu) && kvm_vcpu_dabt_iswrite(vcpu))
		hostile_note_store(vcpu, class == HOSTILE_DABT);
}

static enum hostile_class trap_class(struct kvm_vcpu *vcpu)
{
	switch (kvm_vcpu_trap_get_class(vcpu)) {
	case ESR_ELx_EC_WFx:
		return HOSTILE_WFX;
	case ESR_ELx_EC_HVC64:
		return HOSTILE_HVC;
	case ESR_ELx_EC_SYS64:
		return HOSTILE_SYS;
	case ESR_ELx_EC_IABT_LOW:
		return HOSTILE_IABT;
	case ESR_ELx_EC_DABT_LOW:
		return dabt_class(vcpu);
	default:
		return HOSTILE_OTHER;
	}
}

static enum hostile_class exit_class(struct kvm_vcpu *vcpu, int ret)
{
	if (ret < 0)
		return HOSTILE_REFUSED;
	switch (ARM_EXCEPTION_CODE(ret)) {
	case ARM_EXCEPTION_IRQ:
		return HOSTILE_IRQ;
	case ARM_EXCEPTION_EL1_SERROR:
		return HOSTILE_SERROR;
	case ARM_EXCEPTION_TRAP:
		return trap_class(vcpu);
	case ARM_EXCEPTION_PKVM_MEMREQ:
		return HOSTILE_MEMREQ;
	case ARM_EXCEPTION_IL:
		return HOSTILE_REFUSED;
	default:
		return HOSTILE_OTHER;
	}
}

/* A VM's first entry is the VMM's to shape: whatever is overwritten there is nobody's secret. */
static bool has_run(struct kvm_vcpu *vcpu)
{
	return READ_ONCE(hostile.kvm) == vcpu->kvm;
}

void __pkvm_hostile_before_entry(struct kvm_vcpu *vcpu)
{
	if (!is_target(vcpu) || !has_run(vcpu) || hostile.control)
		return;
	/* While the vCPU's memory is as the host left it. */
	hostile_attack_entry(vcpu);
	hostile_smash_entry(vcpu);
}

static void account_exit(struct kvm_vcpu *vcpu, enum hostile_class class)
{
	struct hostile_vcpu *hv = hostile_vcpu(vcpu);

	atomic64_inc(&nr_exits[class]);
	hv->exits++;
	hv->last = class;
	hv->func = vcpu_get_reg(vcpu, 0);
	hv->completed = hostile_nr_completed(vcpu);
	WRITE_ONCE(hostile.kvm, vcpu->kvm);
}

void __pkvm_hostile_after_exit(struct kvm_vcpu *vcpu, int ret)
{
	enum hostile_class class;
	bool target;

	/* It may be the target no more: what was done to it is undone in any case. */
	hostile_smash_undo(vcpu);
	target = is_target(vcpu);
	class = exit_class(vcpu, ret);
	if (target) {
		account_exit(vcpu, class);
		note_store(vcpu, class);
		hostile_watch_exit(vcpu, class);
	}
	hostile_smash_exit(vcpu, class);
	if (target && !hostile.control)
		hostile_attack_exit(vcpu);
}

/* The key stays: a vCPU may be in the guest, and has yet to be restored. */
static void switch_off(void)
{
	WRITE_ONCE(hostile.target, 0);
	if (hostile.other_kvm)
		kvm_put_kvm(hostile.other_kvm);
	hostile_forget_findings();
	hostile_forget_attacks();
	memset(nr_exits, 0, sizeof(nr_exits));
	memset(&hostile, 0, sizeof(hostile));
	hostile.except = -1;
}

static int set_target(char *line)
{
	pid_t target = -1;
	bool off = !strcmp(line, "off"), control = strstarts(line, "control ");
	int ret;

	if (control)
		line += strlen("control ");
	if (!off && strcmp(line, "all") && (kstrtoint(line, 0, &target) || target <= 0))
		return -EINVAL;

	switch_off();
	if (off)
		return 0;
	ret = hostile_smash_init();
	if (ret)
		return ret;
	hostile.control = control;
	WRITE_ONCE(hostile.target, target);
	if (!static_key_enabled(&pkvm_hostile_on))
		static_branch_enable(&pkvm_hostile_on);
	return 0;
}

static int set_watch(char *line)
{
	u64 anti_tag, mask;

	if (sscanf(line, "%llx %llx", &anti_tag, &mask) != 2)
		return -EINVAL;
	hostile.anti_tag = anti_tag & mask;
	WRITE_ONCE(hostile.tag_mask, mask);
	return 0;
}

/* For HOSTILE_WILD: the VMM's first VM, if it is not the one that is attacked. */
static void find_other_kvm(void)
{
	struct kvm *newest = hostile_get_vm(true), *oldest = hostile_get_vm(false);

	if (newest != oldest && !hostile.other_kvm)
		swap(hostile.other_kvm, oldest);
	if (oldest)
		kvm_put_kvm(oldest);
	if (newest)
		kvm_put_kvm(newest);
}

static int set_smash(char *line)
{
	u64 seed = hostile.seed, gadget = 0;
	u32 modes;
	int except = -1;

	if (sscanf(line, "%i %lli %lli %i", &modes, &seed, &gadget, &except) < 1 ||
	    modes & ~HOSTILE_MODES || except > 7)
		return -EINVAL;
	hostile.seed = seed;
	hostile.gadget = gadget;
	hostile.except = except;
	seed_vcpus();
	if (modes & HOSTILE_WILD)
		find_other_kvm();
	WRITE_ONCE(hostile.modes, modes);
	return 0;
}

static int forget(char *line)
{
	hostile_forget_findings();
	memset(nr_exits, 0, sizeof(nr_exits));
	return 0;
}

static ssize_t write_line(const char __user *from, size_t count, int (*set)(char *line))
{
	char line[160] = {};
	int ret;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, count))
		return -EFAULT;
	guard(mutex)(&config_lock);
	ret = set(strim(line));
	return ret ?: count;
}

static int show_target(struct seq_file *m, void *unused)
{
	seq_printf(m, "%d\n", hostile.target);
	return 0;
}

static int show_watch(struct seq_file *m, void *unused)
{
	seq_printf(m, "%#llx %#llx\n", hostile.anti_tag, hostile.tag_mask);
	return 0;
}

static int show_smash(struct seq_file *m, void *unused)
{
	seq_printf(m, "%#x %#llx %#llx %d\n", hostile.modes, hostile.seed, hostile.gadget,
		   hostile.except);
	return 0;
}

static int show_attack(struct seq_file *m, void *unused)
{
	hostile_show_attacks(m);
	return 0;
}

static int show_stats(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < HOSTILE_NR_CLASSES; i++)
		seq_printf(m, "exits-%s %llu\n", class_names[i], atomic64_read(&nr_exits[i]));
	hostile_show_findings(m);
	return 0;
}

static int show_scan(struct seq_file *m, void *unused)
{
	/* The buffer of a seq_file is made larger, and filled again, where it is too small. */
	scoped_guard(mutex, &config_lock)
		hostile_scan_ram();
	return show_stats(m, unused);
}

#define HOSTILE_FILE(name, set)							\
	static int open_##name(struct inode *inode, struct file *file)		\
	{									\
		return single_open_size(file, show_##name, NULL, SZ_64K);	\
	}									\
	static ssize_t write_##name(struct file *file, const char __user *from,	\
				    size_t count, loff_t *pos)			\
	{									\
		return write_line(from, count, set);				\
	}									\
	static const struct file_operations fops_##name = {			\
		.owner = THIS_MODULE, .open = open_##name, .read = seq_read,	\
		.write = write_##name, .llseek = seq_lseek,			\
		.release = single_release,					\
	}

HOSTILE_FILE(target, set_target);
HOSTILE_FILE(watch, set_watch);
HOSTILE_FILE(smash, set_smash);
HOSTILE_FILE(attack, hostile_attack);
HOSTILE_FILE(stats, forget);
HOSTILE_FILE(scan, forget);

/* After KVM's own, which makes the directory. */
static int __init hostile_init(void)
{
	struct dentry *kvm_dir, *dir;

	if (!is_protected_kvm_enabled())
		return 0;

	kvm_dir = debugfs_lookup("kvm", NULL);
	dir = debugfs_create_dir("pkvm_hostile", kvm_dir);
	dput(kvm_dir);
	debugfs_create_file("target", 0600, dir, NULL, &fops_target);
	debugfs_create_file("watch", 0600, dir, NULL, &fops_watch);
	debugfs_create_file("smash", 0600, dir, NULL, &fops_smash);
	debugfs_create_file("attack", 0600, dir, NULL, &fops_attack);
	debugfs_create_file("stats", 0600, dir, NULL, &fops_stats);
	debugfs_create_file("scan", 0600, dir, NULL, &fops_scan);
	hostile.except = -1;
	return 0;
}
late_initcall(hostile_init);
