# SPDX-License-Identifier: MIT
# A guest that tells pvpanic of its panic
# lab: arch=arm64
boot vm -p "quiet lab=pvpanic,panic"
up
ends 34 60
check "the guest finds the device in its device tree" says "LAB-PVPANIC at 0x0*1020000, events 0x0*3"
check "the guest's panic is on the console" says "Kernel panic - not syncing: sysrq triggered crash"
