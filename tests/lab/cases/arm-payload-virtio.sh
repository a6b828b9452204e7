# SPDX-License-Identifier: MIT
# Bare metal: virtio devices and a driver that gets everything wrong
# lab: arch=arm64-gicv3 bound=600
. /lab/cases/arm-payload.inc
netns
truncate -s 1M disk
# What the payload asks the card's other side for.
# shellcheck disable=SC2016	# the script's own words
printf '#!/bin/sh\nip addr add 10.0.2.2/24 dev $1\nip link set $1 up\n' >up.sh
chmod 755 up.sh
card=mode=tap,ifname=lab0,vhost=off,script=$PWD/up.sh
mmio=0x41800000
guest rng-mmio 0 virtio.img -m 64 --rng --virtio-transport=mmio -p "mmio=$mmio type=4"
guest disk-mmio 0 virtio.img -m 64 -d disk,format=raw --virtio-transport=mmio -p "mmio=$mmio type=2"
guest net-mmio 0 virtio.img -m 64 -n "$card" --virtio-transport=mmio -p "mmio=$mmio type=1"
guest rng-pci 0 virtio.img -m 64 --rng --virtio-transport=pci -p "slot=1 type=4"
guest disk-pci 0 virtio.img -m 64 -d disk,format=raw --virtio-transport=pci -p "slot=1 type=2"
guest net-pci 0 virtio.img -m 64 -n "$card" --virtio-transport=pci -p "slot=1 type=1"
