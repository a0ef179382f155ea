#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# mkcpio.sh INIT OUT: an initramfs whose only file of ours is /init. The same bytes
# every time, and no root needed: gen_init_cpio from the kernel tree is used if GEN names
# it, or else cpio.
set -eu
init=$1
out=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if [ -n "${GEN:-}" ]; then
	cat >"$tmp/list" <<-LIST
	dir /dev 0755 0 0
	nod /dev/console 0600 0 0 c 5 1
	dir /proc 0755 0 0
	dir /sys 0755 0 0
	file /init $init 0755 0 0
	LIST
	"$GEN" -t 0 "$tmp/list" >"$tmp/cpio"
else
	command -v cpio >/dev/null || {
		echo "mkcpio.sh: install the package cpio, or set GEN to a gen_init_cpio" >&2
		exit 1
	}
	mkdir -p "$tmp/root/dev" "$tmp/root/proc" "$tmp/root/sys"
	cp "$init" "$tmp/root/init"
	chmod 0755 "$tmp/root/init"
	find "$tmp/root" -exec touch -h -d @0 {} +
	(cd "$tmp/root" && find . | LC_ALL=C sort |
		cpio --quiet --reproducible -R 0:0 -H newc -o) >"$tmp/cpio"
fi
mv "$tmp/cpio" "$out"
