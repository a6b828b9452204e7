# SPDX-License-Identifier: MIT
# Bare metal: every interrupt line, by edge and level, masked, by priority, to the other vCPU, by irqfd
# lab: arch=arm64 bound=400
. /lab/cases/payload.inc
# Exit codes with --testdev are those of isa-debug-exit: 0 is 1.
for chip in $IRQCHIPS; do
	guest "$chip" 1 gic-lines.img -m 64 -c 2 --irqchip="$chip" --testdev
	check "$chip: 256 interrupts" [ "$(fact gic_lines)" = 256 ]
done
guest one-vcpu 1 gic-lines.img -m 64 --testdev
