# SPDX-License-Identifier: MIT
# A guest that panics tells RTAS of it
# lab: arch=ppc64le
boot vm -p "quiet lab=panic"
up
ends 34 60
check "the guest's panic is on the console" says "Kernel panic - not syncing: sysrq triggered crash"
