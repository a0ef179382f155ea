#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs on the emulated host: what pvm says and returns when it is given what cannot work.
# No guest is started by any of it.

image=/boot/Image
initrd=/boot/guest.cpio
. "$(dirname "$0")/pvm-common"

# expect CODE TEXT COMMAND...: the exit code, and a part of what is printed.
expect() {
	want=$1 text=$2
	shift 2
	out=$("$@" 2>&1)
	code=$?
	case $out in
	*"$text"*) [ $code -ne "$want" ] || { echo "ok   $*"; return; } ;;
	esac
	echo "FAIL $*: exit code $code (want $want), no \"$text\" in: $out"
	failed=1
}

head -c 3000000 $image >/tmp/truncated
: >/tmp/empty
head -c 5000000 /dev/zero >/tmp/zeroes
head -c 4096 /dev/zero >/tmp/disk

expect 2 "--kernel" pvm run
expect 2 "/nowhere" pvm run --kernel /nowhere
expect 2 "truncated" pvm run --kernel /tmp/truncated
expect 2 "/tmp/empty" pvm run --kernel /tmp/empty
expect 2 "/tmp/zeroes" pvm run --kernel /tmp/zeroes
expect 2 "--initrd" pvm run --kernel $image --initrd /nowhere
expect 2 "--initrd" pvm run --kernel $image --initrd /tmp/empty
expect 2 "--mem" pvm run --kernel $image --initrd $initrd --mem 1M
expect 2 "--mem" pvm run --kernel $image --initrd $initrd --mem 12x
expect 2 "--mem" pvm run --kernel $image --initrd $initrd --mem 32M --pool 30M
expect 2 "--cpus" pvm run --kernel $image --cpus 0
expect 2 "--cpus" pvm run --kernel $image --cpus many
expect 2 "--timeout" pvm run --kernel $image --timeout -1
expect 2 "--stats" pvm run --kernel $image --stats xml
expect 2 "--stats" pvm run --kernel $image --stats
expect 2 "--disk" pvm run --kernel $image --disk /nowhere
expect 2 "multiple" pvm run --kernel $image --disk $image
expect 2 "neither" pvm run --kernel $image --disk /dev/null
expect 2 "missing" pvm run --kernel $image --disk ,ro
expect 2 "in use" pvm run --kernel $image --disk /tmp/disk --disk /tmp/disk,ro
expect 2 "at most" pvm run --kernel $image $(for i in 1 2 3 4 5 6 7 8 9; do echo --disk /tmp/disk,ro; done)
expect 2 "tap=NAME" pvm run --kernel $image --net bridge
expect 2 "one of" pvm run --kernel $image --net tap=a,socket=b
expect 2 "one of" pvm run --kernel $image --net mac=02:00:00:00:00:01
expect 2 "MAC" pvm run --kernel $image --net tap=a,mac=02:00
expect 2 "group" pvm run --kernel $image --net tap=a,mac=01:00:00:00:00:01
expect 2 "15 characters" pvm run --kernel $image --net tap=abcdefghijklmnop
expect 3 "passt" pvm run --kernel $image --net socket=/nowhere
expect 2 "--console" pvm run --kernel $image --console vga
expect 2 "--seed" pvm run --kernel $image --seed x
expect 2 "--trace" pvm run --kernel $image --trace /nowhere/trace
expect 2 "--record" pvm run --kernel $image --record /nowhere/record
expect 2 "--record" pvm run --kernel $image --record /tmp/record --anon
expect 2 "exclude" pvm run --kernel $image --protected --unprotected
expect 2 "" pvm run --kernel $image --nonsense
expect 2 "" pvm nonsense
expect 2 "" pvm map notapid
expect 2 "one PID" pvm map --watch
expect 2 "--watch" pvm map 1 --watch=0
expect 2 "--svg" pvm map 1 --svg
expect 2 "one PID" pvm poke
expect 2 "--gpa" pvm poke 1 --len 4
expect 2 "--punch" pvm poke 1 --gpa 0x80000000 --punch
expect 1 "guest_memfd" pvm poke 1
expect 1 "no process" pvm map 999999

mv /dev/kvm /dev/kvm.away
expect 3 "/dev/kvm" pvm run --kernel $image --initrd $initrd
mv /dev/kvm.away /dev/kvm

# On a host without pKVM there are no protected VMs; the rest still works.
if ! has_pkvm; then
	expect 3 "--protected" pvm run --kernel $image --initrd $initrd --protected
fi

exit $failed
