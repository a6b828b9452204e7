# SPDX-License-Identifier: MIT
# Bare metal: virtio devices and a driver that gets everything wrong
# lab: arch=arm64-gicv3 bound=600
. /lab/cases/arm-payload.inc
truncate -s 1M disk
mmio=0x41800000
guest rng-mmio 0 virtio.img -m 64 --rng --virtio-transport=mmio -p "mmio=$mmio type=4"
guest disk-mmio 0 virtio.img -m 64 -d disk,format=raw --virtio-transport=mmio -p "mmio=$mmio type=2"
guest rng-pci 0 virtio.img -m 64 --rng --virtio-transport=pci -p "slot=1 type=4"
guest disk-pci 0 virtio.img -m 64 -d disk,format=raw --virtio-transport=pci -p "slot=1 type=2"
