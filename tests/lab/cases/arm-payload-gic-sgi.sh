# SPDX-License-Identifier: MIT
# Bare metal: SGIs between two, four and eight vCPUs, from each to each and to all others
# lab: arch=arm64 bound=400
. /lab/cases/payload.inc
for chip in $IRQCHIPS; do
	guest "$chip" 0 gic-sgi.img -m 64 -c 4 --irqchip="$chip"
done
guest two 0 gic-sgi.img -m 64 -c 2
guest eight 0 gic-sgi.img -m 64 -c 8
