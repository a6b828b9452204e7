# SPDX-License-Identifier: MIT
# The verbs on a running guest: list, debug, pause, resume, stop --force
# lab: arch=x86-64,arm64-gicv3,ppc64le,ppc-e500
boot vm -c 2 -p "quiet lab=tick"
up
must "the guest prints on and on" hears "LAB-TICK 5" 60

check "list exits with 0" ctl list
check "list names the VM" grep -q "$vm" ctl.out
check "list --json exits with 0" ctl list --json
check "what it prints is JSON" json ctl.out
check "it names the VM" grep -q "\"$vm\"" ctl.out

check "debug exits with 0" ctl debug -n "$vm"
check "it prints registers" grep -Eiq "\b$PC_REGISTER\b" ctl.out
check "debug --json exits with 0" ctl debug -n "$vm" --json
check "what it prints is JSON" json ctl.out
kill -USR1 "$vm_pid"
check "SIGUSR1 has its registers printed too" within 30 grep -Eiq "\b$PC_REGISTER\b" "$vm.err"
if row_is x86-64; then
	check "debug --nmi exits with 0" ctl debug -n "$vm" --nmi 1
	check "the guest has had an NMI" hears "NMI received for unknown reason" 30
elif row_is arm64; then
	check "debug --nmi fails: this machine has none" fails ctl debug -n "$vm" --nmi 1
fi
lines=$(wc -l <"$vm.out")
check "the guest lives on" within 30 more_lines "$lines"

check "pause exits with 0" ctl pause -n "$vm"
# What was on its way when pause returned may still arrive; after that, nothing may.
check "the output stops" within 30 still
lines=$(wc -l <"$vm.out")
check "list says that it is paused" listed "$vm.*paused"
check "debug works on a paused VM" ctl debug -n "$vm"
check "not a line came while it was paused" [ "$(wc -l <"$vm.out")" = "$lines" ]
check "resume exits with 0" ctl resume -n "$vm"
check "the output goes on" within 30 more_lines "$lines"

check "a verb on a VM that is not there fails" fails ctl pause -n no-such-vm
# This guest heeds the power button; not while it is paused.
! row_is ppc64le || check "it is paused once more" ctl pause -n "$vm"
check "stop --force exits with 0" ctl stop -n "$vm" --force
ends 35 30
check "nothing of the VM is left" nothing_left
check "list no longer names it" fails listed "$vm"
