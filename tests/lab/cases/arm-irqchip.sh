# SPDX-License-Identifier: MIT
# Each interrupt controller that the host offers, by name, with one CPU and four, quiet and verbose; reset
# lab: arch=arm64 bound=500

# reset CHIP CPUS PARAMETER: which may be quiet
reset() {
	local chip=$1 cpus=$2
	boot "$chip-$2" -c "$cpus" -m 256 --irqchip="$chip" -p "$3 lab=info,wait,reboot"
	must "$chip: the guest reaches user space" hears LAB-USERSPACE "$BOOT"
	if [ "$3" = quiet ]; then
		figures "$QUIET_EXITS"
	fi
	must "$chip: its init has done its work" hears "LAB-ACTION wait" 60
	type_line ""
	ends 32 90
	check "$chip: the guest has $cpus CPUs" [ "$(info nproc)" = "$cpus" ]
	check "$chip: each has had timer interrupts" each_timer "$cpus"
	check "$chip: the guest's log is without a complaint about the machine" clean_log
	check "$chip: the serial port has interrupts" irq "ttyS0|serial" 1
	case $chip in
	gicv3*) check "$chip: the guest has a GICv3" irq "GICv3.*arch_timer" 10 ;;
	gicv2*) check "$chip: the guest has a GICv2" irq "(GICv2|GIC-0).*arch_timer" 10 ;;
	esac
}

# The default has a boot with one CPU, quiet and verbose, and one with four in other cases.
for chip in $IRQCHIPS; do
	if [ "$chip" = "${IRQCHIPS%% *}" ]; then
		reset "$chip" 4 quiet
		continue
	fi
	reset "$chip" 1 quiet
	reset "$chip" 4 earlycon=uart,mmio,0x1000000
	check "$chip: the early console is where it is looked for" says "earlycon: uart.* at MMIO 0x0*1000000"
	check "$chip: and in use" says "bootconsole \[uart.*\] enabled"
	check "$chip: with neither ITS nor GICv2m" fails says "ITS.*mem 0x|GICv2m: range"
done
