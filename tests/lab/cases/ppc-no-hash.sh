# SPDX-License-Identifier: MIT
# Hash tables on a host that cannot run such guests
# lab: arch=ppc64le bound=60
if row_is ppc64le-hash; then
	skip "this host can"
fi
vm_start vm -k "$kernel" --mmu hash
ends 1 30
check "lkvm says so" grep -q -- "--mmu hash: this host's KVM cannot run such guests" "$vm.err"
check "in one line" [ "$(wc -l <"$vm.err")" = 1 ]
