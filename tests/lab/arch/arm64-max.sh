# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# The lab's row for arm64 on a host that has SVE, pointer authentication and memory tags besides what
# arm64-gicv3 has. No part of `arm64`, for few cases are about them. Data only; README.md beside run says what
# each name means.

# shellcheck source=arm64.sh
. "$lab/arch/arm64.sh"
ROWS=''
QEMU='qemu-system-aarch64 -accel tcg,thread=multi -cpu max,pauth-impdef=on -m 1024 -nodefaults'
QEMU="$QEMU -M virt,virtualization=on,gic-version=3,mte=on"
L1_CPUS=1
IRQCHIPS='gicv3-its gicv3' NO_IRQCHIPS='gicv2m gicv2'
CPU_FEATURES='sve pauth mte' SVE_MAX=2048
