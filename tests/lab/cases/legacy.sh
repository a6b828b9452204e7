# SPDX-License-Identifier: MIT
# The split irqchip's PIC and PIT: kernels without ACPI and I/O APIC, without local APIC, without KVM's clock
# lab: arch=x86-64 bound=900

# xt_pic NAME LOW: of that line by the PIC, at least LOW interrupts
xt_pic() {
	awk -v name="$1" -v low="$2" '/^LAB-IRQ.*XT-PIC/ && $0 ~ name && $3 >= low { n++ } END { exit !n }' \
		"$vm.out"
}

# legacy NAME PARAMETERS [OPTION...]
legacy() {
	local name=$1 params=$2
	shift 2
	boot "$name" -c 1 -m 256 --irqchip=split -p "$params lab=info,poweroff" "$@"
	must "$name: the guest reaches user space" hears LAB-USERSPACE 240
	diag "$name: exits to user space: $(user_exits)"
	must "$name: and says what its interrupts are" hears "LAB-INFO end" 60
	diag "$(grep -a '^LAB-IRQ' "$vm.out" | tr -cd '\n -~' | head -n 12)"
	diag "$name: clock $(info clocksource)"
	diag "$(grep -aE '^\[.*(tsc|TSC|PIT|APIC timer)' "$vm.out" | tr -cd '\n -~')"
	# Without ACPI there is nothing to power off by.
	kill -TERM "$vm_pid"
	check "$name: lkvm ends" vm_wait 30
}

legacy pic "acpi=off noapic quiet"
check "pic: the timer comes by the PIC" xt_pic timer 1
check "pic: so does the serial port" xt_pic ttyS0 1

legacy nolapic "acpi=off nolapic quiet"
check "nolapic: each tick comes by the PIC" xt_pic timer 100
check "nolapic: so does the serial port" xt_pic ttyS0 1

legacy noclock "acpi=off nolapic no-kvmclock" --cpu host,-tsc_deadline_timer
check "noclock: each tick comes by the PIC" xt_pic timer 100
check "noclock: the clock is not KVM's" [ "$(info clocksource)" != kvm-clock ]

# ACPI, the I/O APIC and the local APIC, whose timer has to be measured against the PIT.
kernel=/guest/generic
legacy measured "acpi=off no-kvmclock" --cpu host,-kvmclock,-kvmclock_stable,-tsc_deadline_timer
check "measured: the timer has come by the I/O APIC" \
	awk '/^LAB-IRQ +0:.*IO-APIC.*timer/ && $3 > 0 { n++ } END { exit !n }' "$vm.out"
check "measured: then by the local APIC" awk '/^LAB-IRQ +LOC:/ && $3 > 20 { n++ } END { exit !n }' "$vm.out"
