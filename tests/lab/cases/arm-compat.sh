# SPDX-License-Identifier: MIT
# A 32-bit program in a 64-bit guest; 'lkvm debug --irqchip' on a running guest, as text and as JSON
# lab: arch=arm64
boot vm -c 2 -m 256 -p "quiet labmod=virtio_pci,virtio-rng lab=compat,tick" --rng --virtio-transport=pci
up
must "the guest prints on and on" hears "LAB-TICK 5" 60
check "a 32-bit program runs" [ "$(info compat)" = 1 ]
check "and counts right" [ "$(info compat-sum)" = 500500 ]

check "debug --irqchip exits with 0" ctl debug -n "$vm" --irqchip
cp ctl.out irqchip.txt
keep irqchip.txt
check "it names the controller" grep -q "irqchip: ${IRQCHIPS%% *}" ctl.out
check "it decodes the serial port's interrupt" grep -q 'intid 33 enabled group . priority 0xa0 level' ctl.out
check "and the timer's, of each CPU" \
	[ "$(grep -c 'intid 27 enabled group . priority 0xa0 level' ctl.out)" = 2 ]
check "interrupts between CPUs are edges" grep -q 'intid 0 enabled group . priority 0xa0 edge' ctl.out
# Messages of a device on PCI: LPIs where there is an ITS, else SPIs of the GICv2m frame
case ${IRQCHIPS%% *} in
*-its) message='lpi8192: intid 8192 enabled group 1 priority .* cpu 0.0.0.[01] device 00:0.\.0 event 0' ;;
*) message='intid 96 enabled group . priority 0xa0 edge' ;;
esac
check "it decodes the messages of a device on PCI" grep -q "$message" ctl.out
check "debug --irqchip --json exits with 0" ctl debug -n "$vm" --irqchip --json
cp ctl.out irqchip.json
keep irqchip.json
check "what it prints is JSON" json ctl.out
lines=$(wc -l <"$vm.out")
check "the guest lives on" within 30 more_lines "$lines"
check "stop --force exits with 0" ctl stop -n "$vm" --force
ends 35 30
