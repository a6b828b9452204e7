# SPDX-License-Identifier: MIT
# Each interrupt controller that the host offers, by name, with two CPUs; reset
# lab: arch=arm64 bound=500
for chip in $IRQCHIPS; do
	boot "$chip" -c 2 -m 256 --irqchip="$chip" -p "lab=info,reboot"
	must "$chip: the guest reaches user space" hears LAB-USERSPACE "$BOOT"
	ends 32 90
	check "$chip: the guest has two CPUs" [ "$(info nproc)" = 2 ]
	check "$chip: the guest's log is without a complaint about the machine" clean_log
	check "$chip: the serial port has interrupts" irq "ttyS0|serial" 1
	case $chip in
	gicv3*) check "$chip: the guest has a GICv3" irq "GICv3.*arch_timer" 10 ;;
	gicv2*) check "$chip: the guest has a GICv2" irq "(GICv2|GIC-0).*arch_timer" 10 ;;
	esac
	case $chip in
	gicv3-its) check "$chip: with an ITS" says "ITS.*mem 0x" ;;
	gicv2m) check "$chip: with a GICv2m" says "GICv2m: range.*mem 0x" ;;
	*) check "$chip: with neither ITS nor GICv2m" fails says "ITS.*mem 0x|GICv2m: range" ;;
	esac
done
