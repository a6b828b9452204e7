# SPDX-License-Identifier: MIT
# What cannot run here: kernels of another kind, too little memory, too much, too many CPUs; one line each
# lab: arch=ppc-e500 bound=120
. /lab/cases/input.inc
runs='the e500 machine runs' config='CONFIG_PPC_85xx\)'
elf 2 2 21 ppc64
refused ppc64 "ppc64: a 64-bit kernel: $runs 32-bit ones \(ARCH=powerpc, $config" -k ppc64
elf 2 1 21 ppc64le
refused ppc64le "ppc64le: a 64-bit little-endian kernel: it is for a pseries host; $runs \
32-bit big-endian ones \($config" -k ppc64le
elf 1 1 20 ppcle
refused ppcle "ppcle: a little-endian kernel: $runs big-endian ones \($config" -k ppcle
elf 1 2 8 mips
refused mips "mips: a kernel of another architecture: $runs 32-bit big-endian PowerPC ones \($config" -k mips
head -c 4096 /dev/zero >zero
what='zero: neither an ELF file nor a U-Boot image; the e500 machine starts vmlinux, zImage or uImage'
refused zero "$what" -k zero
refused little "$kernel: does not fit into guest memory; give the guest more \(-m\)" -k "$kernel" -m 4
refused much '--mem: 6144 MiB are more than a 32-bit lkvm can map; give less' -k "$kernel" -m 6144
refused cpus "--cpus 8: this host's KVM takes at most ([0-9]+); give --cpus \\1 or less" -k "$kernel" -c 8
