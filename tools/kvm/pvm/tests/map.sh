#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs on the emulated host: the map of a guest that runs, and all that a curious host
# might try on it; protected and not.

initrd=${INITRD:-/boot/guest.cpio}
dir=/tmp/map
pages=16384
. "$(dirname "$0")/pvm-common"

# guest OPTION...: one that waits for a word.
guest() {
	start --kernel /boot/Image --initrd "$initrd" --mem 64M --append "quiet pvm.devices" \
		--timeout $patience "$@"
	await said "waits for a word"; check $? "$*: the guest runs"
}

# finish: the guest powers off.
finish() {
	echo hello >&3
	exec 3>&-
	wait $pvm; check $? "the guest powers off"
	in_silence
}

# count STATE FILE: the pages of the last snapshot.
count() { sed -n "s/^ *[^ ] $1 *\([0-9]*\) pages.*/\1/p" "$2" | tail -n 1; }

# total FILE: the pages of all states.
total() { sed -n 's/^ *[^ ] [a-z ]*  *\([0-9]*\) pages .*MiB.*/\1/p' "$1" | awk '{ n += $1 } END { print n + 0 }'; }

# snapshot: drawn once, as text and as SVG.
snapshot() {
	pvm map $pvm --svg $dir/map.svg >$dir/map; check $? "map"
	[ "$(total $dir/map)" = $pages ]; check $? "map: every page is counted once"
	[ "$(grep -c '^ *8[0-9a-f]* [^ ]*$' $dir/map)" = 16 ]; check $? "map: 16 rows"
	! grep -q "no memory slot" $dir/map; check $? "map: all of it is in a slot"
	! grep -q BUG $dir/map; check $? "map: EL2 does not disagree, where it can be asked"
	grep -q "</svg>" $dir/map.svg; check $? "map: the SVG is whole"
	[ ! -e $dir/map.svg.tmp ]; check $? "map: nothing else is left"
}

# As the kernel itself shows it, which is of another moment: the same, before long.
same() {
	private=$(awk '$2 == "private" && $3 == "resident" {
			split($1, r, "-"); n += ("0x" r[2]) - ("0x" r[1]) }
		END { print n / 4096 }' /sys/kernel/debug/kvm/"$pvm"-*/guest_memfd-*)
	pvm map $pvm >$dir/map && [ "$private" = "$(count private $dir/map)" ]
}

compare() { await same; check $? "map: as debugfs has it"; }

watched() { [ "$(grep -c '^---$' $dir/watch)" -ge 2 ]; }

# It ends by SIGINT, or by itself with the guest.
watch() {
	: >$dir/watch
	pvm map --watch 1 $pvm >$dir/watch 2>$dir/watch.err &
	watch=$!
	await watched; check $? "--watch: three snapshots"
	kill -INT $watch
	wait $watch; check $? "--watch: SIGINT ends it"
	[ ! -s $dir/watch.err ]; check $? "--watch: in silence"
	: >$dir/watch
	pvm map $pvm --watch=1 --svg $dir/watch.svg >$dir/watch 2>$dir/watch.err &
	watch=$!
	await watched
	finish
	wait $watch; check $? "--watch: the guest's end ends it"
	grep -q "has ended" $dir/watch.err; check $? "--watch: and it says so"
}

# poke WHAT OPTION...: in $dir/poke.
poke() {
	what=$1
	shift
	pvm poke "$@" $pvm >$dir/poke; check $? "poke, $what"
	! grep -q "not tried" $dir/poke; check $? "poke, $what: nothing is left out"
	[ $failed -eq 0 ] || cat $dir/poke
}

# lines N TEXT: so many of them in what poke said.
lines() { [ "$(grep -c "$2" $dir/poke)" = "$1" ]; check $? "poke: $1 times '$2'"; }

protected() {
	guest --protected
	snapshot
	[ "$(count private $dir/map)" -gt 2000 ]; check $? "map: the guest's own pages"
	[ "$(count shared $dir/map)" -gt 0 ]; check $? "map: what it shares"
	compare
	cat $dir/map

	poke "a file"
	lines 18 "  as it should be"
	lines 2 "SIGBUS"
	lines 3 "Bad address"
	lines 5 "Operation not permitted"
	cat $dir/poke
	[ ! -e /dev/nullb0 ] || poke "a block device" --direct /dev/nullb0
	watch

	# One that loses pages need not survive it.
	guest --protected
	poke "and PUNCH_HOLE" --punch
	lines 22 "  as it should be"
	lines 4 "destroyed\|zeroes"
	pvm map $pvm >$dir/map; check $? "map, with two pages destroyed"
	counter=$(cat /sys/kernel/debug/kvm/"$pvm"-*/gmem_pages_reclaimed 2>/dev/null)
	[ -z "$counter" ] || grep -q "^ *$counter pages taken" $dir/map; check $? "map: pages taken"
	kill -TERM $pvm
	wait $pvm
	code=$?
	exec 3>&-
	[ $code = 143 ] || [ $code = 4 ]; check $? "SIGTERM, or the guest's loss, ends it: $code"
}

unprotected() {
	guest --unprotected
	snapshot
	[ "$(count private $dir/map)" = 0 ]; check $? "map: nothing is private"
	[ "$(count shared $dir/map)" -gt 2000 ]; check $? "map: all is shared"
	poke "unprotected"
	lines 9 "  as it should be"
	finish
}

mkdir -p $dir
if has_pkvm; then
	protected
fi
unprotected
exit $failed
