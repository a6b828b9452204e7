# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# The lab's row for arm64 on a host whose interrupt controller is a GICv2: data only. For what each name means
# see README.md beside run.

# shellcheck source=arm64.sh
. "$lab/arch/arm64.sh"
ROWS=''
QEMU="$QEMU -M virt,virtualization=on,gic-version=2"
# Here vCPUs of a guest run at the same time.
L1_CPUS=2
IRQCHIPS='gicv2m gicv2' NO_IRQCHIPS='gicv3-its gicv3'
