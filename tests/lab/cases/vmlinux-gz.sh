# SPDX-License-Identifier: MIT
# The uncompressed kernel, compressed by gzip
# lab: arch=x86-64
gzip -1 -c /guest/vmlinux >vmlinux.gz
kernel=$PWD/vmlinux.gz
boot vm -p "quiet lab=poweroff"
up
rm vmlinux.gz
ends 0 60
