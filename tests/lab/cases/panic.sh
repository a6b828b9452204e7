# SPDX-License-Identifier: MIT
# A guest that panics, seen by pvpanic
# lab: arch=x86-64
boot vm -p "quiet labmod=pvpanic-mmio lab=panic"
up
ends 34 60
check "the guest's panic is on the console" says "Kernel panic - not syncing: sysrq triggered crash"
