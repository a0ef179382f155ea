// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's side of EL2's run-time oracle (hyp/nvhe/oracle.c): the boot option, what it
 * counts, and what it says when EL2 and its specification differ.
 *
 * kvm-arm.oracle=1 on the command line switches it on, before EL2 is locked up.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kvm_host.h>
#include <linux/seq_file.h>

#include <asm/kvm_hyp.h>
#include <asm/kvm_pkvm_oracle.h>
#include <asm/virt.h>

/* EL2 has its address, and writes it while it holds its own lock. */
static struct pkvm_oracle_page oracle_page __aligned(PAGE_SIZE);
static_assert(sizeof(oracle_page) <= PAGE_SIZE);

static bool oracle_wanted __initdata;

static int __init early_oracle(char *arg)
{
	int ret = kstrtobool(arg, &oracle_wanted);

	if (!ret && oracle_wanted)
		kvm_nvhe_sym(pkvm_oracle_page_phys) = __pa_symbol(&oracle_page);
	return ret;
}
early_param("kvm-arm.oracle", early_oracle);

/* EL2 has stopped for good: did the oracle stop it, and why? */
void pkvm_oracle_print(void)
{
	const struct pkvm_oracle_page *p = &oracle_page;

	if (!p->what[0])
		return;

	kvm_err("nVHE hyp oracle: %s\n", p->what);
	kvm_err("nVHE hyp oracle: in %s vm=%#llx pfn=%#llx gfn=%#llx nr=%llu\n", p->operation,
		p->vm, p->pfn, p->gfn, p->nr);
	if (p->at_gfn != ~0ULL)
		kvm_err("nVHE hyp oracle: at gfn %#llx\n", p->at_gfn);
	if (p->at_pfn != ~0ULL)
		kvm_err("nVHE hyp oracle: at pfn %#llx\n", p->at_pfn);
	kvm_err("nVHE hyp oracle: expected %#llx %s, found %#llx %s\n", p->want, p->want_name,
		p->got, p->got_name);
}

static int oracle_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	if (kvm_call_hyp_nvhe(__pkvm_oracle_count))
		return -EIO;

	seq_printf(m, "states %llu\n", oracle_page.pages);
	for (i = 0; i < PKVM_ORACLE_MAX_KINDS && oracle_page.kind[i].name[0]; i++)
		seq_printf(m, "%s %llu\n", oracle_page.kind[i].name, oracle_page.kind[i].count);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(oracle);

/* After KVM's own, which makes the directory. */
static int __init oracle_init(void)
{
	struct dentry *dir;

	/* EL2's variable is out of reach by now. */
	if (!oracle_wanted)
		return 0;
	if (!is_protected_kvm_enabled()) {
		kvm_info("no oracle without protected mode\n");
		return 0;
	}

	kvm_info("EL2 is compared with its specification\n");
	dir = debugfs_lookup("kvm", NULL);
	debugfs_create_file("pkvm_oracle", 0400, dir, NULL, &oracle_fops);
	dput(dir);
	return 0;
}
late_initcall(oracle_init);
