#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs on the emulated host: a guest tries its devices, protected and not; we play the
# other side of its console and network, and look at its disks.

initrd=${INITRD:-/boot/guest.cpio}
dir=/tmp/devices
. "$(dirname "$0")/pvm-common"

# run OPTION...: a guest with all devices.
run() {
	head -c 4194304 /dev/urandom >$dir/ro
	head -c 4194304 /dev/zero >$dir/rw
	net=
	[ -z "$tap" ] || net="--net tap=pvm0"
	# shellcheck disable=SC2086
	start --kernel /boot/Image --initrd "$initrd" --mem 96M --cpus 2 --append "quiet pvm.devices" \
		--disk $dir/rw --disk $dir/ro,ro --rng $net --seed 7 --timeout $patience \
		--trace $dir/trace "$@"
	await said "waits for a word"
	echo hello >&3
	if [ -n "$tap" ] && await said "waits for ping"; then
		ping -c 2 10.0.2.2 >/dev/null; check $? "$*: the host pings the guest"
		nc -l -p 7777 -e cat &
		echo connect >&3
	fi
	wait $pvm; check $? "$*: the guest powers off"
	exec 3>&-
	kill $! 2>/dev/null

	grep -q "guest: heard 'hello'" $dir/console; check $? "$*: the guest hears its console"
	grep -q "guest: disk ok" $dir/console; check $? "$*: disk, as the guest sees it"
	grep -q "guest: read-only disk ok" $dir/console; check $? "$*: read-only disk"
	cmp $dir/rw $dir/ro; check $? "$*: disk, as the host sees it"
	grep -q "disk 0: type 4" $dir/trace; check $? "$*: its flush came to us"
	grep -q "disk 1: type 0" $dir/trace && ! grep -q "disk 1: type 1" $dir/trace
	check $? "$*: the read-only disk was only read"
	grep -q "guest: rng ok" $dir/console; check $? "$*: rng"
	if [ -n "$tap" ]; then
		grep -q "guest: net ok" $dir/console; check $? "$*: network"
		grep -q "guest: mac 02:$mac" $dir/console; check $? "$*: --seed gives the same MAC address"
		mac=$(sed -n 's/^guest: mac 02:\([0-9a-f:]*\).*/\1/p' $dir/console)
	fi
	! grep -q FAILED $dir/console; check $? "$*: no failure"
	in_silence "$*"
}

# A guest that waits is told to go; what happened until then is in the trace.
terminate() {
	disks=
	for i in 1 2 3 4 5 6 7; do disks="$disks --disk $dir/ro,ro"; done
	# shellcheck disable=SC2086
	start --kernel /boot/Image --initrd "$initrd" --mem 96M --append "quiet pvm.devices" \
		--disk $dir/rw $disks --trace $dir/trace --timeout $patience "$@"
	await said "waits for a word"; check $? "SIGTERM: the guest runs"
	kill -TERM $pvm
	wait $pvm
	[ $? -eq 143 ]; check $? "SIGTERM: exit code 128 + 15"
	exec 3>&-
	grep -q "disk 0: status 0xb -> 0xf" $dir/trace; check $? "--trace: the disk's driver is there"
	grep -q "disk 7: status 0xb -> 0xf" $dir/trace; check $? "--trace: that of the last of 8, too"
	grep -q "disk 0: type 0, sector 0" $dir/trace; check $? "--trace: a request"
	grep -q "vCPU 0: mmio read" $dir/trace; check $? "--trace: an exit"
}

mkdir -p $dir
mac=
tap=
tap pvm0 10.0.2.1 && tap=yes
[ -n "$tap" ] || echo "skip network: this kernel has no TAP devices"
if has_pkvm; then
	run --protected
fi
run --unprotected
terminate --unprotected
exit $failed
