# SPDX-License-Identifier: MIT
# What a host cannot run: guests with hash tables, and, without KVM's module for guests of this kind, any
# lab: arch=ppc64le bound=60
# without: each verb that asks KVM says what is missing, and what to do
without() {
	check "$1: lkvm says what is missing" grep -q "load the module kvm-hv (modprobe kvm-hv)" "$2"
	check "$1: and where else to look" grep -q "cap-nested-hv=on of QEMU" "$2"
	check "$1: in one line" [ "$(wc -l <"$2")" = 1 ]
	diag "$(cat "$2")"
}

must "kvm-hv can be unloaded" rmmod kvm_hv
vm_start none -k "$kernel"
ends 1 30
lkvm devices >devices.out 2>devices.err
devices=$?
must "kvm-hv can be loaded again" modprobe kvm_hv
without run "$vm.err"
check "devices: exit status is 1" [ "$devices" = 1 ]
without devices devices.err

row_is ppc64le-hash ||
	refused vm "--mmu hash: this host's KVM cannot run such guests; leave the option out" \
		-k "$kernel" --mmu hash
