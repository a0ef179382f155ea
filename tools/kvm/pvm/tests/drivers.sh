#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs on the emulated host: the drivers of a protected guest, tried by the guest itself, and
# what the host sees of them.

initrd=${INITRD:-/boot/guest.cpio}
dir=/tmp/drivers
. "$(dirname "$0")/pvm-common"

# guest WHAT WORDS OPTION...: one that has tried its drivers, and waits.
guest() {
	what=$1
	words=$2
	shift 2
	start --kernel /boot/Image --initrd "$initrd" --mem 128M --protected --timeout $patience \
		--append "quiet pvm.drivers $words" "$@"
	await said "waits to be looked at"; check $? "$what: the guest runs"
	said "share ok"; check $? "$what: /dev/pkvm-share"
	said "mmio ok, guarded"; check $? "$what: MMIO guard"
}

finish() {
	echo hello >&3
	exec 3>&-
	wait $pvm; check $? "$what: the guest powers off"
	! said FAILED; check $? "$what: no failure"
	in_silence "$what"
}

# relinquished: so many pages are, at this moment.
relinquished() {
	pvm map $pvm >$dir/map || return
	sed -n 's/^ *[^ ] relinquished *\([0-9]*\) pages.*/\1/p' $dir/map | tail -n 1
}

# Blocks of 2 MiB are given up; the guest may be using some of that again.
gives_back() { [ "$(relinquished)" -gt 0 ]; }

# counted: pages that the guest has given up since its start.
counted() { cat /sys/kernel/debug/kvm/"$pvm"-*/gmem_pages_relinquished; }

mkdir -p $dir
if ! has_pkvm; then
	echo "skip: not a pKVM host"
	exit 77
fi

guest "guest_memfd" ""
said "relinquish ok, on"; check $? "it relinquishes free memory, turned off and on"
await gives_back; check $? "the map shows it"
[ "$(counted)" -ge 512 ]; check $? "so does the counter"
grep -v "no memory slot" $dir/map | tail -n 12
finish

# The page allocator would take what the host puts there for zeroes.
guest "init_on_free" init_on_free=1
said "relinquish ok, off"; check $? "it keeps free memory, and cannot be told otherwise"
[ "$(relinquished)" = 0 ] && [ "$(counted)" = 0 ]; check $? "nothing was given up"
finish

# Pinned memory cannot go back; the guest asks, is refused, and lives.
guest "pinned memory" "" --anon
finish
exit $failed
