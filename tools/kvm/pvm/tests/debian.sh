#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# usage: debian.sh [OPTION...]
# Runs on the emulated host, with the image of scripts/debian as /dev/vda: logs in to a
# Debian guest (pvm OPTIONs, else --protected), has it work on its disk and network while
# its memory's map is drawn all the time, and looks at the disk afterwards.

dir=/tmp/debian
failed=0
n=0

check() {
	if [ "$1" -eq 0 ]; then
		echo "ok   $2"
	else
		echo "FAIL $2"
		failed=1
	fi
}

# await TEXT: until the guest has said it, or is gone.
await() {
	until grep -q "$1" $dir/console; do
		kill -0 $pvm 2>/dev/null || return 1
		sleep 0.5
	done
}

# guest COMMAND: in the guest's shell. Its output is in $dir/answer, its exit code ours.
guest() {
	n=$((n + 1))
	echo "$1" >&3
	# shellcheck disable=SC2016 # the guest's $?
	echo 'echo "<'$n':$?>"' >&3
	await "^<$n:[0-9]*>" || return 125
	tr -d '\r' <$dir/console | sed "1,/^<$((n - 1)):/d; /^<$n:/,\$d" >$dir/answer
	return "$(tr -d '\r' <$dir/console | sed -n "s/^<$n:\([0-9]*\)>/\1/p")"
}

# The map, again and again, for as long as the guest lives.
watch() {
	pvm map $pvm --watch 3 >$dir/map 2>$dir/map-messages &
	watch=$!
}

log_in() {
	await "debian login: "; check $? "login is asked for"
	echo root >&3
	await "[#] $"; check $? "logged in"
	# A shell without line editing: what it says is output only.
	echo "exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb sh" >&3
	# Its prompt may come after what we typed.
	echo "stty -echo; PS1=; echo; echo '<''0:0>'" >&3
	await "^<0:0>"; check $? "a shell"
}

about() {
	guest "uname -m; . /etc/os-release; echo \$PRETTY_NAME; nproc; cat /proc/uptime; free -m"
	check $? "what it is"
	sed 's/^/     /' $dir/answer
	guest "apt-get --version"; check $? "apt-get --version"
	grep -q "^apt [0-9.]* (arm64)" $dir/answer; check $? "apt-get says what it is"
	guest "apt-get check && test -z \"\$(dpkg --audit)\""
	check $? "its packages are whole"
}

disk() {
	guest "head -c 67108864 /dev/urandom >/root/big && sync && echo 3 >/proc/sys/vm/drop_caches"
	check $? "a file of 64 MiB"
	guest "sha256sum /root/big"; check $? "its sha256sum"
	sum=$(grep -o '^[0-9a-f]\{64\}' $dir/answer)
	test -n "$sum"; check $? "it is a sum"

	io="sysbench fileio --file-num=4 --file-total-size=32M --file-extra-flags=direct --validate=on"
	io="$io --threads=4 --time=0 --file-test-mode"
	guest "cd /root && $io=rndrw prepare"; check $? "files for random access"
	guest "$io=rndrw --events=3000 run"; check $? "random reads and writes, verified"
	grep -E 'reads/s|writes/s|total time' $dir/answer
	# What is wrong is found.
	guest "dd if=/root/big of=test_file.2 bs=1M count=8 conv=notrunc && ! $io=rndrd --events=500 run"
	check $? "a wrong file fails"
	guest "rm test_file.*"
}

network() {
	guest "ping -c 2 10.0.2.1"; check $? "the guest pings the host"
	ping -c 2 10.0.2.2 >/dev/null; check $? "the host pings the guest"
	nc -l -p 7777 -e cat &
	guest "head -c 1048576 /root/big | nc -N 10.0.2.1 7777 | cmp -n 1048576 - /root/big"
	check $? "1 MiB to the host and back"
	kill $! 2>/dev/null
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
	esac
}

[ $# -gt 0 ] || set -- --protected
[ -b /dev/vda ] || { echo "SKIP: no disk; scripts/debian test gives one"; exit 77; }
mkdir -p $dir/disk && mkfifo $dir/input || exit 1
tunctl -t pvm0 >/dev/null && ifconfig pvm0 10.0.2.1 up; check $? "a TAP device"
: >$dir/console
pvm run --kernel /boot/Image --disk /dev/vda --net tap=pvm0 --rng --mem 256M --cpus 2 \
	--append "root=/dev/vda rw quiet" --timeout 3000 "$@" <$dir/input >$dir/console 2>$dir/messages &
pvm=$!
exec 3>$dir/input
log_in
watch
about
disk
network
kill -0 $watch; check $? "the map was still being drawn"
guest "cd /; poweroff"
wait $pvm; check $? "the guest powers off"
exec 3>&-
kill $watch 2>/dev/null
drawn "$@"
[ ! -s $dir/messages ]; check $? "pvm has nothing to complain of"

mount -t ext4 -o ro /dev/vda $dir/disk; check $? "the host can read the disk"
[ "$(sha256sum <$dir/disk/root/big)" = "$sum  -" ]; check $? "the file's sum, by the host"
umount $dir/disk
[ $failed -eq 0 ] || { cat $dir/messages; tail -n 60 $dir/console; }
exit $failed
