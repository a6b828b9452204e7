# SPDX-License-Identifier: MIT
# --dump-dtb writes the device tree that the guest gets
# lab: arch=arm64
boot vm -c 2 -m 256 --dump-dtb "$PWD/dump.dtb" -p "quiet lab=fdt,poweroff"
up
ends 0 90
keep dump.dtb
sed -n 's/^LAB-FDT //p' "$vm.out" | tr -d '\r' | base64 -d >guest.dtb
must "the device tree was dumped" [ -s dump.dtb ]
check "it is one" [ "$(od -An -v -tx1 -N 4 dump.dtb | tr -d ' ')" = d00dfeed ]
check "it has the size of the guest's" [ "$(wc -c <dump.dtb)" = "$(wc -c <guest.dtb)" ]
# The kernel wipes what of it is random: the KASLR seed and the RNG's, which also loses its name.
differ=$(cmp -l dump.dtb guest.dtb | wc -l)
diag "$(wc -c <dump.dtb) bytes, of which the guest's kernel changed $differ"
check "it is the guest's" between 0 "$differ" 100
