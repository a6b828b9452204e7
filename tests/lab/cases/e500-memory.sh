# SPDX-License-Identifier: MIT
# A guest of 512 MiB: how soon it is in user space, and what lkvm holds beside its memory; reboot
# lab: arch=ppc-e500
begin=$(cut -d. -f1 /proc/uptime)
boot vm -c 1 -m 512 -p "quiet lab=info,wait,reboot"
up
took=$(($(cut -d. -f1 /proc/uptime) - begin))
check "within two minutes: $took s" between 0 "$took" 120
must "the guest's init has come to rest" hears "LAB-ACTION wait" 60
check "the guest has 512 MiB, less what its kernel takes" between 460000 "$(info memtotal)" 524288
# Of the program itself a second VM would have the same pages: they only count as lkvm's in the first figure.
kib=$(private_kib 524288 writable)
diag "private memory beside the guest's: $kib KiB; with the program's code, $(private_kib 524288) KiB"
check "it is no more than 2 MiB" between 1 "$kib" 2048
type_line ""
ends 32 60
