# SPDX-License-Identifier: MIT
# Bare metal: virtual and physical timer of each vCPU
# lab: arch=arm64 bound=400
. /lab/cases/payload.inc
for chip in $IRQCHIPS; do
	guest "$chip" 0 gic-timer.img -m 64 -c 2 --irqchip="$chip"
done
guest one-vcpu 0 gic-timer.img -m 64
