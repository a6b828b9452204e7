# SPDX-License-Identifier: MIT
# Disks' ext4, raw and qcow2, on each transport: write, sync, read again, discard; resized while it runs
# lab: arch=x86-64,arm64-gicv3,ppc64le,ppc-e500 bound=900

# blocks FILE: what it takes on the host, in KiB
blocks() {
	du -k "$1" | cut -f1
}

mib=${DISK_MIB:-32}
for transport in $TRANSPORTS; do
	for format in raw qcow2; do
		image=/disk/$transport-$format.img
		cp "/disk/fs.$format" "$image"
		boot "$transport-$format" -c 2 -d "$image,format=$format,serial=one" \
			--virtio-transport=$transport \
			-p "quiet labmod=virtio_$transport,virtio_blk$GUEST_EXT4" \
			-p "labfill=$mib lab=disks,fill=vda,grow=vda,trim=vda"
		up
		must "$vm: its file is written and read again" hears 'LAB-ACTION grow' 120
		check "$vm: the disk is what was asked for" \
			says '^LAB-DISK vda size=196608 ro=0 serial=one queues=2 block=512 cache=writeback'
		check "$vm: it takes discards and zeroes" \
			says '^LAB-DISK vda .* discard=10[0-9]* zeroes=10[0-9]* segments=254'
		unit=4096
		[ $format = raw ] || unit=65536
		check "$vm: and knows its blocks, and what is written and given back at once" \
			says "^LAB-DISK vda .* physical=4096 optimal=$unit granularity=$unit"
		sum=$(info vda-sum)
		check "$vm: what was written is what is read" [ "$sum" = "$(info vda-again)" ]
		full=$(blocks "$image")
		check "$vm: it is in the image" [ "$full" -ge $((mib * 1024)) ]
		check "$vm: lkvm debug knows the disk" ctl debug -n "$vm"
		check "$vm: and its writes" grep -Eq 'writes: +[1-9]' ctl.out
		check "$vm: it grows" ctl resize -n "$vm" --size 128
		type_line ""
		must "$vm: the guest goes on" hears 'LAB-INFO vda-size=' 60
		check "$vm: the guest sees it" [ "$(info vda-size)" = 262144 ]
		must "$vm: free space is discarded" hears 'LAB-INFO vda-trimmed=yes' 60
		ends 0 60
		check "$vm: the image shrank" [ "$(blocks "$image")" -lt $((full - mib * 920)) ]
		check "$vm: the guest's log is without a complaint about the machine" clean_log
		check "$vm: lkvm complains of nothing" [ ! -s "$vm.err" ]
		cp "/disk/fs.$format" "$image"
	done
	# For the host's half: a guest that only writes, to both, beside one that cannot be written
	raw=/disk/$transport-raw.img qcow2=/disk/$transport-qcow2.img
	boot "$transport-three" -c 2 --virtio-transport=$transport -d "$raw,format=raw,queues=4,serial=A" \
		-d "$qcow2,format=qcow2,queues=1,serial=B" -d /disk/fs.raw,format=raw,ro,serial=C \
		-p "quiet labmod=virtio_$transport,virtio_blk$GUEST_EXT4 labfill=$mib" \
		-p lab=disks,fill=vda,fill=vdb
	up
	ends 0 120
	check "$vm: the first has as many queues as there are vCPUs" \
		says '^LAB-DISK vda .* ro=0 serial=A queues=2'
	check "$vm: the second has one" says '^LAB-DISK vdb .* ro=0 serial=B queues=1'
	check "$vm: the third cannot be written" says '^LAB-DISK vdc .* ro=1 serial=C'
	info vda-sum >"$raw.sum"
	info vdb-sum >"$qcow2.sum"
done
