# SPDX-License-Identifier: MIT
# A PMU for the guest, and no stolen time
# lab: arch=arm64
boot vm -c 2 -m 256 --pmu --no-pvtime -p "lab=info,poweroff"
up
ends 0 90
check "the guest has a PMU" says "hw perfevents: enabled with armv8_(cortex_a72|pmuv3)"
check "its interrupt is there" irq "arm-pmu" 0
check "the guest knows nothing of stolen time" fails says "using stolen time PV"
check "the guest's log is without a complaint about the machine" clean_log
