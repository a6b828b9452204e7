#!/bin/sh
# SPDX-License-Identifier: MIT
# Virtio devices and a driver that gets everything wrong that can be got wrong.
. "$(dirname "$0")/../lib.sh"

# The guest's complaints make warnings, rate-limited, and nothing else.
# torment TITLE OPTION... -- WORD...
torment() {
	title=$1
	shift
	guest "$title" 0 virtio.mb -c 2 "$@"
	check "$title: lkvm says whose fault it was" \
		err_has '(rng|disk|net)[0-9]+: .* from the guest.s driver'
}

torment "rng by MMIO" --rng --virtio-transport=mmio -p "mmio=0xc0800000 flip=1 type=4"

torment "rng by PCI" --rng --virtio-transport=pci -p "slot=1 flip=1 type=4"

truncate -s 1M "$dir/disk"
torment "disk by MMIO" -d "$dir/disk,format=raw" --virtio-transport=mmio -p "mmio=0xc0800000 flip=1 type=2"
torment "disk by PCI" -d "$dir/disk,format=raw" --virtio-transport=pci -p "slot=1 flip=1 type=2"

torment "network by MMIO" -n mode=user,restrict --virtio-transport=mmio -p "mmio=0xc0800000 flip=1 type=1"
torment "network by PCI" -n mode=user,restrict --virtio-transport=pci -p "slot=1 flip=1 type=1"
finish
