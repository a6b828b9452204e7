# SPDX-License-Identifier: MIT
# stop presses the power button, and a guest shuts itself down
# lab: arch=ppc64le
boot vm -p "quiet lab=wait"
up
must "the guest's init has come to rest" hears "LAB-ACTION wait" 60
check "stop exits with 0" ctl stop -n "$vm"
check "the guest hears it" hears "Power off requested" 60
ends 0 60
