# SPDX-License-Identifier: MIT
# Four CPUs, verbose; power-off
boot vm -c 4 -m 256 -p "lab=info,poweroff"
up
ends 0 90
check "the guest has four CPUs" [ "$(info nproc)" = 4 ]
check "each has had timer interrupts" each_timer 4
check "the guest's log is without a complaint about the machine" clean_log
