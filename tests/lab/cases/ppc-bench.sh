# SPDX-License-Identifier: MIT
# How soon a guest of 1 GiB is in user space, beside its peer, for `make bench` (tests/bench/run); no test
# lab: arch=ppc64le,ppc64le-powernv named bound=900

# What the bench put on the disk: a root folder with the peer in it.
[ -d /disk/peer ] || skip "no peer"
# What KVM has not in a guest is said to be broken, or QEMU would not start.
lacks=cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off,cap-large-decr=off
words="console=hvc0 quiet lab=poweroff"
for folder in dev proc sys; do
	mkdir -p /disk/peer/$folder
	mount -o bind /$folder /disk/peer/$folder
done
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

	vm=$case-qemu-$round
	rm -f "$vm.in"
	mkfifo "$vm.in"
	begin=$(centiseconds)
	chroot /disk/peer /usr/bin/qemu-system-ppc64 -accel kvm -cpu host -smp 1 -m 1024 -nodefaults \
		-M "pseries,ic-mode=${IRQCHIPS%% *},$lacks" -display none -no-reboot \
		-serial stdio -kernel /vmlinux -initrd /initrd -append "$words" <"$vm.in" \
		>"$vm.out" 2>"$vm.err" &
	vm_pid=$!
	exec 3>"$vm.in"
	measured
done
umount /disk/peer/dev /disk/peer/proc /disk/peer/sys
