# SPDX-License-Identifier: MIT
# More CPUs than a GICv2 has room for
# lab: arch=arm64-gicv2 bound=200
vm_start many -k "$kernel" -c 9
ends 1 30
check "lkvm says that these are too many" grep -q "9 vCPUs" "$vm.err"
diag "$(cat "$vm.err")"

boot vm -c 8 -m 256 -p "quiet lab=info,poweroff"
up
ends 0 90
check "the guest has eight CPUs" [ "$(info nproc)" = 8 ]
check "each has had timer interrupts" each_timer 8
