#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs on the emulated host: a guest that gives its devices random descriptors. pvm must
# live to see its end, which is a power-off after a good request. With RECORD=FILE, what the
# protected guest gave its devices is kept there: tests/recorded has such files.

kernel=${KERNEL:-/boot/hostile}
. "$(dirname "$0")/pvm-common"

run() {
	head -c 65536 /dev/zero >/tmp/hostile.disk
	net=
	[ -z "$tap" ] || net="--net tap=pvm1"
	# shellcheck disable=SC2086
	pvm run --kernel "$kernel" --mem 64M --disk /tmp/hostile.disk --rng $net --timeout $patience "$@" \
		</dev/null >/tmp/hostile.out 2>/tmp/hostile.err
	check $? "$*: the guest powers off"
	case $* in --protected*)
		grep -aq "^hostile: enrolled" /tmp/hostile.out; check $? "$*: enrolled in MMIO guard" ;;
	esac
	grep -a "^hostile: [0-9]* desc" /tmp/hostile.out; check $? "$*: it came to its end"
	grep -aq "^hostile: the disk works" /tmp/hostile.out; check $? "$*: the disk still works"
	grep -q "waits for a reset" /tmp/hostile.err; check $? "$*: devices asked for a reset"
	[ "$(stat -c %s /tmp/hostile.disk)" = 65536 ]; check $? "$*: the disk has its size"
	[ $failed -eq 0 ] || cat /tmp/hostile.err
}

tap=
tap pvm1 && tap=yes
if has_pkvm; then
	# shellcheck disable=SC2086
	run --protected ${RECORD:+--record $RECORD}
fi
run --unprotected
exit $failed
