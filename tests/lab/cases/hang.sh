# SPDX-License-Identifier: MIT
# A guest kernel whose user space hangs: SIGTERM ends it
# lab: arch=x86-64,arm64-gicv3,ppc64le,ppc-e500
boot vm -p "quiet lab=hang"
up
check "the guest is at its loop" hears "LAB-ACTION hang" 60
kill -TERM "$vm_pid"
ends 143 30
check "nothing of the VM is left" nothing_left
