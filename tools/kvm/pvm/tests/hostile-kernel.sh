#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs on the emulated host: a protected Linux guest boots and powers off on a host whose kernel
# overwrites before each entry all that a host may not decide (CONFIG_PKVM_HOSTILE_HOST), and
# counts the values of stores that it sees.

dir=/tmp/hostile-kernel
host=/sys/kernel/debug/kvm/pkvm_hostile
. "$(dirname "$0")/pvm-common"

# HOSTILE_*: PC, PSTATE, SYSREGS, FP, MDCR, HCR, DEBUG, TIMER, KVM, MEMREQS, FAULT, FLAGS. With
# other numbers (IDS) the host itself loses the interrupts between vCPUs.
modes=0xf79e
ids=0x800

# value NAME: of the statistics.
value() { sed -n "s/^$1 \([0-9]*\)$/\1/p" $host/stats; }

# boot MODES CPUS
boot() {
	what="modes $1, $2 CPUs"
	echo all >$host/target
	echo "$1 ${SEED:-1}" >$host/smash
	start --kernel /boot/Image --initrd /boot/guest.cpio --mem 128M --cpus "$2" --protected \
		--append quiet --timeout $patience
	wait $pvm; check $? "$what: the guest boots and powers off"
	exec 3>&-
	[ "$(value exits-hvc)" -gt 0 ]; check $? "$what: it was watched"
	[ "$(value written)" -eq 0 ]; check $? "$what: EL2 tells the host nothing that it may not"
	in_silence "$what"
	cat $host/stats
	echo off >$host/target
}

mkdir -p $dir
[ -e $host/target ] || { echo "no hostile host in this kernel"; exit 77; }
has_pkvm || exit 77
boot 0 1
boot $((modes | ids)) 1
boot $modes 2
exit $failed
