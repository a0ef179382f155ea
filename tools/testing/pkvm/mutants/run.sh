#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Bugs on purpose: each mutants/*.patch is a bug in the kernel's pure logic, applied to a copy
# of it. Says which test finds it first; fails if none does, or if a patch does not apply any
# more. mutants/run.sh DIR [NAME...], for all mutants or for those. What it prints of all of
# them is in DIR/report afterwards.
#
# The layers, in order: "tables" are page_transition_test and gmem_range_test, "cpu" is
# pvm_exit_test, pvm_power_test and pvm_smccc_test, which alone look at a vCPU's context, power
# and calls, "exhaustive"
# is every state of two guests and two pages, "random" and "large" are random lives with page
# tables of 4 and of 512 entries.
#
# mutants/kernel/*.patch need a kernel and a machine: see scripts/mutants.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")/.." && pwd)
top=$(cd "$here/../../.." && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
shift
hyp=arch/arm64/kvm/hyp
nvhe=(component_lock page_run page_transition pkvm_gmem pkvm_memreq pkvm_mmio pkvm_spec pkvm_spec_invariants)
pvm=(pvm_context pvm_exit pvm_psci pvm_reset pvm_spec pvm_sve)
flags=(-O1 -w -std=gnu11 -DCONFIG_NVHE_EL2_DEBUG)
small=(-DSPEC_FRAMES=8 -DSPEC_GFNS=8 -DSPEC_TABLE=4 -DSPEC_VCPUS=2)
large=(-DSPEC_FRAMES=640 -DSPEC_GFNS=1024 -DSPEC_TABLE=512 -DSPEC_VCPUS=2)

# A tree with the files under test, as they are.
copy_sources() {
	rm -rf "$1"
	mkdir -p "$1"
	(cd "$top" && cp -rL --parents $hyp arch/arm64/include include/linux "$1")
}

# compile KDIR OBJECT SOURCE [FLAGS...]
compile() {
	local k=$1 o=$2 s=$3
	shift 3
	(cd "$here" && ${CC:-cc} "${flags[@]}" "$@" -Iinclude -I. "-I$k/$hyp/include" \
		-idirafter "$k/include" -idirafter "$k/arch/arm64/include" -c -o "$o" "$s")
}

sizes=(two small large)
size_flags() {
	case $1 in
	two) ;;
	small) printf '%s\n' "${small[@]}" ;;
	large) printf '%s\n' "${large[@]}" ;;
	esac
}

# program_of SIZE: what runs with tables of that size.
program_of() { [ "$1" = two ] && echo exhaustive || echo random; }

# The mutant differs from the rest in one file, which the patch names.
build_size() {
	local size=$1 k=$2 out=$3 file=$4 f
	mapfile -t f < <(size_flags "$size")
	compile "$k" "$out/$file.o" "$k/$hyp/nvhe/$file.c" "${f[@]}" || return
	rm -f "$out/rest"/*.o
	cp "$dir/$size"/*.o "$out/rest"
	rm -f "$out/rest/$file.o"
	${CC:-cc} -o "$out/$size" "$out/rest"/*.o "$out/$file.o"
}

# What does not change is compiled once: the specification, and what EL2 stands on.
build_fixed() {
	local size s f
	for size in "${sizes[@]}"; do
		mkdir -p "$dir/$size"
		mapfile -t f < <(size_flags "$size")
		for s in spec_host spec_invariants el2 el2_env "$(program_of "$size")"; do
			compile "$dir/tree" "$dir/$size/$s.o" $s.c "${f[@]}"
		done
		for s in "${nvhe[@]}"; do
			compile "$dir/tree" "$dir/$size/$s.o" "$dir/tree/$hyp/nvhe/$s.c" "${f[@]}"
		done
	done
}

build_fixed_cpu() {
	local s
	mkdir -p "$dir/cpu"
	for s in cpu_env pvm_exit_test pvm_power_test pvm_power_spec pvm_smccc_test; do
		compile "$dir/tree" "$dir/cpu/$s.o" $s.c -Iinclude-cpu
	done
	for s in "${pvm[@]}"; do
		compile "$dir/tree" "$dir/cpu/$s.o" "$dir/tree/$hyp/nvhe/$s.c" -Iinclude-cpu
	done
}

# found NAME BY: the test BY, whose arguments follow, fails. 124 is a test that hangs.
found() {
	local layer=$1 rc=0
	shift
	timeout 120 "$@" >"$dir/log" 2>&1 || rc=$?
	[ $rc -ne 0 ] || return 1
	printf '%-12s %s\n' "$layer" "$(grep -m1 -oE 'FAIL: .*' "$dir/log" || grep -v '^ ' "$dir/log" | head -n 1)"
}

# The unit tests are one file each, and depend on one file each.
tables() {
	local k=$1 patch=$2 out=$3
	if grep -q '^+++ .*/page_transition.c' "$patch"; then
		compile "$k" "$out/t.o" page_transition_test.c
		compile "$k" "$out/p.o" "$k/$hyp/nvhe/page_transition.c"
		${CC:-cc} -o "$out/test" "$out/t.o" "$out/p.o"
	elif grep -q '^+++ .*/guest_memfd_range.h' "$patch"; then
		compile "$k" "$out/t.o" gmem_range_test.c
		${CC:-cc} -o "$out/test" "$out/t.o"
	else
		return 1
	fi
	found tables "$out/test"
}

# A protected vCPU's files, and no others.
is_cpu() {
	local s
	for s in "${pvm[@]}" pvm_smccc; do
		[ "$s" != "$1" ] || return 0
	done
	return 1
}

cpu() {
	local k=$1 file=$2 out=$3 fixed=$dir/cpu s
	compile "$k" "$out/rest/$file.o" "$k/$hyp/nvhe/$file.c" -Iinclude-cpu 2>"$dir/log" ||
		{ echo "does not compile"; return 1; }
	if [ "$file" = pvm_smccc ]; then
		${CC:-cc} -o "$out/smccc" "$out/rest/$file.o" "$fixed/pvm_smccc_test.o"
		found cpu "$out/smccc"
		return
	fi
	for s in "${pvm[@]}"; do
		[ "$s" = "$file" ] || cp "$fixed/$s.o" "$out/rest"
	done
	${CC:-cc} -o "$out/exit" "$out/rest"/*.o "$fixed/cpu_env.o" "$fixed/pvm_exit_test.o"
	${CC:-cc} -o "$out/power" "$out/rest"/*.o "$fixed/cpu_env.o" "$fixed/pvm_power_spec.o" "$fixed/pvm_power_test.o"
	found cpu "$out/exit" || found cpu "$out/power"
}

# Prints the layer that finds the mutant in DIR/mutant.
hunt() {
	local patch=$1 k=$dir/mutant out=$dir/built size file
	rm -rf "$out"
	mkdir -p "$out/rest"
	tables "$k" "$patch" "$out" && return
	file=$(sed -n "s|^+++ .*/$hyp/nvhe/\([a-z_]*\)\.c.*|\1|p" "$patch")
	[ -n "$file" ] || return 1
	if is_cpu "$file"; then
		cpu "$k" "$file" "$out"
		return
	fi
	for size in "${sizes[@]}"; do
		build_size "$size" "$k" "$out" "$file" 2>"$dir/log" || { echo "does not compile"; return 1; }
		case $size in
		two) found exhaustive "$out/two" && return ;;
		small) found random "$out/small" --steps 1000000 --save "$out/ops" && return ;;
		large) found large "$out/large" "${seeds[@]}" && return
		       found large "$out/large" --steps 20000 --save "$out/ops" && return ;;
		esac
	done
	return 1
}

seeds=()
for p in "$here"/seeds/large-*.ops; do
	seeds+=(--replay "$p")
done
copy_sources "$dir/tree"
build_fixed
build_fixed_cpu
patches=("$here"/mutants/*.patch)
[ $# -eq 0 ] || patches=("${@/#/$here/mutants/}")
# Fails if one is missed.
hunt_all() {
	local missed=0 p layer result
	local -A by
	for p in "${patches[@]}"; do
		p=${p%.patch}.patch
		copy_sources "$dir/mutant"
		if ! patch -s -p1 -d "$dir/mutant" <"$p" >"$dir/log" 2>&1; then
			result='MISSED       the patch does not apply any more'
		elif ! result=$(hunt "$p"); then
			result="MISSED       ${result:-}"
		fi
		layer=${result%% *}
		by[$layer]=$((${by[$layer]:-0} + 1))
		[ "$layer" != MISSED ] || missed=$((missed + 1))
		printf '%-40s %s\n' "$(basename "$p" .patch)" "$(cut -c 1-110 <<<"$result")"
	done
	printf '%d mutants:' ${#patches[@]}
	for layer in tables cpu exhaustive random large MISSED; do
		printf ' %s %d' $layer "${by[$layer]:-0}"
	done
	printf '\n'
	[ $missed -eq 0 ]
}

if [ $# -gt 0 ]; then
	hunt_all
else
	hunt_all | tee "$dir/report"
fi
