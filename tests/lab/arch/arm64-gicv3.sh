# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# The lab's row for arm64 on a host whose interrupt controller is a GICv3 with an ITS (and no GICv2 inside):
# data only. For what each name means see README.md beside run.

# shellcheck source=arm64.sh
. "$lab/arch/arm64.sh"
ROWS=''
QEMU="$QEMU -M virt,virtualization=on,gic-version=3"
L1_CPUS=1
# What lkvm can give a guest here, the best first, and what it cannot.
IRQCHIPS='gicv3-its gicv3' NO_IRQCHIPS='gicv2m gicv2'
