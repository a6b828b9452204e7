# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# The lab's row for x86-64: data only, read by tests/lab/run and, in part, by L1. For what each name
# means see README.md beside run.

ARCH=x86-64
PARTS=x86-64
LSPCI_PARTS=lspci-x86-64
USERNET_PARTS=usernet-x86-64
ROOT_ARCH=amd64
HOST_LIST=lab-x86-64
LKVM_PATH=lkvm-static
# Where make puts payloads, from lkvm's folder on.
PAYLOADS=build/x86/tests/guest
# What a payload's name ends with, and where the first virtio device by MMIO is.
PAYLOAD_TYPE=mb
VIRTIO_MMIO=0xc0800000
LKVM_MAKE='make all lkvm-static lab-programs'

# TCG emulates AMD SVM with nested paging, so L1 has a real kvm-amd. Guests of more memory than L1
# work because no one touches it (L1 runs with vm.overcommit_memory=1). Without XSAVE: TCG lets a
# guest's XSETBV pass unseen by KVM, whose CPUID then contradicts the guest.
QEMU='qemu-system-x86_64 -accel tcg,thread=multi -cpu EPYC,+svm,+npt,-xsave -m 2048 -nodefaults'

# More than one is beyond TCG here (README.md).
L1_CPUS=1
L1_KERNEL=kernel/vmlinuz
L1_CONSOLE=ttyS0
# The second serial port carries the results, apart from the console's noise.
L1_REPORT_QEMU='-serial chardev:report'
L1_REPORT=ttyS1
L1_MODULES='kvm-amd virtio_pci virtio_blk tun macvtap vhost_net veth dummy loop'
KVM_STATS='exits io_exits mmio_exits halt_exits irq_injections'

IRQCHIPS='split full'
NO_IRQCHIPS=''
# Files of the parts that L1 carries for the cases: name in L1's /guest, then name in the set.
GUEST_FILES='
vmlinuz		kernel/vmlinuz
vmlinux		kernel/vmlinux
generic		generic/vmlinux
'
# What the guest's initramfs carries; modules with all they depend on.
GUEST_MODULES='pvpanic-mmio button evdev virtio_mmio virtio_pci virtio-rng virtio_blk virtio_net'
TRANSPORTS='pci mmio' GUEST_EXT4=
GENERIC_MODULES=''
GUEST32=''
BUTTON_KERNEL=vmlinuz
# The line of /proc/interrupts that counts each CPU's timer.
GUEST_TIMER='^LAB-IRQ +LOC:'
PC_REGISTER=rip
HYPERVISOR_SAYS='Hypervisor detected: KVM'
CLOCKS='kvm-clock tsc'
QUIET_EXITS=8000
VERBOSE_EXITS=40000
COMPLAINTS='ACPI.*(Error|Warning|BUG|Exception)|TSC.*(unstable|unreliable)|unreliable|MP-BIOS'
COMPLAINTS=$COMPLAINTS'|APIC.*(rror|failed)|(tsc|TSC): .*(fail|Fail)|_OSC failed'
CPU_SAYS='Speculative Return Stack Overflow'
