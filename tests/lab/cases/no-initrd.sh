# SPDX-License-Identifier: MIT
# No initrd: the kernel panics for want of a root, and resets (pvpanic is a module)
# lab: arch=x86-64,arm64-gicv3,ppc64le,ppc-e500
vm_start vm -k "$kernel" --console serial -p "quiet"
check "the kernel says why" hears "Unable to mount root fs" "$BOOT"
# Power's kernels tell RTAS of a panic, or have pvpanic built in.
if row_is ppc64le || row_is ppc-e500; then ends 34 60; else ends 32 60; fi
