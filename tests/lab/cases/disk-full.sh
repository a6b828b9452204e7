# SPDX-License-Identifier: MIT
# The file system below a disk is full: the VM is paused, and goes on when there is room and somebody says so
# lab: arch=x86-64,arm64-gicv3 bound=500
mkdir -p small
must "there is a small file system" mount -t tmpfs -o size=12m small small
cp /disk/fs.qcow2 small/full.qcow2
boot full -d small/full.qcow2,format=qcow2,werror=stop --virtio-transport=mmio \
	-p "quiet labmod=virtio_mmio,virtio_blk lab=fill=vda"
up
check "lkvm says that there is no space" \
	within 120 grep -q 'No space left on device: the VM is paused' "$vm.err"
check "it is paused" listed "$vm .*paused"
check "the guest has heard of nothing" fails says 'I/O error|LAB-INFO vda-sum'
check "there is room" mount -o remount,size=200m small
check "it is resumed" ctl resume -n "$vm"
ends 0 120
check "what was written is what is read" [ "$(info vda-sum)" = "$(info vda-again)" ]
check "and it is there" [ -n "$(info vda-sum)" ]
check "the guest's log is without a complaint" fails says 'I/O error|EXT4-fs error'
cp small/full.qcow2 /disk/full.qcow2
umount small
