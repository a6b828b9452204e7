# SPDX-License-Identifier: MIT
# File systems below disks are full: a guest is told, or the VM is paused and goes on when there is room
# lab: arch=x86-64,arm64-gicv3 bound=500

# One disk whose VM waits, and two, of either format, whose guest is told; each with a file system of its own
for name in stop qcow2 raw; do
	mkdir -p $name
	must "there is a small file system" mount -t tmpfs -o size=12m $name $name
done
cp /disk/fs.qcow2 stop/full.qcow2
cp /disk/fs.qcow2 qcow2/told.qcow2
truncate -s 96M raw/told.raw
transport=mmio
! row_is x86-64 || transport=pci
boot full -d stop/full.qcow2,format=qcow2,werror=stop -d qcow2/told.qcow2,format=qcow2,werror=report \
	-d raw/told.raw,format=raw --virtio-transport=$transport \
	-p "quiet labmod=virtio_$transport,virtio_blk lab=spoil=vdb,spoil=vdc,fill=vda"
up
for disk in vdb vdc; do
	must "the guest writes too much to $disk" hears "LAB-INFO $disk-reads=" 120
	check "it is told that this failed" [ "$(info $disk-spoilt)" = 1 ]
	check "and reads on" [ "$(info $disk-reads)" = 65536 ]
done
for image in qcow2/told.qcow2 raw/told.raw; do
	check "lkvm says so of $image" \
		grep -q "disk $image: .*: No space left on device: the guest was told" "$vm.err"
done
check "lkvm says that there is no space for the first" \
	within 120 grep -q 'disk stop/full.qcow2: .*No space left on device: the VM is paused' "$vm.err"
check "it is paused" listed "$vm .*paused"
check "the guest has heard of nothing there" fails says 'I/O error.* vda|LAB-INFO vda-again'
for name in stop qcow2 raw; do
	check "there is room" mount -o remount,size=200m $name
done
check "it is resumed" ctl resume -n "$vm"
ends 0 120
check "what was written is what is read" [ "$(info vda-sum)" = "$(info vda-again)" ]
check "and it is there" [ -n "$(info vda-sum)" ]
check "the guest's log is without a complaint about that disk" fails says 'I/O error.* vda|EXT4-fs error'
cp stop/full.qcow2 qcow2/told.qcow2 /disk
umount stop qcow2 raw
