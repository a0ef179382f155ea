// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected guest's calls (pvm_smccc.c): who answers each, and with what. Whatever EL2 does
 * not know is not supported; nothing of it reaches the host.
 */
#include <stdio.h>
#include <string.h>

#include <cpu_env.h>

#include <linux/arm-smccc.h>
#include <linux/array_size.h>

#include "check.h"

#define NOT_SUPPORTED	((u64)-1)
#define PSCI		1
#define FIRMWARE	2
#define GUARD		3
#define MEMREQ		4

bool guest_has_ssbs;

/* Who was called, with what, and whether it leaves to the host. */
static struct {
	unsigned int who;
	u64 what, arg;
	bool leaves;
} called;

static bool call(unsigned int who, u64 what, u64 *val)
{
	called.who = who;
	called.what = what;
	val[0] = 0x1000 + what;
	val[1] = 0x1001;
	return !called.leaves;
}

void firmware_call(u32 function, u64 a, u64 b, u64 c, struct arm_smccc_res *res)
{
	called.who = FIRMWARE;
	called.what = function;
	called.arg = a;
	CHECK(!b && !c, "FAIL: firmware gets registers that it did not ask for");
	*res = (struct arm_smccc_res) { 10, 11, 12, 13 };
}

bool pvm_is_psci(u32 function)
{
	return (function & 0xbfffffe0) == 0x84000000;
}

bool pvm_psci_call(struct kvm_vcpu *vcpu, u32 function, u64 *val)
{
	bool answered = call(PSCI, function, val);

	val[1] = 0;
	return answered;
}

bool pkvm_memreq_call(struct kvm_vcpu *vcpu, enum pkvm_memreq_op op, u64 *val, u64 *exit_code)
{
	CHECK(val[0] == (u64)-3, "FAIL: a refused request is not INVALID_PARAMETER");
	return call(MEMREQ, op, val);
}

bool pkvm_mmio_guard_call(struct kvm_vcpu *vcpu, u32 function, u64 *val, u64 *exit_code)
{
	CHECK(val[0] == (u64)-3, "FAIL: a refused request is not INVALID_PARAMETER");
	return call(GUARD, function, val);
}

static struct kvm_vcpu vcpu;

/* x0 to x3 are as they have to be, and no other register has changed. */
static void check_call(u32 function, u64 arg, bool leaves, const u64 *want)
{
	struct kvm_cpu_context before, *ctxt = &vcpu.arch.ctxt;
	u64 exit_code = 0;
	bool answered;

	memset(ctxt, 0x5a, sizeof(*ctxt));
	ctxt->regs.regs[0] = 0xbad00000000 | function;
	ctxt->regs.regs[1] = arg;
	ctxt->regs.regs[2] = ctxt->regs.regs[3] = 0;
	before = *ctxt;
	memset(&called, 0, sizeof(called));
	called.leaves = leaves;

	answered = kvm_handle_pvm_hvc64(&vcpu, &exit_code);
	CHECK(answered != (leaves && called.who && called.who != FIRMWARE),
	      "FAIL: call %x: %s", function, answered ? "is answered" : "leaves");
	if (answered)
		memcpy(before.regs.regs, want, 4 * sizeof(u64));
	CHECK(!memcmp(&before, ctxt, sizeof(before)), "FAIL: call %x of %lx: x0 %lx, not %lx", function,
	      arg, ctxt->regs.regs[0], want[0]);
}

static void check_one(u32 function, u64 arg, u64 a, u64 b, u64 c, u64 d)
{
	check_call(function, arg, false, (u64[]) { a, b, c, d });
	CHECK(!called.who || called.who == FIRMWARE, "FAIL: call %x is not EL2's own", function);
}

/* Who is called for a function, and what it is asked for; 0 is EL2's own answer, or none. */
static unsigned int callee(u32 function, u64 *what)
{
	*what = function;
	if (pvm_is_psci(function))
		return PSCI;
	switch (function) {
	case 0xc6000003:
		*what = PKVM_MEMREQ_SHARE;
		return MEMREQ;
	case 0xc6000004:
		*what = PKVM_MEMREQ_UNSHARE;
		return MEMREQ;
	case 0xc6000009:
		*what = PKVM_MEMREQ_RELINQUISH;
		return MEMREQ;
	case 0xc6000005 ... 0xc6000008:
	case 0xc600000a ... 0xc600000b:
		return GUARD;
	default:
		return 0;
	}
}

static bool is_own(u32 function)
{
	return function == 0x80000000 || function == 0x80000001 || function == 0x8600ff01 ||
	       function == 0x86000000 || function == 0xc6000002;
}

static void check_function(u32 function)
{
	u64 what, want[4] = { NOT_SUPPORTED };
	unsigned int who = callee(function, &what);

	if (is_own(function))
		return;
	if (who) {
		want[0] = 0x1000 + what;
		want[1] = who == PSCI ? 0 : 0x1001;
	}
	for (int leaves = 0; leaves < 2; leaves++) {
		check_call(function, 0, leaves, want);
		CHECK(called.who == who && (!who || called.what == what), "FAIL: call %x goes astray",
		      function);
	}
}

/* Every service, and every function of it near those that there are. */
static void check_functions(void)
{
	for (u32 base = 0; base < 256; base++) {
		for (u32 i = 0; i < 0x200; i++) {
			check_function(base << 24 | i);
			check_function(base << 24 | (0xffff - i));
		}
	}
}

static void check_own(void)
{
	check_one(0x80000000, 0, 0x10001, 0, 0, 0);
	check_one(0x8600ff01, 0, 0xb66fb428, 0xe911c52e, 0x564bcaa9, 0x743a004d);
	check_one(0x86000000, 0, 0xffd, 0, 0, 0);
	check_one(0xc6000002, 0, 4096, 3, 0, 0);
	check_one(0xc6000002, 1, (u64)-3, 0, 0, 0);
}

/* The host's mitigations, as it said at the beginning; and nothing that it was not asked. */
static void check_mitigations(void)
{
	static const s32 says[] = { 0, 1, -1, -2 };

	for (unsigned int i = 0; i < ARRAY_SIZE(says); i++) {
		u64 says64 = (u64)(s64)says[i];

		pvm_arch_workaround[0] = says[i];
		pvm_arch_workaround[1] = pvm_arch_workaround[2] = 77;
		check_one(0x80000001, 0x80008000, says64, 0, 0, 0);
		pvm_arch_workaround[2] = says[i];
		pvm_arch_workaround[0] = 77;
		check_one(0x80000001, 0x80003fff, says64, 0, 0, 0);
		for (int ssbs = 0; ssbs < 2; ssbs++) {
			guest_has_ssbs = ssbs;
			pvm_arch_workaround[1] = says[i];
			check_one(0x80000001, 0x80007fff, says[i] ? says64 : ssbs ? -1UL : -2UL, 0, 0, 0);
		}
	}
	check_one(0x80000001, 0x80000000, 0, 0, 0, 0);
	check_one(0x80000001, 0x80000001, 0, 0, 0, 0);
	check_one(0x80000001, 0x80000002, NOT_SUPPORTED, 0, 0, 0);
	check_one(0x80000001, 0x84000050, NOT_SUPPORTED, 0, 0, 0);
}

static void check_trng(void)
{
	static const u32 functions[] = { 0x84000050, 0x84000051, 0x84000052, 0x84000053, 0xc4000053 };

	for (unsigned int i = 0; i < ARRAY_SIZE(functions); i++) {
		pvm_trng_available = false;
		check_one(functions[i], 192, NOT_SUPPORTED, 0, 0, 0);
		CHECK(!called.who, "FAIL: firmware without random numbers is called");
		pvm_trng_available = true;
		check_one(functions[i], 192, 10, 11, 12, 13);
		CHECK(called.who == FIRMWARE && called.what == functions[i] && called.arg == 192,
		      "FAIL: firmware is asked for something else");
		pvm_trng_available = false;
	}
}

int main(void)
{
	check_own();
	check_mitigations();
	check_trng();
	check_functions();
	return check_end("pvm_smccc_test");
}
