# SPDX-License-Identifier: MIT
# The kernel's Image, compressed by gzip
# lab: arch=arm64-gicv3
kernel=/guest/image.gz
boot vm -p "quiet lab=poweroff"
up
ends 0 60
