# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# The lab's row for powerpc64le on a host that is bare metal, with a XIVE of its own: data only. For what each
# name means see README.md beside run.

# shellcheck source=ppc64le.sh
. "$lab/arch/ppc64le.sh"
# The case that wants them is kept to the other row.
USERNET_PARTS=
# QEMU brings skiboot along, the firmware. Devices each want a PCI host of their own, and none of those has
# I/O ports, which QEMU's serial ports on PCI want.
QEMU='qemu-system-ppc64 -accel tcg,thread=multi -M powernv9 -cpu POWER9 -m 2048'
L1_REPORT_QEMU='-device virtio-serial-pci,bus=pcie.1 -device virtserialport,chardev=report'
L1_REPORT=vport0p1
L1_MODULES="$L1_MODULES virtio_console"
GUEST_FILES="$GUEST_FILES
vmlinux.gz	kernel/vmlinuz	gzip
zImage		kernel/vmlinuz	zimage
"
# What lkvm can give a guest here, the best first, and what it cannot.
IRQCHIPS='xive xics' NO_IRQCHIPS='mpic-4.2'
# QEMU's POWER9 has the fault of the first ones: KVM lets no radix guest take interrupts with translation on.
CPU_SAYS='Unable to enable relocation on exceptions'
