# SPDX-License-Identifier: MIT
# Figures of a disk under lkvm beside its peer's, for `make bench` (tests/bench/run); no test
# lab: arch=x86-64 named bound=1500

. /lab/cases/peer.inc
# What the bench put on the disk: the load for the guest.
cat "$initrd" /disk/load.cpio >/disk/load.initrd
dd if=/dev/zero of=/disk/load.img bs=1M count=192 2>/dev/null

# loads PID: all of them, one after the other; a line each with exits
loads() {
	for load in read-4k-1 read-4k-32 write-4k-1 write-4k-32 read-1m write-1m; do
		must "$vm: $load begins" hears "^LOAD $load" 120
		usleep 300000
		before=$(cat /sys/kernel/debug/kvm/"$1"-*/exits)
		user=$(user_count "$1")
		type_line ""
		must "$vm: $load ends" hears "^LOADED $load" 120
		exits=$(($(cat /sys/kernel/debug/kvm/"$1"-*/exits) - before))
		user=$(($(user_count "$1") - user))
		said=$(grep -a "^LOADED $load" "$vm.out" | tr -d '\r' | cut -d' ' -f2-)
		diag "figure $vm $said $exits $user"
		type_line ""
	done
}

# user_count PID: returns to user space so far
user_count() {
	vm_pid=$1
	user_exits | cut -d' ' -f1
}

# What the one wrote is not for the other to clean up.
settle() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

for cache in cached direct; do
	settle
	option=''
	qcache=writeback
	[ $cache = cached ] || option=,direct qcache=none
	vm_start "lkvm-$cache" -k $kernel -i /disk/load.initrd -m 256 -d /disk/load.img,format=raw$option \
		-p "quiet labmod=virtio_pci,virtio_mmio,virtio_blk lab=load" --virtio-transport=mmio
	up
	loads "$vm_pid"
	vm_wait 60

	settle
	cp $kernel /disk/peer/vmlinuz
	ln -f /disk/load.initrd /disk/peer/load.initrd
	ln -f /disk/load.img /disk/peer/load.img
	# shellcheck disable=SC2086	# words
	peer_start "qemu-$cache" $microvm -kernel /vmlinuz -initrd /load.initrd \
		-append "console=ttyS0 quiet reboot=t labmod=virtio_mmio,virtio_blk lab=load" \
		-drive file=/load.img,if=none,id=d,format=raw,aio=io_uring,cache=$qcache \
		-device virtio-blk-device,drive=d
	up
	loads "$vm_pid"
	vm_wait 60 || kill -KILL "$vm_pid"
done
peer_end
