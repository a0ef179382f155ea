# SPDX-License-Identifier: GPL-2.0-only
# Sourced by the tests that run on the emulated host, where it is /tests/pvm-common:
# checks, and guests that one talks to.
# shellcheck shell=sh disable=SC2034

dir=${dir:-/tmp}	# the test's own
failed=0		# its exit code, at the end
pvm=			# the guest's process
poll=0.1		# seconds
patience=2500		# seconds, for a guest on a slow machine: the harness has its own limits

# check CODE WHAT
check() {
	if [ "$1" -eq 0 ]; then
		echo "ok   $2"
	else
		echo "FAIL $2"
		failed=1
	fi
}

has_pkvm() { dmesg | grep -q "Protected .*VHE mode initialized"; }

# await COMMAND...: until it succeeds, or the guest is gone.
await() {
	until "$@"; do
		kill -0 "$pvm" 2>/dev/null || return 1
		sleep $poll
	done
}

# said TEXT: has the guest, on its console?
said() { grep -q "$1" "$dir/console"; }

# start OPTION...: pvm run, with the console's input at file descriptor 3.
start() {
	[ -p "$dir/input" ] || mkfifo "$dir/input" || exit 1
	: >"$dir/console"
	pvm run "$@" <"$dir/input" >"$dir/console" 2>"$dir/messages" &
	pvm=$!
	exec 3>"$dir/input"
}

# in_silence: pvm itself has said nothing. When something has failed, shows what was said.
in_silence() {
	[ ! -s "$dir/messages" ]; check $? "${1:+$1: }pvm has nothing to complain of"
	[ $failed -eq 0 ] || { cat "$dir/messages"; tail -n 60 "$dir/console"; }
}

# tap NAME [ADDRESS]: a TAP device, if this kernel has any.
tap() { [ -e /dev/net/tun ] && tunctl -t "$1" >/dev/null && ifconfig "$1" ${2:+"$2"} up; }
