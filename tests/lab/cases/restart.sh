# SPDX-License-Identifier: MIT
# --on-reboot=restart: the guest comes up again in the same lkvm
# lab: bound=400 arch=x86-64,arm64-gicv3,ppc64le,ppc-e500
boot vm --on-reboot=restart -p "quiet lab=wait,reboot"
up
type_line ""
must "the guest comes up again" hears_times 2 LAB-USERSPACE "$BOOT"
must "it waits again" hears_times 2 "LAB-ACTION wait" 60
type_line ""
check "its console takes input again" hears_times 2 "LAB-ACTION reboot" 30
kill -TERM "$vm_pid"
ends 143 30
