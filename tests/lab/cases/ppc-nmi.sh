# SPDX-License-Identifier: MIT
# debug --nmi is a system reset interrupt, which this kernel dies of
# lab: arch=ppc64le
boot vm -c 2 -p "quiet lab=tick"
up
must "the guest prints on and on" hears "LAB-TICK 5" 60
check "debug --nmi exits with 0" ctl debug -n "$vm" --nmi 1
check "the guest has had a system reset" hears "System Reset" 60
ends 34 60
