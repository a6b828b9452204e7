# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# The lab's row for 32-bit PowerPC, an e500v2: data only, read by tests/lab/run and, in part, by L1. For what
# each name means see README.md beside run.

ROWS=''
ARCH=ppc-e500
# A kernel and a busybox that are built here, for Debian has none; the kernel has no modules.
PARTS=ppc-e500
LSPCI_PARTS=''
USERNET_PARTS=''
HOST_LIST=lab-ppc-e500
CROSS=powerpc-linux-gnu-
LKVM_PATH=build/lab-ppc/lkvm-static
PAYLOADS=tests/guest
LKVM_MAKE='make ARCH=powerpc CROSS_COMPILE=powerpc-linux-gnu- DEVROOT=<parts of ppc>/dev O=build/lab-ppc'
LKVM_MAKE="$LKVM_MAKE lkvm-static"

# KVM needs no hypervisor mode of an e500v2: the guest's kernel runs in user mode, and each instruction that
# it may not do there is an exit.
QEMU='qemu-system-ppc -M ppce500 -cpu e500v2_v30 -m 768 -nodefaults'
# As elsewhere: one CPU is what TCG does right.
L1_CPUS=1

L1_KERNEL=kernel/vmlinux
L1_CONSOLE=ttyS0
L1_REPORT_QEMU='-serial chardev:report'
L1_REPORT=ttyS1
L1_MODULES=''
KVM_STATS='sum_exits mmio_exits signal_exits ext_intr_exits dec_exits halt_wakeup'

GUEST_FILES='
vmlinuz		kernel/vmlinux
vmlinux.gz	kernel/vmlinux	gzip
uImage		kernel/vmlinux	uimage
'
GUEST_MODULES=''
GENERIC_MODULES=''
GUEST32=''
BUTTON_KERNEL=''
TRANSPORTS='pci mmio' GUEST_EXT4=
GUEST_TIMER='^LAB-IRQ LOC:.*timer event'
IRQCHIPS='mpic-4.2 mpic-2.0' NO_IRQCHIPS='xics xive'
PC_REGISTER=pc
# It says nothing of KVM: its test of the page that it shares with KVM takes the address for no program's, and
# fails without a word.
HYPERVISOR_SAYS='Hardware name: lkvm e500'
CLOCKS=timebase
# Each of a guest's privileged instructions and TLB misses is an exit, emulated twice.
SLOW=3 DISK_MIB=2
QUIET_EXITS=2000
VERBOSE_EXITS=25000
COMPLAINTS='(MPIC|mpic|OF|PCI|serial|virtio|epapr|KVM).*(rror|[Ff]ail|nvalid)'
CPU_SAYS=''
CPU_FEATURES='' SVE_MAX=''
