# SPDX-License-Identifier: MIT
# The stock kernel, verbose: its log, its exits, lkvm's memory, and SIGTERM
# lab: arch=x86-64
boot vm -c 1 -m 256 -p "lab=info,wait"
up
figures 40000
must "the guest's init has done its work" hears "LAB-ACTION wait" 60
check "the guest has one CPU" [ "$(info nproc)" = 1 ]
check "the guest has 256 MiB, less what its kernel takes" between 180000 "$(info memtotal)" 262144
check "the guest's log is without a complaint about the machine" clean_log
check "the guest knows that it runs on KVM" says "Hypervisor detected: KVM"
clock=$(info clocksource)
check "the guest's clock is kvm-clock or the TSC" [ "$clock" = kvm-clock -o "$clock" = tsc ]
diag "lkvm with a 256 MiB guest holds $(rss_mib) MiB"
check "the VM is listed while it runs" listed "$vm"
kill -TERM "$vm_pid"
ends 143 30
check "nothing of the VM is left" nothing_left
