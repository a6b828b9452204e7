# SPDX-License-Identifier: MIT
# PCI behind Freescale's host: the bus as the kernel finds it, interrupts by message and by pin
# lab: arch=ppc-e500 bound=400
no_pci_fault() {
	! grep -aE '^\[.*(pci|PCI)' "$vm.out" |
		grep -E "can't|cannot|conflict|fail|invalid|no space|bogus|disabling|ignor|[Ww]arn|ERROR"
}

# boot_pci NAME PARAMETERS OPTIONS...: with the test device and a random number generator on the bus
boot_pci() {
	local name=$1 params=$2
	shift 2
	boot "$name" --testdev --rng --virtio-transport=pci "$@" -p "lab=rng,pci,poweroff $params"
	up
	ends 0 90
	check "$vm: the guest's log is without a complaint about the machine" clean_log
	check "$vm: and without one about PCI" no_pci_fault
	check "$vm: the bridge is there" says '^LAB-PCI .*:00:00\.0 id=0x1957:0x0032 '
	check "$vm: the test device is there" says '^LAB-PCI .* id=0x1af4:0x10f0 '
	check "$vm: it has ports" says '^LAB-PCI +region 0x[0-9a-f]+ 0x[0-9a-f]+ 0x0*40101'
	check "$vm: the generator has its driver" says '^LAB-PCI .* id=0x1af4:0x1044 .*driver=virtio-pci'
	check "$vm: 512 bytes came from it" [ "$(info rng-bytes)" = 512 ]
}

boot_pci msi ''
check "the generator has two messages" says ' id=0x1af4:0x1044 .*messages=2'
check "its interrupts come by them" irq 'fsl-msi.*virtio0-input' 1
boot_pci pin pci=nomsi
check "the generator has no messages" says ' id=0x1af4:0x1044 .*messages=0'
check "its interrupts come by the pin" irq 'OpenPIC +[0-9]+ Level.*virtio0' 1
boot mmio --rng --virtio-transport=mmio -p "quiet lab=rng,pci,poweroff"
up
ends 0 90
check "on virtio-mmio the generator is not on the bus" fails says ' id=0x1af4:0x1044 '
check "and has its interrupts" irq 'OpenPIC +[0-9]+ Level.*virtio0' 1
