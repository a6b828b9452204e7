# SPDX-License-Identifier: MIT
# Interrupt controllers that the host does not offer: a clear error, status 1
# lab: arch=arm64 bound=60
for chip in $NO_IRQCHIPS; do
	refused "$chip" \
		"--irqchip $chip: this host.*; give one of ${IRQCHIPS% *}, ${IRQCHIPS#* }, or leave the option out" \
		-k "$kernel" --irqchip="$chip"
done
refused unknown "--irqchip gicv9: .*; give one of gicv3-its, gicv3, gicv2m, gicv2, or leave the option out" \
	-k "$kernel" --irqchip=gicv9
