#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Every variant of the model, exhaustively: the good ones must hold, and each bad one, which
# has one bug, must be found. model/run.sh DIR; one line for each. Needs spin and a compiler.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
rc=0

# variant good|bad NAME safety|progress FLAGS...: runs it, and says whether that was expected.
variant() {
	local want=$1 name=$2 what=$3 out=$dir/$2 result run=(-m100000) build=(-DSAFETY -DNOCLAIM)
	shift 3
	mkdir -p "$out"
	if [ "$what" = progress ]; then
		build=(-DNFAIR=3)
		run+=(-a -f -N no_lost_wake)
	fi
	if ! (cd "$out" && rm -f ./*.trail && spin "$@" -a "$here/protocol.pml" >spin.log 2>&1 &&
	      ${CC:-cc} -O1 -w -DMEMLIM=1500 -DCOLLAPSE "${build[@]}" -o pan pan.c &&
	      timeout 300 ./pan "${run[@]}" >pan.log 2>&1); then
		result=broken
	elif grep -q 'max search depth too small\|out of memory\|resource' "$out/pan.log"; then
		result=incomplete
	elif grep -q 'errors: 0' "$out/pan.log"; then
		result=good
	else
		result=bad
	fi
	printf '%-4s %-34s %-9s %10s states, %s\n' "$([ $result = "$want" ] && echo ok || echo FAIL)" \
		"$name" "$what" "$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$out/pan.log" | head -n 1)" \
		"$result: $(sed -n 's/^pan:[0-9]*: \(assertion violated.*\|invalid end.*\|acceptance cycle.*\)/\1/p' "$out/pan.log" | grep -m1 . || echo 'holds in every state')"
	[ $result = "$want" ] || rc=1
}

variant good good_one_page safety -DNPAGES=1 -DNVCPUS=2
variant good good_two_pages safety -DNPAGES=2 -DNVCPUS=1 -DTRIES=1
variant good good_wake progress -DNPAGES=1 -DNVCPUS=2 -DTRIES=1
for bug in COMPLETE_UNCHECKED NO_SCRUB FAULT_IGNORES_ATTRIBUTE NO_LOCK EL2_FIRST ATTRIBUTE_STAYS \
	   USER_FAULT_WITHOUT_LOCK CONVERT_WITHOUT_CONSENT FREE_BEFORE_RECLAIM \
	   DONATE_OVER_DEVICE GUARD_OVER_PAGE TABLES_ARE_AN_ANSWER; do
	variant bad "bad_${bug,,}" safety -DNPAGES=1 -DNVCPUS=2 -DBAD_$bug
done
variant bad bad_lost_wake progress -DNPAGES=1 -DNVCPUS=2 -DBAD_LOST_WAKE
exit $rc
