# SPDX-License-Identifier: MIT
# An EFI zboot image
# lab: arch=arm64-gicv3
kernel=/guest/zboot.efi
boot vm -p "quiet lab=poweroff"
up
ends 0 60
