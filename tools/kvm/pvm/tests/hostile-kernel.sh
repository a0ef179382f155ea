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

# How the host knows what the guest's processes hold (guest/secrets.c): the complement of what all
# of it has in common, and where that is. The control's has one bit more.
secret="0xa13d18fc58000000 0xfffffffcff000000"
control="0xa13d187c58000000 0xfffffffcff000000"

# boot MODES CPUS
boot() {
	what="modes $1, $2 CPUs"
	echo all >$host/target
	echo "$secret" >$host/watch
	echo "$1 ${SEED:-1}" >$host/smash
	start --kernel /boot/Image --initrd /boot/guest.cpio --mem 128M --cpus "$2" --protected \
		--append "quiet pvm.secrets=yes" --timeout $patience
	wait $pvm; check $? "$what: the guest boots and powers off"
	exec 3>&-
	said "guest: secrets ok"; check $? "$what: its processes have kept what they hold"
	[ "$(value secret)" -eq 0 ]; check $? "$what: the host has seen none of it"
	[ "$(value exits-hvc)" -gt 0 ]; check $? "$what: it was watched"
	[ "$(value written)" -eq 0 ]; check $? "$what: EL2 tells the host nothing that it may not"
	in_silence "$what"
	cat $host/stats
	echo off >$host/target
}

# The same guest without protection: the host sees what there is to see.
control() {
	what="not protected"
	start --kernel /boot/Image --initrd /boot/guest.cpio --mem 128M --cpus 1 --unprotected \
		--append "quiet pvm.secrets=control" --timeout $patience
	echo "control $pvm" >$host/target && echo "$control" >$host/watch
	check $? "$what: it is watched"
	wait $pvm; check $? "$what: the guest boots and powers off"
	exec 3>&-
	said "guest: secrets ok"; check $? "$what: its processes have kept what they hold"
	[ "$(value secret)" -gt 0 ]; check $? "$what: the host has seen secrets"
	in_silence "$what"
	grep secret $host/stats | head -n 5
	echo off >$host/target
}

mkdir -p $dir
[ -e $host/target ] || { echo "no hostile host in this kernel"; exit 77; }
has_pkvm || exit 77
boot 0 1
boot $((modes | ids)) 1
boot $modes 2
control
exit $failed
