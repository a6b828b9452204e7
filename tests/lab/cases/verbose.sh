# SPDX-License-Identifier: MIT
# The stock kernel, verbose: its log, its exits, lkvm's memory, and SIGTERM
today=$(date +%s)
boot vm -c 1 -m 256 -p "lab=info,wait"
up
figures "$VERBOSE_EXITS"
must "the guest's init has done its work" hears "LAB-ACTION wait" 60
check "the guest has one CPU" [ "$(info nproc)" = 1 ]
check "the guest has 256 MiB, less what its kernel takes" between 180000 "$(info memtotal)" 262144
check "the guest's log is without a complaint about the machine" clean_log
check "the guest knows that it runs on KVM" says "$HYPERVISOR_SAYS"
check "the guest's clock is one of: $CLOCKS" one_of "$(info clocksource)" "$CLOCKS"
# Neither an e500 guest nor its host has a clock that goes while they are off.
row_is ppc-e500 ||
	check "the guest's clock shows L1's time" between $((today - 60)) "$(info date)" $((today + 600))
if row_is arm64; then
	check "the guest has set its clock by the RTC" says "rtc-pl031.*setting system clock"
	check "the guest knows of stolen time" says "using stolen time PV"
	check "there is no PMU" fails says "hw perfevents: enabled"
fi
diag "lkvm with a 256 MiB guest holds $(rss_mib) MiB"
check "the VM is listed while it runs" listed "$vm"
kill -TERM "$vm_pid"
ends 143 30
check "nothing of the VM is left" nothing_left
