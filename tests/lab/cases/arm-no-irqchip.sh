# SPDX-License-Identifier: MIT
# Interrupt controllers that the host does not offer: a clear error, status 1
# lab: arch=arm64 bound=60
for chip in $NO_IRQCHIPS; do
	vm_start "$chip" -k "$kernel" --irqchip="$chip"
	ends 1 30
	says="--irqchip $chip: this host.*; give one of ${IRQCHIPS% *}, ${IRQCHIPS#* }, or leave"
	check "$chip: lkvm says that the host has no such thing, and what it has" grep -q -- "$says" "$vm.err"
	check "$chip: in one line" [ "$(wc -l <"$vm.err")" = 1 ]
	diag "$(cat "$vm.err")"
done
vm_start unknown -k "$kernel" --irqchip=gicv9
ends 1 30
check "an unknown one is named in the error, and those that are known" \
	grep -q -- "--irqchip gicv9: .*; give one of gicv3-its, gicv3, gicv2m, gicv2, or leave" "$vm.err"
check "in one line" [ "$(wc -l <"$vm.err")" = 1 ]
