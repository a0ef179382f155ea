#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs on the emulated host: pvm is killed at a random moment, KILLS times (20), protected
# guests in a guest_memfd and in pinned memory by turns. Nothing may be left of any.

kills=${KILLS:-20}
initrd=${INITRD:-/boot/guest.cpio}
seed=${SEED:-$(date +%s)}
dir=/tmp/kills
slack_kb=2048		# what is not back by the end, of all kills: caches that grew
# KASAN keeps freed memory for a while, up to 1/32 of all.
! grep -qw kasan_quarantine_put /proc/kallsyms ||
	slack_kb=$(awk '/^MemTotal/ { print int($2 / 16) }' /proc/meminfo)
. "$(dirname "$0")/pvm-common"

# random MAX: a number below it.
random() {
	seed=$(((seed * 1103515245 + 12345) & 0x7fffffff))
	echo $(((seed >> 8) % $1))
}

# await COMMAND...: for what the kernel does on its own after a process's death.
await() {
	tries=300
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

# Free memory in kB, with what lies on the lists of each CPU, which MemFree leaves out.
free_kb() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^ *pages free/ { n += $3 } /^ *count:/ { n += $2 } END { print n * 4 }' /proc/zoneinfo
}

# no_vm PID: it has none any more.
no_vm() { ! ls -d /sys/kernel/debug/kvm/"$1"-* >/dev/null 2>&1; }

# Pages that are pinned: those of the guests in pinned memory.
pins() { awk '/^nr_foll_pin_acquired/ { n += $2 } /^nr_foll_pin_released/ { n -= $2 } END { print n + 0 }' /proc/vmstat; }

unpinned() { [ "$(pins)" -le "$pinned" ]; }
is_back() { [ "$(free_kb)" -ge $((before - slack_kb)) ]; }

guest() {
	pvm run --kernel /boot/Image --initrd "$initrd" --mem 48M --cpus 2 --timeout $patience --rng \
		--disk $dir/disk --append quiet "$@" </dev/null >$dir/console 2>$dir/messages
}

# A whole life, whose length is where the moments lie.
life() {
	start=$(cut -d. -f1 /proc/uptime)
	guest --protected; check $? "a guest lives to its end"
	length=$(($(cut -d. -f1 /proc/uptime) - start + 1))
}

# kill_one OPTION...: after a random part of that time. Prints nothing if all is well.
kill_one() {
	moment=$(random $((length * 1000)))
	pvm run --kernel /boot/Image --initrd "$initrd" --mem 48M --cpus 2 --timeout $patience --rng \
		--disk $dir/disk --append quiet "$@" </dev/null >$dir/console 2>$dir/messages &
	pvm=$!
	usleep $((moment * 1000))
	kill -KILL $pvm 2>/dev/null || ended=$((ended + 1))
	wait $pvm 2>/dev/null
	grep -q "^guest:" $dir/console && booted=$((booted + 1))
	await no_vm $pvm || check 1 "$*, killed after $moment ms: its VM is gone"
	[ ! -s $dir/messages ] || { check 1 "$*: pvm has nothing to complain of"; cat $dir/messages; }
}

files() { find /tmp /dev/shm /run /var/tmp -type f -o -type s -o -type p 2>/dev/null | sort; }

mkdir -p $dir
head -c 1048576 /dev/zero >$dir/disk
echo "seed $seed"
if ! has_pkvm; then
	echo "this host has no protected VMs"
	exit 77
fi
ended=0 booted=0
life
# What is allocated once and kept is allocated by now.
kill_one --protected
kill_one --protected --anon

before=$(free_kb)
pinned=$(pins)
find=$(files)
ended=0 booted=0
i=0
while [ $i -lt "$kills" ] && [ $failed -eq 0 ]; do
	if [ $((i % 2)) -eq 0 ]; then kill_one --protected; else kill_one --protected --anon; fi
	i=$((i + 1))
done
[ $failed -eq 0 ]; check $? "$i kills within $length s: no VM is left of any"
echo "     $booted guests had come to their init, $ended had ended by themselves"

await is_back; check $? "free memory: $before kB before, $(free_kb) after"
await unpinned; check $? "no page is left pinned: $pinned before, $(pins) after"
[ "$(files)" = "$find" ]; check $? "no file is left"
! pidof pvm >/dev/null; check $? "no process is left"
! grep -q '^HardwareCorrupted: *[1-9]' /proc/meminfo; check $? "no page is kept as bad"
guest --protected; check $? "a guest still lives to its end"
exit $failed
