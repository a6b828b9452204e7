# SPDX-License-Identifier: MIT
# A guest of 1 GiB: how soon it is in user space, and what lkvm holds beside its memory
# lab: arch=ppc64le
begin=$(cut -d. -f1 /proc/uptime)
boot vm -c 1 -m 1024 -p "quiet lab=wait,poweroff"
up
diag "in user space after $(($(cut -d. -f1 /proc/uptime) - begin)) s"
must "the guest's init has come to rest" hears "LAB-ACTION wait" 60
# Of the program itself a second VM would have the same pages: they only count as lkvm's in the first figure.
kib=$(private_kib 1048576 writable)
diag "private memory beside the guest's: $kib KiB; with the program's code, $(private_kib 1048576) KiB"
check "it is no more than 2 MiB" between 1 "$kib" 2048
type_line ""
ends 0 60
