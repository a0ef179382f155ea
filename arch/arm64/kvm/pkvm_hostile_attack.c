// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hostile host's single attacks, one a line in the file "attack":
 *
 *   order VCPU CLASS FUNC FIELD INDEX VALUE TIMES
 *	at the next TIMES entries of that vCPU which follow an exit of that class (an HVC's only
 *	if R0 was FUNC, unless that is 0), word INDEX of FIELD gets that value. FIELD is a member
 *	of struct kvm_vcpu; or of struct kvm if it begins with "kvm.", where no other thread is
 *	at work in the VM
 *   complete VCPU CLASS OTHER DONE TIMES
 *	after the next TIMES exits of that class the host completes a memory request for DONE
 *	pages: on the vCPU itself, or, if OTHER is one, on that vCPU; if it is -2, after the vCPU
 *	was put, on none
 *   again VCPU DONE TIMES
 *	the same once more on the vCPU, at the next TIMES entries before which the host has
 *	completed one. Only for VMs of which one vCPU runs
 *   late VCPU DONE TIMES
 *	after TIMES exits with a memory request, about half of them, the vCPU is entered again,
 *	with an interrupt pending, as if a signal had come; then the request is completed for
 *	DONE pages, and once more by KVM itself
 *   enter VCPU HANDLE-XOR INDEX
 *	load that vCPU index of the VM with that handle and enter VCPU, by hypercall, whatever
 *	KVM thinks of its state. The vCPU must not be in KVM_RUN
 *   create VCPU [FIELD INDEX XOR]...
 *	have EL2 make its VM, if it has none, and its own of VCPU, while those words are what
 *	they are not. No vCPU may be in KVM_RUN
 *
 * VCPU -1 is any. Reading the file says what became of each.
 */
#include <linux/cleanup.h>
#include <linux/context_tracking.h>
#include <linux/irq_work.h>
#include <linux/kvm_host.h>
#include <linux/spinlock.h>

#include <asm/kvm_emulate.h>
#include <asm/kvm_hyp.h>
#include <asm/kvm_pkvm.h>

#include "pkvm_hostile.h"

#define MAX_ORDERS	16

/*
 * Guarded by attack_lock while they are added and forgotten; a line is complete before its
 * number is raised. Counts are only those of the tests: vCPUs that race for one may both have it.
 */
static struct hostile_order orders[MAX_ORDERS];
static unsigned int nr_orders;

enum completion_time {
	AT_EXIT,
	AGAIN,
	LATE,
};

struct completion_attack {
	enum completion_time when;
	int vcpu, class;
	int other;			/* NO_OTHER: itself, PUT_FIRST: none */
	u64 done;
	u32 left, nr;
	long worst;			/* the answer that was no refusal, else the last */
};

#define NO_OTHER	-1
#define PUT_FIRST	-2

static struct completion_attack completions[MAX_ORDERS];
static unsigned int nr_completions;

/* What entering a vCPU by force came to, and creating one. */
static long enter_ret, create_ret;
static u64 nr_enters, nr_creates;

static DEFINE_MUTEX(attack_lock);

static bool order_fits(const struct hostile_order *o, struct kvm_vcpu *vcpu)
{
	const struct hostile_vcpu *hv = hostile_vcpu(vcpu);

	return (o->vcpu < 0 || o->vcpu == vcpu->vcpu_id) &&
	       (o->class == HOSTILE_ANY || o->class == hv->last) &&
	       (!o->func || o->func == hv->func);
}

/**
 * hostile_next_order() - what was ordered for this entry
 * @vcpu: which is about to enter
 * @nr: where to go on, 0 to begin with
 *
 * Return: the next order that is to be followed now; NULL if there are no more.
 */
const struct hostile_order *hostile_next_order(struct kvm_vcpu *vcpu, unsigned int *nr)
{
	/* Pairs with add_order(). */
	unsigned int end = smp_load_acquire(&nr_orders);

	while (*nr < end) {
		struct hostile_order *o = &orders[(*nr)++];

		if (!o->left || !order_fits(o, vcpu))
			continue;
		o->left--;
		o->done++;
		return o;
	}
	return NULL;
}

static int add_order(const char *args)
{
	struct hostile_order o = {};
	char class[16], field[48];

	if (sscanf(args, "%d %15s %lli %47s %u %lli %u", &o.vcpu, class, &o.func, field,
		   &o.index, &o.value, &o.left) != 7)
		return -EINVAL;
	o.class = hostile_parse_class(class);
	o.field = hostile_find_field(field);
	if (o.class < 0 || o.field < 0 || o.index >= hostile_field_words(o.field))
		return -EINVAL;
	if (nr_orders == MAX_ORDERS)
		return -ENOSPC;

	orders[nr_orders] = o;
	/* Pairs with hostile_next_order(). */
	smp_store_release(&nr_orders, nr_orders + 1);
	return 0;
}

static int parse_completion(struct completion_attack *c, const char *args)
{
	char class[16];

	if (c->when != AT_EXIT)
		return sscanf(args, "%d %lli %u", &c->vcpu, &c->done, &c->left) == 3 ? 0 : -EINVAL;

	if (sscanf(args, "%d %15s %d %lli %u", &c->vcpu, class, &c->other, &c->done,
		   &c->left) != 5)
		return -EINVAL;
	c->class = hostile_parse_class(class);
	return c->class < 0 ? -EINVAL : 0;
}

static int add_completion(const char *args, enum completion_time when)
{
	struct completion_attack c = {
		.when = when, .class = HOSTILE_MEMREQ, .other = NO_OTHER, .worst = -EINVAL,
	};

	if (parse_completion(&c, args))
		return -EINVAL;
	if (nr_completions == MAX_ORDERS)
		return -ENOSPC;

	completions[nr_completions] = c;
	/* Pairs with next_completion(). */
	smp_store_release(&nr_completions, nr_completions + 1);
	return 0;
}

static void load(struct kvm_vcpu *vcpu, u64 handle, unsigned int idx)
{
	kvm_call_hyp_nvhe(__pkvm_vcpu_load, handle, idx, vcpu->arch.hcr_el2);
}

static struct completion_attack *next_completion(struct kvm_vcpu *vcpu, unsigned int *nr)
{
	/* Pairs with add_completion(). */
	unsigned int end = smp_load_acquire(&nr_completions);

	while (*nr < end) {
		struct completion_attack *c = &completions[(*nr)++];

		if (c->left && (c->vcpu < 0 || c->vcpu == vcpu->vcpu_id) &&
		    (c->class == HOSTILE_ANY || c->class == hostile_vcpu(vcpu)->last))
			return c;
	}
	return NULL;
}

static void note_answer(struct completion_attack *c, long ret)
{
	c->left--;
	c->nr++;
	if (c->worst < 0)
		c->worst = ret;
}

/* With the vCPU that left loaded; so it is again at the end. */
static long complete_on(struct kvm_vcpu *vcpu, const struct completion_attack *c)
{
	u64 handle = vcpu->kvm->arch.pkvm.handle;
	long ret;

	if (c->other != NO_OTHER)
		kvm_call_hyp_nvhe(__pkvm_vcpu_put);
	if (c->other >= 0)
		load(vcpu, handle, c->other);
	ret = (int)kvm_call_hyp_nvhe(__pkvm_vcpu_complete_memreq, c->done);
	if (c->other >= 0)
		kvm_call_hyp_nvhe(__pkvm_vcpu_put);
	if (c->other != NO_OTHER)
		load(vcpu, handle, vcpu->vcpu_idx);
	return ret;
}

/* How many pages the host has completed requests for, of all vCPUs. */
u64 hostile_nr_completed(struct kvm_vcpu *vcpu)
{
	struct pkvm_gmem_vm_stat *stat = &vcpu->kvm->stat.gmem;

	return atomic64_read(&stat->pages_shared) + atomic64_read(&stat->pages_unshared) +
	       atomic64_read(&stat->pages_relinquished);
}

/* Interrupts off, right before an entry; the vCPU may have been put since its exit. */
void hostile_attack_entry(struct kvm_vcpu *vcpu)
{
	struct completion_attack *c;
	unsigned int nr = 0;

	while ((c = next_completion(vcpu, &nr))) {
		if (c->when == AGAIN &&
		    hostile_nr_completed(vcpu) != hostile_vcpu(vcpu)->completed)
			note_answer(c, complete_on(vcpu, c));
	}
}

static int enter_loaded(struct kvm_vcpu *vcpu)
{
	int ret;

	guest_state_enter_irqoff();
	ret = (int)kvm_call_hyp_nvhe(__kvm_vcpu_run, vcpu);
	guest_state_exit_irqoff();
	return ret;
}

static void do_nothing(struct irq_work *work)
{
}

static DEFINE_PER_CPU(struct irq_work, interrupt) = IRQ_WORK_INIT_HARD(do_nothing);

/*
 * The guest leaves a second time before it has executed anything. KVM, which is still at the
 * first exit, hears that nothing is pending, and has the guest make its call again.
 */
static void complete_late(struct kvm_vcpu *vcpu, struct completion_attack *c)
{
	/* Where EL2 wants pages for its tables, KVM takes that for an error. */
	if (vcpu->arch.pkvm_memreq.op == PKVM_MEMREQ_TABLES)
		return;
	/* Each call is to come through at some time, so that there are others. */
	if (hostile_random(hostile_vcpu(vcpu)) & 1)
		return;

	irq_work_queue(this_cpu_ptr(&interrupt));
	/* Else it has called once more, and the request is a new one. */
	if (enter_loaded(vcpu) == ARM_EXCEPTION_IRQ)
		note_answer(c, complete_on(vcpu, c));
}

/* Interrupts off, right after the exit. */
void hostile_attack_exit(struct kvm_vcpu *vcpu)
{
	struct completion_attack *c;
	unsigned int nr = 0;

	while ((c = next_completion(vcpu, &nr))) {
		if (c->when == AT_EXIT)
			note_answer(c, complete_on(vcpu, c));
		else if (c->when == LATE)
			complete_late(vcpu, c);
	}
}

static int enter_by_force(struct kvm_vcpu *vcpu, u64 handle, unsigned int idx)
{
	long ret;

	preempt_disable();
	local_irq_disable();
	load(vcpu, handle, idx);
	ret = enter_loaded(vcpu);
	kvm_call_hyp_nvhe(__pkvm_vcpu_put);
	local_irq_enable();
	preempt_enable();

	enter_ret = ret;
	nr_enters++;
	return 0;
}

/* The target's VM, held; NULL if it has none. */
struct kvm *hostile_get_vm(bool newest)
{
	struct kvm *kvm, *found = NULL;

	guard(mutex)(&kvm_lock);
	/* The newest is the first. */
	list_for_each_entry(kvm, &vm_list, vm_list) {
		if (kvm->userspace_pid != READ_ONCE(hostile.target) ||
		    !refcount_read(&kvm->users_count))
			continue;
		found = kvm;
		if (newest)
			break;
	}
	return found && kvm_get_kvm_safe(found) ? found : NULL;
}

static int enter(const char *args)
{
	struct kvm_vcpu *vcpu;
	struct kvm *kvm;
	u64 xor;
	u32 id, idx;
	int ret = -ENOENT;

	if (sscanf(args, "%u %lli %u", &id, &xor, &idx) != 3)
		return -EINVAL;
	kvm = hostile_get_vm(true);
	if (!kvm)
		return -ENOENT;
	vcpu = kvm_get_vcpu_by_id(kvm, id);
	if (vcpu)
		ret = enter_by_force(vcpu, kvm->arch.pkvm.handle ^ xor, idx);
	kvm_put_kvm(kvm);
	return ret;
}

#define MAX_LIES	4

struct lie {
	void *word;
	size_t size;
	u64 xor;
};

/* How many there are, or an error. */
static int parse_lies(struct lie *lies, struct kvm_vcpu *vcpu, const char *args)
{
	int field, used, nr = 0;
	char name[48];
	u32 index;
	u64 xor;

	while (sscanf(args, "%47s %u %lli%n", name, &index, &xor, &used) == 3) {
		field = hostile_find_field(name);
		if (nr == MAX_LIES || field < 0 || index >= hostile_field_words(field))
			return -EINVAL;
		lies[nr].word = hostile_field_word(field, vcpu, index, &lies[nr].size);
		lies[nr++].xor = xor;
		args += used;
	}
	return *args ? -EINVAL : nr;
}

/* Said or taken back; what the host itself changed meanwhile stays. */
static void tell_lies(const struct lie *lies, int nr)
{
	u64 value;
	int i;

	for (i = 0; i < nr; i++) {
		memcpy(&value, lies[i].word, lies[i].size);
		value ^= lies[i].xor;
		memcpy(lies[i].word, &value, lies[i].size);
	}
}

static int create_under_lies(struct kvm_vcpu *vcpu, const char *args)
{
	struct lie lies[MAX_LIES];
	int nr = parse_lies(lies, vcpu, args);

	if (nr < 0)
		return nr;
	tell_lies(lies, nr);
	create_ret = pkvm_create_hyp_vm(vcpu->kvm) ?: pkvm_create_hyp_vcpu(vcpu);
	tell_lies(lies, nr);
	nr_creates++;
	return 0;
}

static int create(const char *args)
{
	struct kvm_vcpu *vcpu;
	struct kvm *kvm;
	int used, ret = -ENOENT;
	u32 id;

	if (sscanf(args, "%u%n", &id, &used) != 1)
		return -EINVAL;
	kvm = hostile_get_vm(true);
	if (!kvm)
		return -ENOENT;
	vcpu = kvm_get_vcpu_by_id(kvm, id);
	if (vcpu)
		ret = create_under_lies(vcpu, args + used);
	kvm_put_kvm(kvm);
	return ret;
}

int hostile_attack(char *line)
{
	char *args = strim(line), *what = strsep(&args, " ");

	if (!args)
		return -EINVAL;
	guard(mutex)(&attack_lock);
	if (!strcmp(what, "order"))
		return add_order(args);
	if (!strcmp(what, "complete"))
		return add_completion(args, AT_EXIT);
	if (!strcmp(what, "again"))
		return add_completion(args, AGAIN);
	if (!strcmp(what, "late"))
		return add_completion(args, LATE);
	if (!strcmp(what, "enter"))
		return enter(args);
	if (!strcmp(what, "create"))
		return create(args);
	return -EINVAL;
}

void hostile_forget_attacks(void)
{
	guard(mutex)(&attack_lock);
	WRITE_ONCE(nr_orders, 0);
	WRITE_ONCE(nr_completions, 0);
	nr_enters = 0;
	nr_creates = 0;
}

void hostile_show_attacks(struct seq_file *m)
{
	unsigned int i;

	guard(mutex)(&attack_lock);
	for (i = 0; i < nr_orders; i++)
		seq_printf(m, "order %u done %u\n", i, orders[i].done);
	for (i = 0; i < nr_completions; i++)
		seq_printf(m, "complete %u done %u\ncomplete %u ret %ld\n", i, completions[i].nr,
			   i, completions[i].worst);
	if (nr_enters)
		seq_printf(m, "enter done %llu ret %ld\n", nr_enters, enter_ret);
	if (nr_creates)
		seq_printf(m, "create done %llu ret %ld\n", nr_creates, create_ret);
}
