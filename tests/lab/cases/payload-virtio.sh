# SPDX-License-Identifier: MIT
# Bare metal: virtio devices and a driver that gets everything wrong
# lab: arch=x86-64,arm64-gicv3 bound=600
. /lab/cases/payload.inc
netns
truncate -s 1M disk
# What the payload asks the card's other side for.
# shellcheck disable=SC2016	# the script's own words
printf '#!/bin/sh\nip addr add 10.0.2.2/24 dev $1\nip link set $1 up\n' >up.sh
chmod 755 up.sh
card=mode=tap,ifname=lab0,vhost=off,script=$PWD/up.sh

# torment TITLE TYPE OPTIONS...
torment() {
	title=$1 type=$2
	shift 2
	guest "$title" 0 "virtio.$PAYLOAD_TYPE" -m 64 -c 2 --virtio-transport="$bus" \
		-p "$where flip=1 type=$type" "$@"
	check "$title: lkvm says whose fault it was" \
		grep -Eq '(rng|disk|net)[0-9]+: .* from the guest.s driver' "$vm.err"
}

# A second vCPU changes descriptors under the device's eyes (flip).
for bus in mmio pci; do
	where=slot=1
	[ $bus = pci ] || where=mmio=$VIRTIO_MMIO
	torment rng-$bus 4 --rng
	torment disk-$bus 2 -d disk,format=raw
	torment net-$bus 1 -n "$card"
done
