# SPDX-License-Identifier: MIT
# The uncompressed kernel by its 64-bit entry
# lab: arch=x86-64
kernel=/guest/vmlinux
boot vm --boot=elf64 -p "quiet lab=poweroff"
up
ends 0 60
