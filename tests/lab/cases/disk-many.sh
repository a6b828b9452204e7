# SPDX-License-Identifier: MIT
# Four disks of a guest: raw, qcow2, one behind another, read-only; more queues than vCPUs, and fewer; locks
# lab: arch=x86-64,arm64-gicv3,ppc64le,-ppc64le-powernv bound=600
# On each transport in turn; the last one's guest is still there afterwards.
for transport in $TRANSPORTS; do
	cp /disk/fs.raw /disk/many-a.raw
	cp /disk/fs.qcow2 /disk/many-b.qcow2
	cp /disk/over.qcow2 /disk/many-c.qcow2
	boot "$transport" -c 2 -m 512 --virtio-transport=$transport \
		-d /disk/many-a.raw,format=raw,queues=4,serial=A \
		-d /disk/many-b.qcow2,queues=1,direct,serial=B \
		-d /disk/many-c.qcow2,format=qcow2,werror=stop,serial=C \
		-d /disk/fs.raw,format=raw,ro,serial=D \
		-p "quiet labmod=virtio_$transport,virtio_blk$GUEST_EXT4 labfill=$DISK_MIB" \
		-p "lab=disks,fill=vda,fill=vdb,fill=vdc,wait"
	up
	must "$vm: the guest writes to three" hears 'LAB-ACTION wait' 200
	check "$vm: the first has as many queues as there are vCPUs" \
		says '^LAB-DISK vda .* ro=0 serial=A queues=2'
	check "$vm: the second has one" says '^LAB-DISK vdb .* ro=0 serial=B queues=1'
	check "$vm: the third stands on a backing file" says '^LAB-DISK vdc .* ro=0 serial=C'
	check "$vm: the fourth cannot be written" says '^LAB-DISK vdd .* ro=1 serial=D'
	for disk in vda vdb vdc; do
		check "$vm: $disk has what was written" [ "$(info $disk-sum)" = "$(info $disk-again)" ]
	done
	[ $transport = "${TRANSPORTS##* }" ] || {
		check "$vm: stop ends it" ctl stop -n "$vm" --force -t 0
		ends 35 30
	}
done
check "the format that nobody gave is said" \
	grep -q 'disk /disk/many-b.qcow2: no format was given: taking it for qcow2' "$vm.err"
# Nobody else gets at an image meanwhile.
taken() {
	fails lkvm run --name second -k $kernel -d "/disk/$1" 2>second.err
	grep -q "disk /disk/$1: in use" second.err
}
for disk in many-a.raw many-b.qcow2 base.raw fs.raw; do
	check "no second VM has $disk" taken $disk
done
check "stop waits for the images" ctl stop -n "$vm" --force -t 0
check "so the next VM can have one at once" fails taken many-a.raw
vm_wait 30
