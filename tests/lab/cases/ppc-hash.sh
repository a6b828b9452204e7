# SPDX-License-Identifier: MIT
# A guest with a hash table for its MMU
# lab: arch=ppc64le-hash
boot vm -c 2 -m 512 --mmu hash -p "lab=info,poweroff"
up
ends 0 90
check "the guest uses a hash table" says "hash-mmu: Initializing hash mmu"
check "the guest has two CPUs" [ "$(info nproc)" = 2 ]
check "each has had timer interrupts" each_timer 2
check "the guest's log is without a complaint about the machine" clean_log
