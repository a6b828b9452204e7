# SPDX-License-Identifier: MIT
# 6 GiB on a host with less: memory is not touched until used; reboot
# lab: arch=x86-64,arm64-gicv3,ppc64le
boot vm -c 1 -m 6144 -p "quiet lab=info,wait,reboot"
up
must "the guest's init has done its work" hears "LAB-ACTION wait" 60
check "the guest has 6 GiB, less what its kernel takes" between 5900000 "$(info memtotal)" 6291456
rss=$(rss_mib)
diag "lkvm with a 6 GiB guest holds $rss MiB"
check "lkvm holds less than 600 MiB of it" between 1 "$rss" 600
type_line ""
ends 32 60
