# SPDX-License-Identifier: GPL-2.0-only
# Every target is a thin call of a script; 'make' alone lists them.
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory --no-builtin-rules
export ARCH CPU SMP MEM MODE ICOUNT SEED KARGS FILES CMD TIMEOUT DEBUG G T PATCH FORCE LINUX_TARBALL DEBIAN_MIRROR DISK GUEST DEBIAN_SUITE

# What the user wrote, dollar signs and all, is for the shell of the emulated host.
$(foreach v,CMD KARGS FILES,$(if $(filter command line environment,$(origin $v)),$(eval override $v := $$(value $v))))

# The one place where DEBUG=1 turns into a flavour of the kernel.
debug := $(if $(filter-out 0 n no,$(DEBUG)),debug)
arch  := $(or $(ARCH),arm64)

.PHONY: help
help: ## this list
	@echo 'usage: make TARGET [VARIABLE=value…]'
	@sed -n 's/^\([a-z]*\):.*## /  make \1 # /p' $(firstword $(MAKEFILE_LIST)) | \
		awk -F' # ' '{ printf "%-16s %s\n", $$1, $$2 }'
	@sed -n 's/^# \([A-Z]*=.*\)/  \1/p' scripts/vm
	@echo 'The console log, command line and seed of each run are kept in out/run/NAME.'

demo := /bin/pvm demo --kernel /boot/Image --initrd /boot/guest.cpio --mem 128M --cpus 2 --protected

.PHONY: run
run: ## boot the emulated pKVM host, run a protected Linux guest, show the evidence; GUEST=debian: a login
ifeq ($(GUEST),debian)
	@scripts/debian run
else
	$(if $(GUEST),$(error GUEST=$(GUEST) is not: debian))
	@scripts/build arm64 $(debug)
	@ARCH=arm64 STRICT=1 CMD='$(demo)' scripts/vm exec demo
endif

.PHONY: shell
shell: ## a root shell on the emulated host
	@scripts/build $(arch) $(debug)
	@scripts/vm shell

.PHONY: exec exec-run
exec: exec-run ## run CMD='…' on the emulated host, with FILES=DIR at /files
	@$(exit $(file <out/exec-code))

# Only for 'make exec': the rest needs no compiler to say what went wrong.
ifneq ($(filter exec,$(MAKECMDGOALS)),)
out/make-exit.so: scripts/make-exit.c
	@scripts/deps
	@mkdir -p out
	@gcc -Wall -O2 -shared -fPIC -o $@ $<

-load out/make-exit.so(make_exit_gmk_setup)
endif

exec-run:
	@mkdir -p out; scripts/exec; echo $$? >out/exec-code

.PHONY: test
test: ## all tests but the long ones; [ARCH=] [G=group] [T=name] [DEBUG=1]
	@scripts/test plain

.PHONY: nightly
nightly: ## the long tests: a debug kernel, many VM lives, injected faults
	@scripts/test nightly
	@DEBUG=1 scripts/test plain

.PHONY: soak
soak: ## random lives with guests in them, for HOURS=n on each machine; rates and seeds
	@scripts/soak '$(HOURS)'

.PHONY: coverage
coverage: ## which lines of our kernel files no test reaches; [T=name]
	@scripts/coverage

.PHONY: mutants
mutants: ## are seeded bugs in the host's kernel code found? one machine each; [T=name]
	@scripts/mutants $(T)

.PHONY: bench
bench: ## count exits and instructions, ours beside the base kernel's, into out/bench.json
	@scripts/build arm64
	@scripts/build x86
	@scripts/bench

.PHONY: evidence
evidence: ## write docs/evidence.md, with what mutants, coverage, soak and bench left in out/result
	@scripts/evidence

.PHONY: check
check: ## unit tests, checkpatch, sparse and shellcheck; boots nothing
	@scripts/unit
	@scripts/check

.PHONY: claims
claims: ## what the documentation promises, line by line, and the tests of each
	@scripts/claims

.PHONY: kernel
kernel: ## build the kernel for ARCH=arm64|x86
	@scripts/deps
	@scripts/tree >/dev/null
	@flock "$$(scripts/tree)/.pkvm" scripts/kernel $(arch) $(debug)

.PHONY: tree
tree: ## update the prepared kernel tree, and print its path
	@scripts/deps
	@scripts/tree

.PHONY: refresh
refresh: ## write edits in the prepared tree back into patches/; [PATCH=NNNN-…]
	@scripts/refresh

.PHONY: flat
flat: ## print everything as one diff against the base kernel
	@scripts/flat

.PHONY: series
series: ## everything as a git branch in out/series, ready for format-patch
	@scripts/series

.PHONY: clean
clean: ## remove out/ and this clone's prepared trees
	@bash -c '. scripts/common.sh; set -- "$$(tree_path)" "$$(TOP=$$OUT/mutants/kernel; tree_path)"; \
		echo "removing out/ and $$*"; rm -rf out "$$@"'
