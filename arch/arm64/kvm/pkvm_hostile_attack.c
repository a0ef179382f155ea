// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hostile host's single attacks, one a line in the file "attack":
 *
 *   order VCPU CLASS FUNC FIELD INDEX VALUE TIMES
 *	at the next TIMES entries of that vCPU which follow an exit of that class (an HVC's only
 *	if R0 was FUNC, unless that is 0), word INDEX of FIELD gets that value
 *   complete VCPU CLASS OTHER DONE TIMES
 *	after the next TIMES exits of that class the host completes a memory request for DONE
 *	pages: on the vCPU itself, or, if OTHER is one, on that vCPU
 *   enter VCPU HANDLE-XOR INDEX
 *	load that vCPU index of the VM with that handle and enter VCPU, by hypercall, whatever
 *	KVM thinks of its state. The vCPU must not be in KVM_RUN
 *
 * VCPU -1 is any. Reading the file says what became of each.
 */
#include <linux/cleanup.h>
#include <linux/context_tracking.h>
#include <linux/kvm_host.h>
#include <linux/spinlock.h>

#include <asm/kvm_emulate.h>
#include <asm/kvm_hyp.h>

#include "pkvm_hostile.h"

#define MAX_ORDERS	16

/*
 * Guarded by attack_lock while they are added and forgotten; a line is complete before its
 * number is raised. Counts are only those of the tests: vCPUs that race for one may both have it.
 */
static struct hostile_order orders[MAX_ORDERS];
static unsigned int nr_orders;

struct completion_attack {
	int vcpu, class, other;
	u64 done;
	u32 left, nr;
	long worst;			/* the answer that was no refusal, else the last */
};

static struct completion_attack completions[MAX_ORDERS];
static unsigned int nr_completions;

/* What entering a vCPU by force came to. */
static long enter_ret;
static u64 nr_enters;

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

static int add_completion(const char *args)
{
	struct completion_attack c = { .worst = -EINVAL };
	char class[16];

	if (sscanf(args, "%d %15s %d %lli %u", &c.vcpu, class, &c.other, &c.done, &c.left) != 5)
		return -EINVAL;
	c.class = hostile_parse_class(class);
	if (c.class < 0)
		return -EINVAL;
	if (nr_completions == MAX_ORDERS)
		return -ENOSPC;

	completions[nr_completions] = c;
	/* Pairs with hostile_attack_exit(). */
	smp_store_release(&nr_completions, nr_completions + 1);
	return 0;
}

static void load(struct kvm_vcpu *vcpu, u64 handle, unsigned int idx)
{
	kvm_call_hyp_nvhe(__pkvm_vcpu_load, handle, idx, vcpu->arch.hcr_el2);
}

/* With the vCPU that left loaded; so it is again at the end. */
static long complete_on(struct kvm_vcpu *vcpu, const struct completion_attack *c)
{
	u64 handle = vcpu->kvm->arch.pkvm.handle;
	long ret;

	if (c->other >= 0) {
		kvm_call_hyp_nvhe(__pkvm_vcpu_put);
		load(vcpu, handle, c->other);
	}
	ret = (int)kvm_call_hyp_nvhe(__pkvm_vcpu_complete_memreq, c->done);
	if (c->other >= 0) {
		kvm_call_hyp_nvhe(__pkvm_vcpu_put);
		load(vcpu, handle, vcpu->vcpu_idx);
	}
	return ret;
}

/* Interrupts off, right after the exit. */
void hostile_attack_exit(struct kvm_vcpu *vcpu, enum hostile_class class)
{
	/* Pairs with add_completion(). */
	unsigned int i, nr = smp_load_acquire(&nr_completions);

	for (i = 0; i < nr; i++) {
		struct completion_attack *c = &completions[i];
		long ret;

		if (!c->left || (c->vcpu >= 0 && c->vcpu != vcpu->vcpu_id) ||
		    (c->class != HOSTILE_ANY && c->class != class))
			continue;
		ret = complete_on(vcpu, c);
		c->left--;
		c->nr++;
		if (c->worst < 0)
			c->worst = ret;
	}
}

static int enter_by_force(struct kvm_vcpu *vcpu, u64 handle, unsigned int idx)
{
	long ret;

	preempt_disable();
	local_irq_disable();
	load(vcpu, handle, idx);
	guest_state_enter_irqoff();
	ret = (int)kvm_call_hyp_nvhe(__kvm_vcpu_run, vcpu);
	guest_state_exit_irqoff();
	kvm_call_hyp_nvhe(__pkvm_vcpu_put);
	local_irq_enable();
	preempt_enable();

	enter_ret = ret;
	nr_enters++;
	return 0;
}

/* The target's VM, held; NULL if it has none. */
static struct kvm *get_target_vm(void)
{
	struct kvm *kvm;

	guard(mutex)(&kvm_lock);
	list_for_each_entry(kvm, &vm_list, vm_list) {
		if (kvm->userspace_pid == READ_ONCE(hostile.target) && kvm_get_kvm_safe(kvm))
			return kvm;
	}
	return NULL;
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
	kvm = get_target_vm();
	if (!kvm)
		return -ENOENT;
	vcpu = kvm_get_vcpu_by_id(kvm, id);
	if (vcpu)
		ret = enter_by_force(vcpu, kvm->arch.pkvm.handle ^ xor, idx);
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
		return add_completion(args);
	if (!strcmp(what, "enter"))
		return enter(args);
	return -EINVAL;
}

void hostile_forget_attacks(void)
{
	guard(mutex)(&attack_lock);
	WRITE_ONCE(nr_orders, 0);
	WRITE_ONCE(nr_completions, 0);
	nr_enters = 0;
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
}
