#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# floors.sh NM DIR OBJECT...: are there floors? Where files call or include each other in a
# circle, none of them can be understood, tested or moved without the others. Prints a circle
# of files, or of folders, and fails. A .c file and its header are one; the OBJECTs are below
# DIR as their sources are below this folder.
set -eu
nm=$1
dir=$2
shift 2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# calls OBJECT...: "who whom", a line for each name that one has of another.
calls() {
	for o; do
		"$nm" -P "$o" | sed "s|^|${o#"$dir"/} |"
	done | awk '
		$3 == "U" { uses[$1 " " $2] }
		$3 ~ /[BDRT]/ { defines[$2] = $1 }
		END {
			for (u in uses) {
				split(u, a)
				if (a[2] in defines)
					print a[1], defines[a[2]]
			}
		}'
}

includes() {
	grep -o '^#include "[^"]*"' "$@" | sed 's|:#include "| |; s|"$||'
}

# floors WHAT: tsort says which are in a circle.
floors() {
	awk '$1 != $2' | sort -u | tsort >/dev/null || { echo "floors.sh: a circle of $1" >&2; exit 1; }
}

cd "$(dirname "$0")"
{ calls "$@"; includes [!t]*/*.[ch]; } | sed 's|\.[cho]\>||g' >"$tmp/arrows"
floors files <"$tmp/arrows"
sed 's|/[^ ]*||g' "$tmp/arrows" | floors folders
