#!/bin/sh
# SPDX-License-Identifier: MIT
# Interrupt delivery by PIC, I/O APIC and local APIC; with the whole irqchip in KVM, and split.
. "$(dirname "$0")/../lib.sh"

guest "irqchip=full" 1 irq.mb --testdev --irqchip=full
check "irqchip=auto is full" "$LKVM" run --dry-run -k "$payloads/hello.mb" --nodefaults
guest "irqchip=split" 1 irq.mb --testdev --irqchip=split -p split
guest "irqchip=split, 2 CPUs" 0 smp.mb -c 2 --irqchip=split -p "cpus=2"
head -c 4000 /dev/urandom >"$dir/random"
input=$dir/random
guest "irqchip=split, serial input by interrupts" 0 echo.mb --irqchip=split -p "n=4000 irq"
is "irqchip=split, serial input: the bytes" "$(fact cksum)" "$(cksum <"$dir/random" | cut -d' ' -f1)"
input=/dev/null
guest "irqchip=split, serial output by interrupts" 0 serial-tx.mb --irqchip=split -p ioapic
finish
