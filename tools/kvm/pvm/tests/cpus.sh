#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs on the emulated host: guests of 1, 2 and 8 CPUs, which take the last one off and on
# TIMES times (100), ask for a reset, and power off in their second life.

times=${TIMES:-100}
initrd=${INITRD:-/boot/guest.cpio}
dir=/tmp/cpus
. "$(dirname "$0")/pvm-common"

# lives N TEXT: it was said so often.
lives() { [ "$(grep -c "$2" $dir/console)" -ge "$1" ]; }

# guest CPUS OPTION...
guest() {
	cpus=$1
	shift
	what="$cpus CPUs $*"
	start --kernel /boot/Image --initrd "$initrd" --mem 128M --cpus "$cpus" --timeout $patience \
		--append "quiet pvm.cpus=$times pvm.end" "$@"
	await said "waits for its end"; check $? "$what: the guest runs"
	said "cpus ok, $cpus of them"; check $? "$what: they come and go"
}

# finish CODE WHAT
finish() {
	wait $pvm
	[ $? -eq "$1" ]; check $? "$what: $2"
	exec 3>&-
	! said FAILED; check $? "$what: no failure"
}

reboots() {
	guest "$@" --reboot
	echo reset >&3
	await lives 2 "waits for its end"; check $? "$what: it reboots"
	lives 2 "cpus ok, $cpus of them"; check $? "$what: they come and go again"
	echo off >&3
	finish 0 "the guest powers off"
	grep -q "asked for a reset" $dir/messages; check $? "$what: pvm says that it reboots"
	[ $failed -eq 0 ] || { cat $dir/messages; tail -n 60 $dir/console; }
}

mkdir -p $dir
if has_pkvm; then
	for n in 1 2 8; do
		reboots $n --protected
	done
	guest 2 --protected
	echo reset >&3
	finish 5 "without --reboot a reset is the end"
fi
times=5
reboots 2 --unprotected
exit $failed
