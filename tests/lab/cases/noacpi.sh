# SPDX-License-Identifier: MIT
# A guest without ACPI finds its CPUs and interrupts in the MP table; reset
# lab: arch=x86-64
# The cloud kernel knows no MP table; the generic one does.
kernel=/guest/generic
boot vm -c 2 -p "acpi=off lab=info,reboot"
up
ends 32 90
check "the guest has found the MP table" says "MPTABLE|Intel MultiProcessor Specification"
check "the guest has two CPUs" [ "$(info nproc)" = 2 ]
check "the serial port's interrupts come through the IOAPIC" \
	awk '/^LAB-IRQ.*IO-APIC.*ttyS0/ && $3 + $4 > 0 { n++ } END { exit !n }' "$vm.out"
