# SPDX-License-Identifier: MIT
# Each version of the MPIC, with two CPUs; what debug prints of it; irqchips of the other machine
# lab: arch=ppc-e500 bound=600
for chip in $IRQCHIPS; do
	boot "$chip" -c 2 -m 256 --rng --irqchip="$chip" -p "lab=info,rng,tick"
	must "$chip: the guest is in user space" hears LAB-USERSPACE "$BOOT"
	must "$chip: its init has done its work" hears "LAB-TICK 3" 120
	check "$chip: the guest has two CPUs" [ "$(info nproc)" = 2 ]
	check "$chip: its CPUs interrupt each other" irq "OpenPIC .*(IPI|ipi)" 1
	check "$chip: the generator's interrupts are messages" irq "fsl-msi-.*virtio0-input" 1
	check "$chip: the guest's log is without a complaint about the machine" clean_log
	check "$chip: debug prints it" ctl debug -n "$vm" --irqchip
	check "$chip: its console is a source by level" grep -Eq 'source40: .*enabled level' ctl.out
	check "$chip: the first group of messages is one" grep -Eq 'msi0: source 224 .*enabled' ctl.out
	check "$chip: what nobody listens to is left out" fails grep -q 'source39:' ctl.out
	check "$chip: CPU 1 lets interrupts through" grep -Eq 'ctpr1: 0x0+$' ctl.out
	diag "$(cat ctl.out)"
	kill -TERM "$vm_pid"
	ends 143 30
done
for chip in $NO_IRQCHIPS; do
	refused "$chip" "--irqchip $chip: .*; give one of .*, or leave the option out" \
		-k "$kernel" --irqchip="$chip"
done
