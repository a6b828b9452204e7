# SPDX-License-Identifier: MIT
# Each interrupt controller that the host offers, with two CPUs; what debug prints of it; those it lacks
# lab: arch=ppc64le bound=400
grep . /sys/devices/system/cpu/vulnerabilities/* | sed "s,^/sys/[^:]*/,LAB-VULN ," >vuln.l1
# CPU 1's interrupt controller lets all through, which it does not while the guest sees to one.
open_at_last() {
	ctl debug -n "$vm" --irqchip && grep -Eq 'server1: .*CPPR 0xff' ctl.out
}

for chip in $IRQCHIPS; do
	boot "$chip" -c 2 -m 256 --irqchip="$chip" -p "lab=info,vuln,tick"
	must "$chip: the guest is in user space" hears "LAB-TICK 3" "$BOOT"
	sed -n 's/\r$//; /^LAB-VULN/p' "$vm.out" >vuln.l2
	check "$chip: the guest has two CPUs" [ "$(info nproc)" = 2 ]
	check "$chip: the guest's log is without a complaint about the machine" clean_log
	# A host that is a guest itself tells what it was told; one on bare metal finds out for itself.
	[ "$row" != ppc64le ] ||
		check "$chip: its CPU's weaknesses are L1's, and what helps" cmp vuln.l1 vuln.l2
	diag "$(cat vuln.l2)"
	check "$chip: debug prints it" ctl debug -n "$vm" --irqchip
	case $chip in
	xive)
		check "$chip: the guest has it in its own hands" says "xive: .*spapr"
		check "$chip: its CPUs interrupt each other" irq "XIVE-IPI" 1
		check "$chip: its console is a source" grep -Eq 'source24: .*level' ctl.out
		check "$chip: CPU 1 has a queue" grep -Eq 'queue1\.6: ' ctl.out
		;;
	xics)
		check "$chip: the guest has no XIVE" fails says "xive: .*spapr"
		check "$chip: its CPUs interrupt each other" irq "XICS *2 .*IPI" 1
		check "$chip: its console is a source" grep -Eq 'source24: .*level' ctl.out
		check "$chip: CPU 1 lets interrupts through" within 30 open_at_last
		;;
	esac
	diag "$(cat ctl.out)"
	check "$chip: its power button is pressed" ctl stop -n "$vm"
	ends 0 60
done
for chip in $NO_IRQCHIPS; do
	refused "$chip" "--irqchip $chip: .*; give one of .*, or leave the option out" \
		-k "$kernel" --irqchip="$chip"
done
