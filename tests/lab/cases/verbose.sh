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
	check "the guest's kernel lies at random" says "KASLR enabled"
	case ${IRQCHIPS%% *} in
	gicv3-its) check "the guest has an ITS" says "ITS.*mem 0x" ;;
	gicv2m) check "the guest has a GICv2m frame" says "GICv2m: range.*mem 0x" ;;
	esac
fi
diag "lkvm with a 256 MiB guest holds $(rss_mib) MiB"
# Of the program itself a second VM would have the same pages.
kib=$(private_kib 262144 writable)
check "of memory beside the guest's no more than 2 MiB is private: $kib KiB" between 1 "$kib" 2048
check "the VM is listed while it runs" listed "$vm"
kill -TERM "$vm_pid"
ends 143 30
check "nothing of the VM is left" nothing_left
