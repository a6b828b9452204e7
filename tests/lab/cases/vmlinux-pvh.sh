# SPDX-License-Identifier: MIT
# The uncompressed kernel by its PVH entry
# lab: arch=x86-64
kernel=/guest/vmlinux
boot vm --boot=pvh -p "quiet lab=poweroff"
up
ends 0 60
