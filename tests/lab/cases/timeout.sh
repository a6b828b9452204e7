# SPDX-License-Identifier: MIT
# --timeout ends a kernel on its way up
# lab: bound=90 arch=x86-64,arm64-gicv3,ppc64le,ppc-e500
boot vm --timeout 4 -p "lab=hang"
ends 124 60
check "nothing of the VM is left" nothing_left
