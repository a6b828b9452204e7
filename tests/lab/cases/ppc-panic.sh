# SPDX-License-Identifier: MIT
# A guest that panics says so to the machine: to RTAS, or by pvpanic
# lab: arch=ppc64le,ppc-e500
boot vm -p "quiet lab=panic"
up
ends 34 60
check "the guest's panic is on the console" says "Kernel panic - not syncing: sysrq triggered crash"
