# SPDX-License-Identifier: MIT
# More CPUs than a GICv2 has room for
# lab: arch=arm64-gicv2 bound=200
refused many "--cpus 9: .* room for 8 vCPUs; give --cpus 8 or less" -k "$kernel" -c 9

boot vm -c 8 -m 256 -p "quiet lab=info,poweroff"
up
ends 0 90
check "the guest has eight CPUs" [ "$(info nproc)" = 8 ]
check "each has had timer interrupts" each_timer 8
