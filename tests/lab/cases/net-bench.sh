# SPDX-License-Identifier: MIT
# Figures of a network card under lkvm beside its peer's, for `make bench` (tests/bench/run); no test
# lab: arch=x86-64 named bound=1500

. /lab/cases/peer.inc
# What the bench put on the disk: the load for both ends.
cat "$initrd" /disk/netload.cpio >/disk/netload.initrd
cp $kernel /disk/peer/vmlinuz
ln -f /disk/netload.initrd /disk/peer/netload.initrd
l1=192.168.77.1
words="quiet labmod=virtio_mmio,virtio_net lab=addr=192.168.77.2/24,netload=$l1:5001"
/disk/netload 5001 &

# user_count PID: returns to user space so far
user_count() {
	vm_pid=$1
	user_exits | cut -d' ' -f1
}

# loads: one after the other; a line each: units, microseconds, exits, exits to user space
loads() {
	within 60 test -e /sys/class/net/lab0
	ip addr add $l1/24 dev lab0
	ip link set lab0 up
	up
	for load in stream-in stream-out requests; do
		must "$vm: $load begins" hears "^LOAD $load" 120
		usleep 300000
		before=$(kvm_stat exits)
		user=$(user_count "$vm_pid")
		type_line ""
		must "$vm: $load ends" hears "^LOADED $load" 120
		exits=$(($(kvm_stat exits) - before))
		user=$(($(user_count "$vm_pid") - user))
		said=$(grep -a "^LOADED $load" "$vm.out" | tr -d '\r' | cut -d' ' -f2-)
		diag "figure $vm $said $exits $user"
		type_line ""
	done
	vm_wait 60 || kill -KILL "$vm_pid"
}

for round in 1 2 3 4 5; do
	for vhost in off on; do
		vm_start "lkvm-$vhost-$round" -k $kernel -i /disk/netload.initrd -m 256 -p "$words" \
			--virtio-transport=mmio -n "mode=tap,ifname=lab0,vhost=$vhost,mac=02:00:00:00:00:01"
		loads
	done
	# shellcheck disable=SC2086	# words
	peer_start "qemu-off-$round" $microvm -kernel /vmlinuz -initrd /netload.initrd \
		-append "console=ttyS0 reboot=t $words" \
		-netdev tap,id=n,ifname=lab0,script=no,downscript=no,vhost=off \
		-device virtio-net-device,netdev=n,mac=02:00:00:00:00:01
	loads
done
peer_end
