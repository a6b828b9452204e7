# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# The lab's row for powerpc64le on a host that is itself a guest, with nested KVM: data only, read by
# tests/lab/run and, in part, by L1. For what each name means see README.md beside run.

ROWS=''
ARCH=ppc64le
PARTS=ppc64le
LSPCI_PARTS=lspci-ppc64le
USERNET_PARTS=usernet-ppc64le
HOST_LIST=lab-ppc64le
CROSS=powerpc64le-linux-gnu-
LKVM_PATH=build/powerpc/lkvm-static
# Where make puts payloads, from lkvm's folder on.
PAYLOADS=tests/guest
LKVM_MAKE='make ARCH=powerpc CROSS_COMPILE=powerpc64le-linux-gnu- DEVROOT=<parts>/dev'
LKVM_MAKE="$LKVM_MAKE all lkvm-static lab-programs"

# TCG plays the hypervisor: the guest L1 asks it by hypercalls to run guests of its own, with radix page
# tables. What TCG cannot do of the processor is said to be broken, or it would not start.
QEMU='qemu-system-ppc64 -accel tcg,thread=multi -cpu POWER9 -m 2048 -nodefaults'
QEMU="$QEMU -M pseries,cap-nested-hv=on,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
L1_CPUS=1

L1_KERNEL=kernel/vmlinuz
L1_CONSOLE=hvc0
L1_REPORT_QEMU='-device pci-serial,chardev=report'
L1_REPORT=ttyS0
L1_MODULES='kvm_hv virtio_pci virtio_blk crc32c_generic ext4 tun macvtap vhost_net veth dummy'
KVM_STATS='exits mmio_exits signal_exits halt_wakeup dec_exits ext_intr_exits syscall_exits'

GUEST_FILES='
vmlinuz		kernel/vmlinuz
'
GUEST_MODULES='virtio_pci virtio-rng virtio_blk virtio_net crc32c_generic ext4'
TRANSPORTS=pci GUEST_EXT4=,crc32c_generic,ext4
GENERIC_MODULES=''
GUEST32=
BUTTON_KERNEL=
GUEST_TIMER='^LAB-IRQ *LOC:.*timer event'
PC_REGISTER=pc
HYPERVISOR_SAYS='linux,kvm'
CLOCKS=timebase
DISK_MIB=8
# What lkvm can give a guest here, the best first, and what it cannot.
IRQCHIPS='xics' NO_IRQCHIPS='xive mpic-4.2'
QUIET_EXITS=400
VERBOSE_EXITS=15000
COMPLAINTS='(XICS|xive|RTAS|rtas|OF|PCI|hvc|vio|radix|pseries).*(rror|[Ff]ail|nvalid)'
CPU_SAYS=''
CPU_FEATURES='' SVE_MAX=''
