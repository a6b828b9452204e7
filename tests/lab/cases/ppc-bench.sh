# SPDX-License-Identifier: MIT
# How soon a guest of 1 GiB is in user space, beside its peer, for `make bench` (tests/bench/run); no test
# lab: arch=ppc64le,ppc64le-powernv named bound=900

. /lab/cases/peer.inc
# What KVM has not in a guest is said to be broken, or QEMU would not start.
lacks=cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off,cap-large-decr=off
cp $kernel /disk/peer/vmlinux
cp $initrd /disk/peer/initrd

# centiseconds: since L1 came up
centiseconds() {
	local since
	read -r since _ </proc/uptime
	echo "${since%.*}${since#*.}"
}

# measured: what was started at $begin came up
measured() {
	up
	diag "figure $vm $(($(centiseconds) - begin))"
	vm_wait 120 || kill -KILL "$vm_pid"
}

for round in 1 2 3; do
	begin=$(centiseconds)
	vm_start "lkvm-$round" -k $kernel -i $initrd -c 1 -m 1024 -p "quiet lab=poweroff"
	measured

	begin=$(centiseconds)
	peer_start "qemu-$round" /usr/bin/qemu-system-ppc64 -accel kvm -cpu host -smp 1 -m 1024 -nodefaults \
		-M "pseries,ic-mode=${IRQCHIPS%% *},$lacks" -display none -no-reboot -serial stdio \
		-kernel /vmlinux -initrd /initrd -append "console=hvc0 quiet lab=poweroff"
	measured
done
peer_end
