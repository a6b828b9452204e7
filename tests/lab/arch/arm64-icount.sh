# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# The lab's row for arm64 on a host whose clock counts its instructions, a nanosecond each: times inside L1
# are counts, whatever else this machine does meanwhile. For `make bench`, no part of `arm64`. Data only;
# README.md beside run says what each name means.

# shellcheck source=arm64-gicv3.sh
. "$lab/arch/arm64-gicv3.sh"
QEMU='qemu-system-aarch64 -accel tcg,thread=single -icount shift=0 -cpu cortex-a72 -m 1024 -nodefaults'
QEMU="$QEMU -M virt,virtualization=on,gic-version=3"
# As a host is by default: figures are of that.
L1_PARAMS=''
# A second of that clock takes many of ours.
SLOW=10
