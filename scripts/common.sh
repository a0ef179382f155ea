# SPDX-License-Identifier: GPL-2.0-only
# Shared by every script here: where things are, how steps are reported, and
# private apt states. Sourced, never run.
# shellcheck shell=bash disable=SC2034

set -euo pipefail
export LC_ALL=C

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pkvm-gmem
OUT=$TOP/out

# The base kernel. One place: everything else derives from these.
BASE_SERIES=7.3
BASE_VERSION=7.3.4
BASE_PACKAGE=linux-source-$BASE_SERIES
BASE_SUITE=trixie-backports
BASE_DEB_SHA256=703e369ddd4cce971452f5a593ee55df3a5c10c83caf0fa0df039633ed181ee3

QEMU_MIN_MAJOR=10

say()  { printf '%s\n' "$*" >&2; }
die()  { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# step NAME CMD...: runs CMD with its output in out/log/NAME.log; prints what it
# does, and how long it took. On failure the end of the log is shown.
step() {
	local name=$1 log start rc=0
	shift
	mkdir -p "$OUT/log"
	log=$OUT/log/${name//[ \/]/-}.log
	start=$SECONDS
	printf '  %-28s ...' "$name" >&2
	"$@" >"$log" 2>&1 </dev/null || rc=$?
	if [ $rc -ne 0 ]; then
		printf ' FAILED after %d s; the end of %s:\n' $((SECONDS - start)) "${log#"$TOP"/}" >&2
		tail -n 25 "$log" | cut -c 1-400 >&2
		return $rc
	fi
	printf ' %d s\n' $((SECONDS - start)) >&2
}

# with_lock NAME CMD...: one holder at a time over all clones on this machine,
# since caches are shared between clones.
with_lock() {
	local name=$1
	shift
	mkdir -p "$CACHE/lock"
	(
		flock 9
		"$@" 9>&-
	) 9>"$CACHE/lock/$name"
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif have sudo && sudo -n true 2>/dev/null; then
		sudo "$@"
	else
		return 126
	fi
}

# The release of Debian that this machine runs.
debian_codename() { (. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-}"); }

# The mirror that this machine's own apt is set up for (DEBIAN_MIRROR= overrides).
debian_mirror() {
	if [ -n "${DEBIAN_MIRROR:-}" ]; then
		printf '%s\n' "$DEBIAN_MIRROR"
		return
	fi
	# Sources may say "stable" instead of the name: then the first archive with a
	# main component that is not the security one.
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 2>/dev/null |
		awk -v r="$(debian_codename)" '
			$3 != "main"          { next }
			$2 == r && !exact     { exact = $1 }
			!any && $2 !~ /secur/ { any = $1 }
			END                   { print exact ? exact : any }'
}

# apt_private "SUITE..." ARCH: sets APT_PRIVATE to the options that make apt-get read
# only these suites for ARCH, with lists, cache and (for a foreign ARCH) package state
# of its own. The user's apt is never touched. Index files are read once a day.
apt_private() {
	local suites=$1 arch=$2 dir mirror keyring suite
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -r "$keyring" ] || die "no $keyring: install the package debian-archive-keyring"
	dir=$CACHE/apt/${suites// /+}-$arch
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/state"
	mirror=$(debian_mirror)
	[ -n "$mirror" ] || die "apt names no Debian mirror on this machine; set DEBIAN_MIRROR=URL"
	for suite in $suites; do
		printf 'deb [signed-by=%s arch=%s] %s %s main\n' "$keyring" "$arch" "$mirror" "$suite"
	done >"$dir/sources.list"
	[ -e "$dir/state/status" ] || : >"$dir/state/status"
	APT_PRIVATE=(-o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache"
		-o APT::Sandbox::User=root -q)
	if [ "$arch" != "$(dpkg --print-architecture)" ]; then
		APT_PRIVATE+=(-o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
			-o "Dir::State::status=$dir/state/status")
	fi
	if [ -z "$(find "$dir/lists" -maxdepth 1 -name '*Packages*' -mtime -1 -print -quit)" ]; then
		apt_update "$dir/update.log" "${APT_PRIVATE[@]}" ||
			die "cannot read Debian's $suites for $arch (see $dir/update.log)"
	fi
}

# apt_update LOG [OPTION...]: a mirror that is being synchronised fails for a minute.
apt_update() {
	local log=$1 try
	shift
	for try in 1 2 3 4; do
		apt-get "$@" -o APT::Update::Error-Mode=any update >"$log" 2>&1 && return
		[ "$try" = 4 ] || sleep $((try * 10))
	done
	return 1
}

# deb_unpack SUITE ARCH PACKAGE DEST: the files of one package, without installing.
deb_unpack() {
	local suite=$1 arch=$2 package=$3 dest=$4 tmp rc=0
	apt_private "$suite" "$arch"
	tmp=$(mktemp -d "$CACHE/deb.XXXXXX")
	(cd "$tmp" && apt-get "${APT_PRIVATE[@]}" download "$package") &&
		mkdir -p "$dest" && dpkg-deb -x "$tmp"/*.deb "$dest" || rc=$?
	rm -rf "$tmp"
	return $rc
}

# git_here ...: git in this clone, whoever owns its files.
git_here() { git -c safe.directory='*' -C "$TOP" "$@"; }

# The prepared tree of this clone; two clones never share one.
tree_path() {
	printf '%s/tree/%s-%s\n' "$CACHE" "$(basename "$TOP")" \
		"$(printf %s "$TOP" | sha256sum | cut -c1-8)"
}

# arch_setup ARCH [debug | coverage]: what differs between the two architectures, as variables.
arch_setup() {
	local native
	native=$(dpkg --print-architecture)
	ARCH=$1
	FLAVOUR=$ARCH${2:+-$2}
	case $ARCH in
	arm64)	DEB_ARCH=arm64
		TRIPLET=aarch64-linux-gnu
		KERNEL_TARGET=Image
		KERNEL_IMAGE=arch/arm64/boot/Image
		QEMU=qemu-system-aarch64 ;;
	x86)	DEB_ARCH=amd64
		TRIPLET=x86_64-linux-gnu
		KERNEL_TARGET=bzImage
		KERNEL_IMAGE=arch/x86/boot/bzImage
		QEMU=qemu-system-x86_64 ;;
	*)	die "ARCH=$ARCH is not one of: arm64 x86" ;;
	esac
	CROSS=
	[ "$native" = "$DEB_ARCH" ] || CROSS=$TRIPLET-
	SYSROOT=$CACHE/sysroot-$DEB_ARCH
	BUILD=$(tree_path)/out-$FLAVOUR
	KHDR=$(tree_path)/out-$ARCH/usr/include
}

# on_switch VALUE: true for DEBUG=1, ICOUNT=1 and the like.
on_switch() { case ${1:-} in '' | 0 | n | no) return 1 ;; esac; }

# The same compiler line everywhere, with paths relative to the tree: a second clone
# finds every object of the first in the cache.
ccache_setup() {
	export CCACHE_DIR=$CACHE/ccache CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-10G}
	CCACHE_BASEDIR=$(tree_path)
	export CCACHE_BASEDIR
	export KBUILD_BUILD_TIMESTAMP=@1700000000 KBUILD_BUILD_USER=pkvm KBUILD_BUILD_HOST=gmem
}

# own_sources ARCH: the C files that this repository adds to a kernel for ARCH.
own_sources() {
	git_here ls-files -co --exclude-standard -- "arch/$1/*.c" 'drivers/*.c' 'virt/*.c' |
		while IFS= read -r f; do [ ! -e "$TOP/$f" ] || printf '%s\n' "$f"; done
}

# The commit that a result is of, taken when the run begins; "+" is for what is not committed.
commit_here() {
	local dirty=
	[ -z "$(git_here status --porcelain --untracked-files=normal 2>/dev/null)" ] || dirty=+
	printf '%s%s\n' "$(git_here rev-parse --short=8 HEAD 2>/dev/null || echo unknown)" "$dirty"
}

# keep NAME COMMIT COMMAND TITLE: a result, from standard input, into out/result/NAME.txt, where
# scripts/evidence finds it.
keep() {
	mkdir -p "$OUT/result"
	{
		printf 'title: %s\ncommand: %s\ncommit: %s\ndate: %s\n\n' "$4" "$3" "$2" "$(date -u +%F)"
		cat
	} >"$OUT/result/$1.txt"
}

# The patches, in order.
series() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$TOP/patches/series" 2>/dev/null || true; }

# The files that the patch on stdin touches.
touched() { sed -n 's/^+++ [^/]*\/\([^\t]*\).*/\1/p'; }
