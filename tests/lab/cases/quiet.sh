# SPDX-License-Identifier: MIT
# The stock kernel with quiet: its exits, power-off
# lab: arch=x86-64,arm64,ppc64le,ppc-e500
boot vm -c 1 -m 256 -p "quiet lab=wait,poweroff"
up
figures "$QUIET_EXITS"
type_line ""
ends 0 60
check "nothing of the VM is left" nothing_left
