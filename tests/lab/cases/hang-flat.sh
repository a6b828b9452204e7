# SPDX-License-Identifier: MIT
# A guest that hangs with interrupts off: timeout, SIGTERM, the verbs
# lab: arch=x86-64
printf '\372\353\376' >hang.bin		# cli; jmp .

begin=$(cut -d. -f1 /proc/uptime)
vm_start timeout -k "$PWD/hang.bin" --boot=flat --timeout 3
ends 124 60
seconds
check "the timeout was not early" [ $((now - begin)) -ge 3 ]
check "nothing of the VM is left" nothing_left

vm_start term -k "$PWD/hang.bin" --boot=flat
check "the VM is listed" within 30 listed "$vm"
kill -TERM "$vm_pid"
ends 143 30
check "nothing of the VM is left" nothing_left

vm_start verbs -k "$PWD/hang.bin" --boot=flat
check "the VM is listed" within 30 listed "$vm"
check "debug prints its registers" ctl debug -n "$vm"
check "there is an instruction pointer" grep -Eiq '\brip\b' ctl.out
check "pause" ctl pause -n "$vm"
check "resume" ctl resume -n "$vm"
check "stop --force" ctl stop -n "$vm" --force
ends 35 30
check "nothing of the VM is left" nothing_left
