# SPDX-License-Identifier: MIT
# Disks' ext4, raw and qcow2, on each transport: write, sync, read again, discard; resized while they run
# lab: arch=x86-64,arm64-gicv3,ppc64le,ppc-e500 bound=900

# blocks FILE: what it takes on the host, in KiB
blocks() {
	du -k "$1" | cut -f1
}

# One guest has both, and one that cannot be written. The first disk has the queues that nobody asked for.
mib=${DISK_MIB:-16}
for transport in $TRANSPORTS; do
	raw=/disk/$transport-raw.img qcow2=/disk/$transport-qcow2.img
	cp /disk/fs.raw "$raw"
	cp /disk/fs.qcow2 "$qcow2"
	boot "$transport" -c 2 --virtio-transport=$transport -d "$raw,format=raw,serial=one" \
		-d "$qcow2,format=qcow2,queues=1,serial=two" \
		-d /disk/fs.raw,format=raw,ro,queues=4,serial=three \
		-p "quiet labmod=virtio_$transport,virtio_blk$GUEST_EXT4 labfill=$mib" \
		-p "lab=disks,fill=vda,fill=vdb,grow=vda,grow=vdb,trim=vda,trim=vdb,wait,fill=vda,fill=vdb"
	up
	must "$vm: its files are written and read again" hears 'LAB-ACTION grow=vda' 240
	check "$vm: the third disk cannot be written; it has as many queues as there are vCPUs" \
		says '^LAB-DISK vdc size=196608 ro=1 serial=three queues=2'
	# The kernel's name of a disk, its image, and what it is to be
	while read -r disk image serial queues unit; do
		check "$vm: $disk is what was asked for" says \
			"^LAB-DISK $disk size=196608 ro=0 serial=$serial queues=$queues block=512 cache=writeback"
		check "$vm: it takes discards and zeroes" \
			says "^LAB-DISK $disk .* discard=10[0-9]* zeroes=10[0-9]* segments=254"
		check "$vm: and knows its blocks, and what is written and given back at once" \
			says "^LAB-DISK $disk .* physical=4096 optimal=$unit granularity=$unit"
		check "$vm: what was written is what is read" [ "$(info $disk-sum)" = "$(info $disk-again)" ]
		blocks "$image" >"$disk.full"
		check "$vm: it is in the image" [ "$(cat $disk.full)" -ge $((mib * 1024)) ]
	done <<-END
		vda $raw one 2 4096
		vdb $qcow2 two 1 65536
	END
	check "$vm: lkvm debug knows the disks" ctl debug -n "$vm"
	check "$vm: and the writes of two" [ "$(grep -Ec 'writes: +[1-9]' ctl.out)" = 2 ]
	first=$(info vda-sum) second=$(info vdb-sum)
	for disk in vda vdb; do
		number=0
		[ $disk = vda ] || number=1
		must "$vm: the guest goes on to $disk" hears "LAB-ACTION grow=$disk" 60
		check "$vm: it grows" ctl resize -n "$vm" --disk disk$number --size 128
		type_line ""
		must "$vm: the guest looks" hears "LAB-INFO $disk-size=" 60
		check "$vm: it sees it" [ "$(info $disk-size)" = 262144 ]
	done
	must "$vm: free space is discarded" hears 'LAB-INFO vdb-trimmed=yes' 60
	check "$vm: the raw image shrank" [ "$(blocks "$raw")" -lt $(($(cat vda.full) - mib * 920)) ]
	check "$vm: the qcow2 image shrank" [ "$(blocks "$qcow2")" -lt $(($(cat vdb.full) - mib * 920)) ]
	# For the host's half: files where others were
	type_line ""
	ends 0 240
	check "$vm: others are written" [ "$(info vda-sum) $(info vdb-sum)" != "$first $second" ]
	check "$vm: and read" [ "$(info vda-sum) $(info vdb-sum)" = "$(info vda-again) $(info vdb-again)" ]
	info vda-sum >"$raw.sum"
	info vdb-sum >"$qcow2.sum"
	check "$vm: the guest's log is without a complaint about the machine" clean_log
	check "$vm: lkvm complains of nothing" [ ! -s "$vm.err" ]
done
