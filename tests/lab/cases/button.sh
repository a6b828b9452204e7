# SPDX-License-Identifier: MIT
# stop presses the power button, and a guest that listens powers itself off
# lab: arch=x86-64,arm64-gicv3
kernel=/guest/$BUTTON_KERNEL
boot vm -p "quiet lab=button,poweroff"
up
must "the guest has a power button" hears "LAB-BUTTON event" 60
check "stop exits with 0" ctl stop -n "$vm"
check "the guest hears it" hears LAB-BUTTON-PRESSED 60
ends 0 60
