#!/bin/sh
# SPDX-License-Identifier: MIT
# PCI functions from inside the guest: BARs, the pin, MSI, MSI-X. With --testdev, 0 is exit status 1.
. "$(dirname "$0")/../lib.sh"

for chip in split full; do
	guest "irqchip=$chip" 1 pci-function.mb --testdev "--irqchip=$chip"
	check "irqchip=$chip: lkvm complains of nothing" test ! -s "$err"
done
guest "2 CPUs" 1 pci-function.mb --testdev -c 2
# In slot 2, whose INTA is another line.
guest "behind another device" 1 pci-function.mb --testdev --rng --virtio-transport=pci
finish
