# SPDX-License-Identifier: MIT
# A block device of the host as a disk: size, discards, locks; one that is mounted, or too small a right
# lab: arch=x86-64,arm64-gicv3
# A file as the device: its blocks show what was discarded.
cp /disk/fs.raw /disk/device.raw
device=$(losetup -f)
must "there is a block device" losetup "$device" /disk/device.raw
transport=pci
! row_is x86-64 || transport=mmio
boot device -d "$device,format=raw,serial=dev" --virtio-transport=$transport \
	-p "quiet labmod=virtio_$transport,virtio_blk lab=disks,fill=vda,trim=vda,wait"
up
must "the guest writes and discards" hears 'LAB-INFO vda-trimmed=yes' 120
check "the disk is the device" says "^LAB-DISK vda size=$(blockdev --getsz "$device") ro=0 serial=dev"
check "what was written is what is read" [ "$(info vda-sum)" = "$(info vda-again)" ]
# The guest's discards reached the device, which gave its file's blocks back.
check "what was discarded is gone" [ "$(du -k /disk/device.raw | cut -f1)" -lt 16384 ]
taken() {
	fails lkvm run --name second -k $kernel -d "$1,format=raw" 2>second.err
	grep -q "disk $1: in use" second.err
}
check "no second VM has it" taken "$device"
check "nor is one to be had that is mounted" taken "$(mount | sed -n 's, on /disk .*,,p')"
type_line ""
ends 0 60
must "the device is free again" losetup -d "$device"
