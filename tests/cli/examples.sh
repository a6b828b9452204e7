#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The command lines in the documents and the man pages: none names a verb, an option or a key that is not
# there. `run` is kept from starting anything by --dry-run. What a host lacks (/dev/kvm, a tap, a VM of that
# name) is no fault of a document's; a mistake on the command line is, and has status 2.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

for f in vmlinuz bzImage initrd initrd.img initramfs.cpio.gz test.cpio test.elf disk.img disk.qcow2 \
	top.qcow2 install.iso root.qcow2; do
	: >$f
done

# commands FILE: its command lines, without comments and where the output goes
commands() {
	case $1 in
	*.1) sed -n -e 's/^\$ \(lkvm \)/\1/p' -e 's/^\.Dl \(lkvm \)/\1/p' "$1" | sed 's/\\-/-/g' ;;
	*) sed -n 's/^    \(lkvm \)/\1/p' "$1" ;;
	esac | sed -e 's/ *[#|].*//' -e 's/ *[0-9]*<*>.*//'
}

for file in README.md docs/devices.md docs/lkvm.1 docs/lkvm-run.1 docs/lkvm-devices.1; do
	commands "$top/$file" >lines
	while read -r words; do
		case $words in
		*--dry-run*) ;;
		"lkvm run "*) words="$words --dry-run" ;;
		esac
		eval "$words"
		ok "$file: ${words#lkvm }" [ "$status" -lt 2 ]
	done <lines
done
ok "they are found" [ "$points" -ge 30 ]
finish
