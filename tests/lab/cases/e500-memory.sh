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
private() {
	awk -v writable="$1" '/^[0-9a-f]+-[0-9a-f]+ / { ram = 0; mine = !writable || $2 ~ /w/ }
		/^Size:/ && $2 >= 524288 { ram = 1 }
		/^Private_(Clean|Dirty):/ && !ram && mine { kib += $2 }
		END { print kib }' "/proc/$vm_pid/smaps"
}
kib=$(private 1)
diag "private memory beside the guest's: $kib KiB; with the program's code, $(private 0) KiB"
check "it is no more than 2 MiB" between 1 "$kib" 2048
type_line ""
ends 32 60
