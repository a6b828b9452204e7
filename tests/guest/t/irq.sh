#!/bin/sh
# SPDX-License-Identifier: MIT
# Interrupt delivery by PIC, I/O APIC and local APIC; with the whole irqchip in KVM, and split.
. "$(dirname "$0")/../lib.sh"

head -c 4000 /dev/urandom >"$dir/random"
for chip in split full; do
	guest "irqchip=$chip" 1 irq.mb --testdev "--irqchip=$chip"
	guest "irqchip=$chip, 2 CPUs" 1 irq.mb -c 2 --testdev "--irqchip=$chip"
	guest "irqchip=$chip, IPIs" 0 smp.mb -c 2 "--irqchip=$chip" -p "cpus=2"
	for how in pic ioapic; do
		guest "irqchip=$chip, serial output, $how" 0 serial-tx.mb "--irqchip=$chip" -p "$how"
	done
	input=$dir/random
	guest "irqchip=$chip, serial input by interrupts" 0 echo.mb "--irqchip=$chip" -p "n=4000 irq"
	input=/dev/null
	is "irqchip=$chip, serial input: the bytes" "$(fact cksum)" "$(cksum <"$dir/random" | cut -d' ' -f1)"
done
"$LKVM" run --dry-run -k "$payloads/hello.mb" --nodefaults >"$dir/dry" 2>&1
check "irqchip=auto is split" grep -q 'irqchip split' "$dir/dry"
finish
