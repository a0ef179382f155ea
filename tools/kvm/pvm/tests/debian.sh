#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: debian.sh [OPTION...]
# Runs on the emulated host, with the image of scripts/debian as /dev/vda: logs in to a
# Debian guest (pvm OPTIONs, else --protected), has it work on its disk and network while
# its memory's map is drawn all the time, and looks at the disk afterwards.

dir=/tmp/debian
n=0
events=${EVENTS:-3000}	# random reads and writes
. "$(dirname "$0")/pvm-common"
poll=0.5

# guest COMMAND: in the guest's shell. Its output is in $dir/answer, its exit code ours.
guest() {
	n=$((n + 1))
	echo "$1" >&3
	# shellcheck disable=SC2016 # the guest's $?
	echo 'echo "<'$n':$?>"' >&3
	await said "^<$n:[0-9]*>" || return 125
	tr -d '\r' <$dir/console | sed "1,/^<$((n - 1)):/d; /^<$n:/,\$d" >$dir/answer
	return "$(tr -d '\r' <$dir/console | sed -n "s/^<$n:\([0-9]*\)>/\1/p")"
}

# check_guest WHAT COMMAND
check_guest() {
	guest "$2"; check $? "$1"
	[ $failed -eq 0 ] || sed 's/^/     | /' $dir/answer
}

sum() { sha256sum | cut -c 1-64; }

# Whether the last answer is this sum.
is_sum() { [ ${#1} -eq 64 ] && grep -qx "$1  .*" $dir/answer; }

# on_disk COMMAND...: with the guest's disk at $dir/disk; only while there is no guest.
on_disk() {
	mount -t ext4 /dev/vda $dir/disk && "$@" && umount $dir/disk
}

# 64 MiB that the guest has not seen.
put_big() {
	head -c 67108864 /dev/urandom >$dir/disk/root/big &&
		big=$(sum <$dir/disk/root/big) && head -c 4194304 $dir/disk/root/big >$dir/part
}

log_in() {
	await said "debian login: "; check $? "login is asked for"
	echo root >&3
	await said "[#] $"; check $? "logged in"
	# A shell without line editing: what it says is output only.
	echo "exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb sh" >&3
	# Its prompt may come after what we typed.
	echo "stty -echo; PS1=; echo; echo '<''0:0>'" >&3
	await said "^<0:0>"; check $? "a shell"
}

about() {
	guest "uname -m; . /etc/os-release; echo \$PRETTY_NAME; nproc; cat /proc/uptime; free -m"
	check $? "what it is"
	sed 's/^/     /' $dir/answer
	check_guest "it knows the date" "test \$(date +%s) -ge $(date +%s)"
	check_guest "it has 2 CPUs" "test \$(nproc) = 2"
	check_guest "apt-get --version" "apt-get --version"
	grep -q "^apt [0-9.]* (arm64)" $dir/answer; check $? "apt-get says what it is"
	check_guest "its packages are whole" "apt-get check && test -z \"\$(dpkg --audit)\""
}

disk() {
	check_guest "sha256sum of 64 MiB" "sha256sum /root/big"
	is_sum "$big"; check $? "it is what the host has written"

	io="sysbench fileio --file-num=4 --file-total-size=32M --file-extra-flags=direct --validate=on"
	io="$io --threads=4 --time=0 --file-test-mode"
	check_guest "files for random access" "cd /root && $io=rndrw prepare"
}

# What is under way together of all devices: large requests, small ones, and frames.
load() {
	guest "(dd if=/root/big of=/root/copy bs=4M iflag=direct oflag=direct && echo copied) >/tmp/dd 2>&1 &"
	guest "($io=rndrw --events=$events run && echo verified) >/tmp/io 2>&1 &"
	network
	check_guest "a copy meanwhile, in large requests" "wait; cat /tmp/dd; tail -n 1 /tmp/dd | grep -x copied"
	check_guest "random reads and writes meanwhile, verified" "cat /tmp/io; tail -n 1 /tmp/io | grep -x verified"
	grep -E 'reads/s|writes/s|total time' $dir/answer
	# What is wrong is found.
	check_guest "a wrong file fails" \
		"dd if=/root/big of=test_file.2 bs=1M count=8 conv=notrunc && ! $io=rndrd --events=500 run"
	guest "rm test_file.*"
}

# send COMMAND...: 4 MiB to the guest, once it listens.
send() {
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		nc 10.0.2.2 7778 <$dir/part && return
		sleep 1
	done
	return 1
}

network() {
	check_guest "the guest pings the host" "ping -c 2 10.0.2.1"
	ping -c 2 10.0.2.2 >/dev/null; check $? "the host pings the guest"

	nc -l -p 7777 >$dir/got &
	nc=$!
	check_guest "4 MiB to the host" "head -c 4194304 /root/big | nc -N 10.0.2.1 7777"
	wait $nc
	cmp $dir/got $dir/part; check $? "they are what the guest had"

	guest "nc -d -l 7778 >/tmp/got & nc=\$!"
	send; check $? "4 MiB to the guest"
	check_guest "the guest has them" "wait \$nc; sha256sum /tmp/got"
	is_sum "$(sum <$dir/part)"; check $? "they are what the host had"
}

# pages STATE: by the last map.
pages() { sed -n "s/^ *[^ ] $1 *\([0-9]*\) pages.*/\1/p" $dir/map | tail -n 1; }

drawn() {
	maps=$(grep -c '^---' $dir/map)
	[ "$maps" -ge 3 ]; check $? "the map was drawn, $maps times and once"
	[ ! -s $dir/map-messages ] || tail -n 2 $dir/map-messages
	case $* in
	*--protected*)
		[ "$(pages private)" -gt 10000 ]; check $? "$(pages private) pages are private"
		[ "$(pages shared)" -ge 1024 ]; check $? "$(pages shared) are shared, the pool's among them" ;;
	*--unprotected*)
		[ "$(pages private)" -eq 0 ]; check $? "no page is private" ;;
	esac
}

hotplug() {
	check_guest "its second CPU, off and on 20 times" \
		"(set -e; cd /sys/devices/system/cpu/cpu1; for i in \$(seq 20); do echo 0 >online; test \$(nproc) = 1; echo 1 >online; test \$(taskset -c 1 nproc) = 1; done)"
}

# shown N TEXT: so often, on its console.
shown() { [ "$(grep -c "$2" $dir/console)" -ge "$1" ]; }

# A new VM, which finds the disk as the old one left it.
reboots() {
	prompts=$(grep -c "[#] \$" $dir/console)
	echo "cd /; reboot" >&3
	await shown 2 "debian login: "; check $? "it reboots"
	echo root >&3
	await shown $((prompts + 1)) "[#] $"; check $? "logged in again"
	[ "$(cat $dir/messages)" = "pvm: the guest asked for a reset" ]; check $? "and that is all"
	: >$dir/messages
	echo poweroff >&3
}

# The guest's kernel and ours of what they saw.
kernel_log() {
	guest "mount -t debugfs none /sys/kernel/debug; cat /sys/kernel/debug/dma-pool*/io_tlb_nslabs /sys/kernel/debug/dma-pool*/io_tlb_used_hiwater"
	check $? "what its kernel says of the pool"
	echo "     the pool, and the most of it in use, in 2 KiB: $(tr '\n' ' ' <$dir/answer)"
	check_guest "its kernel has nothing to complain of" \
		"! dmesg | grep -E 'buffer is full|WARNING|BUG:|Call trace|I/O error|EXT4-fs error'"
}

[ $# -gt 0 ] || set -- --protected
[ -b /dev/vda ] || { echo "SKIP: no disk; scripts/debian test gives one"; exit 77; }
mkdir -p $dir/disk
tap pvm0 10.0.2.1; check $? "a TAP device"
on_disk put_big; check $? "a file of 64 MiB, by the host"
start --kernel /boot/Image --disk /dev/vda --net tap=pvm0 --rng --mem 256M --cpus 2 \
	--append "root=/dev/vda rw quiet" --timeout 3000 --reboot "$@"
log_in
pvm map $pvm --watch 3 >$dir/map 2>$dir/map-messages &
watch=$!
about
disk
load
hotplug
kernel_log
kill -0 $watch; check $? "the map was still being drawn"
check_guest "a copy, on its disk" "cmp /root/big /root/copy"
in_silence
kill $watch 2>/dev/null
reboots
wait $pvm; check $? "the guest powers off"
exec 3>&-
drawn "$@"
in_silence
on_disk cmp $dir/disk/root/big $dir/disk/root/copy; check $? "the copy, by the host"
exit $failed
