# SPDX-License-Identifier: MIT
# Bare metal: vCPUs go on and off by PSCI
# lab: arch=arm64 bound=400
. /lab/cases/payload.inc
for chip in $IRQCHIPS; do
	guest "$chip" 0 smp.img -m 64 -c 4 --irqchip="$chip"
done
guest two 0 smp.img -m 64 -c 2
