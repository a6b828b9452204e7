# SPDX-License-Identifier: MIT
# PCI: the bus as a stock kernel enumerates it, and what lspci -vv shows; interrupts by message and pin
# lab: bound=400 arch=x86-64,arm64,ppc64le
[ -e /guest/lspci ] || skip "lspci is not to be had"

# device ID: what lspci said of it, in device.txt
device() {
	tr -d '\r' <"$vm.out" | grep -a '^LAB-PCI' |
		awk -v id="$1" '/^LAB-PCI [0-9a-f]+:/ { on = index($0, id) } on' >device.txt
	[ -s device.txt ]
}

# has TEXT REGEX: a check of the device at hand
has() {
	check "$vm: $1" grep -Eq "$2" device.txt || diag "$(cat device.txt)"
}

# boot_pci NAME PARAMETERS OPTIONS...: with the test device and a random number generator on the bus
boot_pci() {
	local name=$1 params=$2
	shift 2
	boot "$name" -i /guest/lspci --testdev --rng --virtio-transport=pci "$@" \
		-p "labmod=virtio_pci,virtio-rng lab=rng,pci,poweroff $params"
	up
	# With --testdev the exit status is as isa-debug-exit has it, but a power-off is none.
	ends 0 90
	check "$vm: the guest's log is without a complaint about the machine" clean_log
	check "$vm: and without one about PCI" no_pci_fault
	check "$vm: lspci finds nothing wrong" sane
	must "$vm: the generator is there" device 1af4:1044
	has "its driver has it" 'Kernel driver in use: virtio-pci'
	has "it is a master" 'Control: .*Mem\+ BusMaster\+'
	check "$vm: 512 bytes came from it" [ "$(info rng-bytes)" = 512 ]
}

no_pci_fault() {
	! grep -aE '^\[.*(pci|PCI)' "$vm.out" |
		grep -E "can't|cannot|conflict|fail|invalid|no space|exceeds|bogus|disabling|ignor|[Ww]arn"
}

# It does not know the last of virtio's capabilities, and says so.
sane() {
	! grep -av 'VirtIO: <unknown>' "$vm.out" |
		grep -E '^LAB-PCI .*(!!!|ignored|unassigned|denied|[Cc]annot|[Uu]nknown|rev ff|[Ee]rror:)'
}

# messages: the lines of /proc/interrupts for the generator's messages
messages() {
	says '^LAB-IRQ .*MSI.* virtio0'
}

boot_pci msi ''
must "the bridge is there" device 1b36:0008
has "as function 00:00.0, a host bridge" '^LAB-PCI 00:00.0 0600: '
must "the test device is there" device 1af4:10f0
has "its 32-bit BAR" 'Region 0: Memory at [0-9a-f]+ \(32-bit, non-prefetchable\).*size=4K'
has "its ports" 'Region 1: I/O ports at [0-9a-f]+ .*size=16'
has "its 64-bit BAR" 'Region 2: Memory at [0-9a-f]+ \(64-bit, prefetchable\).*size=64K'
has "its pin" 'Interrupt: pin A'
has "MSI, with masks" 'MSI: Enable- Count=1/4 Maskable\+ 64bit\+'
has "MSI-X" 'MSI-X: Enable- Count=4 Masked-'
has "MSI-X's table" 'Vector table: BAR=4 offset=00000000'
has "MSI-X's pending bits" 'PBA: BAR=4 offset=00000800'
device 1af4:1044
has "the generator has switched MSI-X on" 'MSI-X: Enable\+'
check "and has its interrupts by messages" messages

boot_pci pin pci=nomsi
has "the generator has MSI-X off" 'MSI-X: Enable-'
check "and has its interrupts by the pin" \
	says '^LAB-IRQ +[0-9]+: +[1-9][0-9]* .*(IO-APIC|GIC|XICS|XIVE).*virtio0'
