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
# A second vCPU changes descriptors under the device's eyes.
for bus in mmio pci; do
	words="flip=1 slot=1"
	[ $bus = pci ] || words="flip=1 mmio=0x41800000"
	guest rng-$bus 0 virtio.img -m 64 -c 2 --rng --virtio-transport=$bus -p "$words type=4"
	guest disk-$bus 0 virtio.img -m 64 -c 2 -d disk,format=raw --virtio-transport=$bus -p "$words type=2"
	guest net-$bus 0 virtio.img -m 64 -c 2 -n "$card" --virtio-transport=$bus -p "$words type=1"
done
