# SPDX-License-Identifier: MIT
# Split irqchip: PIC, IOAPIC and PIT in lkvm, local APICs in the kernel; two CPUs
# lab: arch=x86-64
boot vm -c 2 --irqchip=split -p "lab=info,poweroff"
up
ends 0 90
check "the guest has two CPUs" [ "$(info nproc)" = 2 ]
check "the serial port's interrupts come through the IOAPIC" \
	awk '/^LAB-IRQ.*IO-APIC.*ttyS0/ && $3 + $4 > 0 { n++ } END { exit !n }' "$vm.out"
check "the guest's log is without a complaint about the machine" clean_log
