# SPDX-License-Identifier: MIT
# Bare metal: 123 vCPUs in one region of redistributors, 124 and 130 in two; each takes SGIs
# lab: arch=arm64-gicv3 bound=900
. /lab/cases/payload.inc
for cpus in 123 124 130; do
	guest "$cpus-vcpus" 0 many.img -m 64 -c "$cpus" --irqchip=gicv3 -p "cpus=$cpus"
done
guest its 0 many.img -m 64 -c 130 --irqchip=gicv3-its -p "cpus=130"
