# SPDX-License-Identifier: MIT
# Bare metal: virtio devices and a driver that gets everything wrong
# lab: arch=arm64-gicv3
. /lab/cases/arm-payload.inc
guest rng-mmio 0 virtio.img -m 64 --rng --virtio-transport=mmio -p "mmio=0x41800000 type=4"
