# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# What the lab's rows for arm64 share, and the word that stands for both of them: data only, read by
# tests/lab/run and, in part, by L1. For what each name means see README.md beside run.

ROWS='arm64-gicv3 arm64-gicv2'
ARCH=arm64
PARTS=arm64
LSPCI_PARTS=lspci-arm64
USERNET_PARTS=usernet-arm64
ROOT_ARCH=arm64
HOST_LIST=lab-arm64
LKVM_PATH=build/arm/lkvm-static
# Where make puts payloads, from lkvm's folder on.
PAYLOADS=tests/guest
# What a payload's name ends with, and where the first virtio device by MMIO is.
PAYLOAD_TYPE=img
VIRTIO_MMIO=0x41800000
LKVM_MAKE='make ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- DEVROOT=<parts>/dev all lkvm-static lab-programs'

# TCG emulates EL2, so L1 has a real KVM (without VHE: the Cortex-A72 is an Armv8.0), and 32 bits at EL0 and
# EL1, so that 32-bit guests run too.
QEMU='qemu-system-aarch64 -accel tcg,thread=multi -cpu cortex-a72 -m 1024 -nodefaults'

L1_KERNEL=kernel/vmlinuz
L1_CONSOLE=ttyAMA0
# The board has one PL011, for the console. A second serial port, on PCI, carries the results; its driver is
# built in, as KVM is.
L1_REPORT_QEMU='-device pci-serial,chardev=report'
L1_REPORT=ttyS0
# A kernel that lies at random keeps page tables of its own for user space (KPTI), at whose every switch TCG
# forgets translations: a fifth of the time of a boot. L1 is the host of what is tested, no more.
L1_PARAMS=nokaslr
L1_MODULES='virtio_pci virtio_blk tun macvtap vhost_net veth dummy loop'
# On arm64 KVM has no counter halt_exits: what a guest sleeps by is counted as WFI.
KVM_STATS='exits mmio_exit_user mmio_exit_kernel hvc_exit_stat wfi_exit_stat wfe_exit_stat signal_exits
	halt_attempted_poll halt_successful_poll halt_wakeup'

GUEST_FILES='
vmlinuz		kernel/vmlinuz
image.gz	kernel/vmlinuz	gzip
zboot.efi	kernel/vmlinuz	zboot
generic		generic/vmlinuz
zimage		armhf/vmlinuz
'
GUEST_MODULES='virtio_mmio virtio_pci virtio-rng virtio_blk virtio_net'
TRANSPORTS='pci mmio' GUEST_EXT4=
# The cloud kernel knows no GPIO keys; the generic one does. (No Debian kernel for Arm knows pvpanic.)
GENERIC_MODULES='gpio_keys evdev'
GUEST32=busybox32
BUTTON_KERNEL=generic
GUEST_TIMER='^LAB-IRQ .*arch_timer'
PC_REGISTER=pc
HYPERVISOR_SAYS='KVM: hypervisor services detected'
CLOCKS=arch_sys_counter
QUIET_EXITS=1000
VERBOSE_EXITS=25000
COMPLAINTS='(GIC|ITS|psci|arch_timer|OF|PCI|pci-host|serial|rtc|perfevents|smccc).*(rror|[Ff]ail|nvalid)'
CPU_SAYS=''
# What a guest's processor has beyond Armv8.0, in the payload features' words, and its longest vector.
CPU_FEATURES='' SVE_MAX=''
