# SPDX-License-Identifier: MIT
# Bare metal: power off, reset, reset and start again
# lab: arch=arm64
. /lab/cases/payload.inc
for chip in $IRQCHIPS; do
	start_payload "$chip-off" psci.img -m 64 -c 2 --irqchip="$chip" -p "off"
	exits "$chip: SYSTEM_OFF" 0
	relay "$chip: SYSTEM_OFF"
	start_payload "$chip-reset" psci.img -m 64 -c 2 --irqchip="$chip" -p "reset"
	exits "$chip: SYSTEM_RESET" 32
	relay "$chip: SYSTEM_RESET"
done
start_payload reset2 psci.img -m 64 -p "reset2"
vm_wait 60
check "SYSTEM_RESET2 resets, where KVM has it" one_of "$vm_status" "32 40"
relay "SYSTEM_RESET2"
start_payload restart psci.img -m 64 --on-reboot=restart -p "reset"
check "--on-reboot=restart: it starts again, and again" hears_times 3 '^alive' 60
# Between two lives there is nobody to hear it.
check "--on-reboot=restart: it can be stopped" within 60 ctl stop --force --timeout 0 -n "$vm"
exits "--on-reboot=restart: stop" 35
relay "--on-reboot=restart"
start_payload hang psci.img -m 64 -p "hang"
check "all vCPUs off: the guest was there" hears '^alive' 60
check "all vCPUs off: lkvm is still there" ctl stop --force -n "$vm"
exits "all vCPUs off: stop" 35
