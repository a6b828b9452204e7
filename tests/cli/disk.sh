#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Disks that cannot be: each is refused before the VM starts, by one line that names the image.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# What is wrong with the words themselves needs no KVM.
refused 2 '--disk: begins with no FILE: give one' run -k x -d ''
refused 2 '--disk: no such key "fromat": did you mean format?' run -k x -d a,fromat=raw
refused 2 '--disk: format=vmdk: give auto, raw or qcow2' run -k x -d a,format=vmdk
refused 2 '--disk: queues=17: out of range: give 1 to 16' run -k x -d a,queues=17
refused 2 '--disk: serial=123456789012345678901: longer than 20 bytes' \
	run -k x -d a,serial=123456789012345678901
refused 2 '--disk: ro is given twice: leave one out' run -k x -d a,ro,ro

[ -w /dev/kvm ] || {
	skip "images that are refused" "no /dev/kvm"
	finish
}
command -v qemu-img >/dev/null || {
	skip "images that are refused" "no qemu-img to make them with"
	finish
}

mkdir dir sub
truncate -s 1M raw.img
refused 1 'disk none.img: No such file or directory' run -k x -d none.img
refused 1 'disk dir: is a directory: give an image file or a block device' run -k x -d dir
refused 1 'disk raw.img: is no qcow2 image' run -k x -d raw.img,format=qcow2

image() { qemu-img create -q -f qcow2 "$@" >/dev/null; }

# locked by somebody else, and a program of another kind at that
if command -v qemu-io >/dev/null; then
	qemu-io -f raw -c 'sleep 60000' raw.img >/dev/null 2>&1 &
	vm_pid=$!
	n=0
	until [ $n = 500 ] || grep -q "^[0-9]*: OFDLCK .*:$(stat -c %i raw.img) " /proc/locks; do
		n=$((n + 1))
		sleep 0.02
	done
	refused 1 'disk raw.img: in use: another VM or program has it open: end that one first' \
		run -k x -d raw.img,format=raw
	kill $vm_pid
	vm_pid=
fi

# shorter than its metadata says
image short.qcow2 1M
truncate -s 128K short.qcow2
refused 1 'disk short.qcow2: is shorter than its metadata says' run -k x -d short.qcow2,format=qcow2

# a loop
image a.qcow2 1M
image -F qcow2 -b a.qcow2 b.qcow2
qemu-img rebase -u -F qcow2 -b b.qcow2 a.qcow2
refused 1 'the chain is a loop' run -k x -d a.qcow2,format=qcow2

# out of its directory
image -F raw -b ../raw.img sub/top.qcow2
refused 1 \
	'disk sub/top.qcow2: its backing file sub/../raw.img is outside of its directory: give backing=any' \
	run -k x -d sub/top.qcow2,format=qcow2

# a feature of another day
image later.qcow2 1M
printf '\200' | dd of=later.qcow2 bs=1 seek=72 conv=notrunc 2>/dev/null
refused 1 'disk later.qcow2: needs features that this lkvm does not know (incompatible bits 0x8000000000' \
	run -k x -d later.qcow2,format=qcow2

# which of them it is, when nobody said
image some.qcow2 1M
lkvm run -k x -d some.qcow2
ok "the format that was told by the magic is said" \
	grep -q '^lkvm: disk some.qcow2: no format was given: taking it for qcow2$' "$err"

finish
