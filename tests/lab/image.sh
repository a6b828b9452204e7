# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154	# names of run and of the row
#
# Making of the initramfs that L1 boots from; part of run, which sources it after the row of the
# architecture. Uses its $lab, $lkvm, $parts, $keep, $overlay and the row's names.

# modules DIR KERNEL MODULE...: put these modules of the set's KERNEL, and what they need, into DIR,
# with a modules.dep of their own (the whole one takes a slow guest seconds to read)
modules() {
	local from=$parts/$2/modules to name path
	to=$1/lib/modules/$(cat "$parts/$2/version")
	shift 2
	mkdir -p "$to"
	for name; do
		# "a/name.ko: b/need.ko ..."; - and _ are one. Built in is as good.
		path=$(awk -F: -v n="$name" 'BEGIN { gsub(/_/, "-", n) }
			{ m = $1; sub(/.*\//, "", m); sub(/\.ko.*/, "", m); gsub(/_/, "-", m) }
			m == n { print; exit }' "$from/modules.dep" "$from/modules.builtin")
		[ -n "$path" ] || die "$name: no such module in $from"
		case $path in
		*:*) tr -d : <<<"$path" | tr ' ' '\n' ;;
		esac
	done | sort -u | sed '/^$/d' | while read -r path; do
		mkdir -p "$to/$(dirname "$path")"
		cp "$from/$path" "$to/$path"
		grep "^$path:" "$from/modules.dep" >>"$to/modules.dep"
	done
}

# pack DIR: DIR as an initramfs; symbolic links become what they point to
pack() {
	(cd "$1" && find . | LC_ALL=C sort | cpio -o -L -H newc -R 0:0 --quiet)
}

# image DIR: make it, in DIR/initrd
image() {
	local root=$1/root guest=$1/guest name path
	local busybox=$parts/busybox/bin/busybox
	[ -x "$busybox" ] || busybox=$parts/busybox/usr/bin/busybox
	[ -x "$busybox" ] || die "$parts: holds no busybox"
	mkdir -p "$root"/{bin,lab,guest,proc,sys,dev,tmp} "$guest"/{bin,proc,sys,dev}

	# Stored, not compressed: unpacking costs a guest more than reading.
	cp "$busybox" "$guest/bin/busybox"
	cp "$lab/guest-init" "$guest/init"
	chmod 755 "$guest/init"
	# shellcheck disable=SC2086	# a list of words
	modules "$guest" kernel $GUEST_MODULES
	pack "$guest" >"$root/guest/initrd"

	# What is large is a link here, and read once by cpio.
	cp "$busybox" "$root/bin/busybox"
	cp "$lab/l1-init" "$root/init"
	chmod 755 "$root/init"
	ln -s "$(readlink -f "$lkvm")" "$root/bin/lkvm"
	# shellcheck disable=SC2086
	modules "$root" kernel $L1_MODULES
	while read -r name path; do
		[ -z "$name" ] || ln -s "$(readlink -f "$parts/$path")" "$root/guest/$name"
	done <<<"$GUEST_FILES"
	cp -r "$lab/cases" "$lab/lib.sh" "$root/lab"
	cat >"$root/lab/conf" <<-END
		L1_MODULES='$L1_MODULES'
		L1_REPORT='$L1_REPORT'
		GUEST_TIMER='$GUEST_TIMER'
		KEEP='$keep'
	END
	pack "$root" >"$1/initrd"
	rm -rf "$root" "$guest"
	# An initramfs may be several archives, one after the other.
	[ -z "$overlay" ] || (cd "$overlay" && find . | cpio -o -H newc -R 0:0 --quiet) >>"$1/initrd"
}
