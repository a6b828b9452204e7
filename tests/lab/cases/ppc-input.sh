# SPDX-License-Identifier: MIT
# What cannot run here: kernels of another kind, too little memory, too much; one line each
# lab: arch=ppc64le-hash bound=120
. /lab/cases/input.inc
elf 1 2 20 ppc
refused ppc 'ppc: a 32-bit PowerPC file; give the vmlinux of a 64-bit kernel' -k ppc
elf 2 1 62 x86
refused x86 'x86: a kernel for another processor; give a powerpc64 or powerpc64le one' -k x86
head -c 4096 /dev/zero >zero
refused zero 'zero: not a kernel for this machine, which takes an ELF file: vmlinux, or a zImage of it' \
	-k zero
refused little "$kernel: takes memory up to [0-9]+ MiB, the guest has 16; give it more \(-m\)" \
	-k "$kernel" -m 16
refused much '--mem: the pseries machine has room for 32768 GiB; give less' -k "$kernel" -m 64T
