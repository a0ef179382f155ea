#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs on the emulated host: guests in each kind of memory, and what --stats says of them.

failed=0
patience=2500		# seconds: the harness has its own limits

# field NAME: of the line of JSON in $stats.
field() { printf '%s\n' "$stats" | tr '{},' '\n\n\n' | sed -n "s/^\"$1\"://p"; }

check() {
	if [ "$1" -eq 0 ]; then
		echo "ok   $2"
	else
		echo "FAIL $2: $stats"
		failed=1
	fi
}

# run OPTION...: the guest's end in $code, its console in /tmp/console.
run() {
	pvm run --kernel /boot/Image --initrd /boot/guest.cpio --mem 64M --append quiet \
		--timeout $patience --stats json "$@" </dev/null >/tmp/console 2>&1
	code=$?
	stats=$(grep '^{"protected":' /tmp/console)
	test $code -eq 0; check $? "$*: the guest powers off"
	test "$(field exit_code)" = 0; check $? "$*: exit code"
	test "$(field exits)" -gt 100; check $? "$*: exits"
	test "$(field exits)" -ge "$(field mmio_exit_user)"; check $? "$*: no more MMIO than exits"
	test "$(field mmio_exit_user)" -gt 0; check $? "$*: MMIO"
	test "$(field destroy_ns)" -gt 0; check $? "$*: time of destruction"
	test "$(field resident)" -gt 8000000; check $? "$*: resident"
	test "$(field resident)" -lt 67108864; check $? "$*: resident, not all"
	! grep -q 'Booting Linux' /tmp/console; check $? "$*: quiet is quiet"
}

run --protected
test "$(field protected),$(field memory)" = 'true,"guest_memfd"'; check $? "what it was"

test "$(field private)" -gt 2000; check $? "the guest's own pages"
test $(($(field private) + $(field shared) + $(field absent))) -eq 16384; check $? "all pages"

run --protected --anon
test "$(field pages)" = null; check $? "no account of anonymous pages"
test "$(field protected),$(field memory)" = 'true,"anonymous"'; check $? "what it was"
# A fault for every page it touches.
test "$(field exits)" -gt 2500; check $? "pinned memory has many exits"

run --unprotected --anon
test "$(field protected),$(field memory)" = 'false,"anonymous"'; check $? "what it was"
test $(($(field resident) % 2097152)) -eq 0; check $? "huge pages only"

# A guest that never speaks has no boot to tell of.
stats=$(pvm run --kernel /boot/Image --mem 64M --append 'quiet console=none' --timeout 3 --stats json </dev/null 2>/tmp/stderr |
	grep '^{"protected":')
test "$(field boot)" = null; check $? "no init: boot is null"

exit $failed
