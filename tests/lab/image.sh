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

# busybox FOLDER: the path of the one that was unpacked there
busybox() {
	local path=$parts/$1/bin/busybox
	[ -x "$path" ] || path=$parts/$1/usr/bin/busybox
	[ -x "$path" ] || die "$parts/$1: holds no busybox"
	echo "$path"
}

# guest_root DIR BUSYBOX: what every guest's initramfs has
guest_root() {
	mkdir -p "$1"/{bin,proc,sys,dev}
	cp "$2" "$1/bin/busybox"
	cp "$lab/guest-init" "$1/init"
	chmod 755 "$1/init"
}

# guest_file HOW FILE NAME: a file of the parts as NAME
guest_file() {
	case $1 in
	gzip) gzip -1 -c "$2" >"$3" ;;
	zboot) "$lab/zboot" "$2" "$3" ;;
	zimage | uimage) "$lab/$1" "$CROSS" "$2" "$3" ;;
	# What is large is a link here, and read once by cpio.
	'') ln -s "$(readlink -f "$2")" "$3" ;;
	*) die "GUEST_FILES: unknown way '$1'" ;;
	esac
}

# needs FILE FOLDER: FILE, and the names of the shared objects in FOLDER that it is linked with, at first or
# second hand; with repetitions
needs() {
	local name found
	echo "$1"
	while read -r name; do
		found=$(find "$2" -name "$name" -print -quit)
		[ -n "$found" ] || die "$1: $name is not in $2"
		needs "$found" "$2"
	done < <(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\].*/\1/p')
}

# with_lspci DIR: the initrd that adds lspci to a guest: /lspci/run, its loader, is to start it
with_lspci() {
	local path
	mkdir -p "$1/lspci"
	needs "$lspci/root/usr/bin/lspci" "$lspci/root" | sort -u | while read -r path; do
		cp -L "$path" "$1/lspci/"
	done
	(cd "$1/lspci" && mv ld*.so.* run && chmod 755 run)
	pack "$1"
}

# with_usernet DIR: in L1's DIR passt, and a lkvm that loads libslirp, with their libraries: DIR/run PROGRAM
with_usernet() {
	local program path
	mkdir -p "$1"
	for program in "$usernet/root/usr/bin/passt" "$dynamic"; do
		[ ! -x "$program" ] || needs "$program" "$usernet/root"
	done | cat - <(needs "$(find "$usernet/root" -name 'libslirp.so.0')" "$usernet/root") |
		sort -u | while read -r path; do
		cp -L "$path" "$1/"
	done
	printf '#!/bin/sh\nd=${0%%/*}\nexec $d/ld*.so.* --library-path $d $d/"$@"\n' >"$1/run"
	chmod 755 "$1"/run "$1"/ld*.so.*
}

# image DIR: make it, in DIR/initrd
image() {
	local root=$1/root guest=$1/guest name path how
	mkdir -p "$root"/{bin,lab,guest,payload,proc,sys,dev,tmp}

	# Stored, not compressed: unpacking costs a guest more than reading.
	guest_root "$guest" "$(busybox busybox)"
	[ -z "$GUEST32" ] || cp "$(busybox "$GUEST32")" "$guest/bin/busybox32"
	# shellcheck disable=SC2086	# a list of words
	modules "$guest" kernel $GUEST_MODULES
	# shellcheck disable=SC2086
	[ -z "$GENERIC_MODULES" ] || modules "$guest" generic $GENERIC_MODULES
	pack "$guest" >"$root/guest/initrd"
	if [ -n "$GUEST32" ]; then
		guest_root "$1/guest32" "$(busybox "$GUEST32")"
		pack "$1/guest32" >"$root/guest/initrd32"
	fi
	[ -z "$lspci" ] || with_lspci "$1/lspci" >"$root/guest/lspci"

	[ -z "$usernet" ] || with_usernet "$root/usernet"
	cp "$(busybox busybox)" "$root/bin/busybox"
	cp "$lab/l1-init" "$root/init"
	chmod 755 "$root/init"
	ln -s "$(readlink -f "$lkvm")" "$root/bin/lkvm"
	# shellcheck disable=SC2086
	modules "$root" kernel $L1_MODULES
	while read -r name path how; do
		[ -z "$name" ] || guest_file "$how" "$parts/$path" "$root/guest/$name"
	done <<<"$GUEST_FILES"
	# What was built on the way there stays behind.
	[ ! -d "$payloads" ] || find "$payloads" -maxdepth 1 -type f ! -name "*.elf" ! -name "*.[od]" \
		-exec cp {} "$root/payload" \;
	cp -r "$lab/cases" "$lab/lib.sh" "$root/lab"
	# Names of the row that L1 and the cases read
	for name in row keep ARCH L1_MODULES L1_REPORT IRQCHIPS NO_IRQCHIPS GUEST_TIMER BUTTON_KERNEL \
		TRANSPORTS GUEST_EXT4 SLOW DISK_MIB \
		QUIET_EXITS VERBOSE_EXITS KVM_STATS PC_REGISTER HYPERVISOR_SAYS CLOCKS COMPLAINTS CPU_SAYS \
		CPU_FEATURES SVE_MAX PAYLOAD_TYPE VIRTIO_MMIO; do
		echo "$name='${!name-}'"
	done >"$root/lab/conf"
	pack "$root" >"$1/initrd"
	rm -rf "$root" "$guest" "$1/guest32" "$1/lspci"
	# An initramfs may be several archives, one after the other.
	[ -z "$overlay" ] || (cd "$overlay" && find . | cpio -o -H newc -R 0:0 --quiet) >>"$1/initrd"
}

# images DIR: disk images for the cases, in DIR/images
images() {
	mkdir -p "$1/images"
	truncate -s 96M "$1/images/fs.raw"
	mke2fs -q -t ext4 -E root_owner=0:0 "$1/images/fs.raw"
	qemu-img convert -f raw -O qcow2 "$1/images/fs.raw" "$1/images/fs.qcow2"
	cp --sparse=always "$1/images/fs.raw" "$1/images/base.raw"
	(cd "$1/images" && qemu-img create -q -f qcow2 -F raw -b base.raw over.qcow2)
	[ -z "$root_fs" ] || cp --sparse=always "$root_fs" "$1/images/root.ext4"
	[ -z "${LAB_DISK:-}" ] || cp -a "$LAB_DISK/." "$1/images"
}

# disk FILE: the disk of an L1: those images, and room
disk() {
	rm -f "$1"
	truncate -s 3G "$1"
	mke2fs -q -t ext4 -O ^has_journal -E root_owner=0:0 -d "$work/images" "$1"
}
