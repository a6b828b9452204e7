# SPDX-License-Identifier: MIT
# What cannot run here: kernels of another kind, too little memory, too much, too many CPUs; one line each
# lab: arch=ppc-e500 bound=120
# refused NAME REGEX OPTIONS...: lkvm ends at once, and says one line like it
refused() {
	local name=$1 regex=$2
	shift 2
	vm_start "$name" "$@"
	ends 1 30
	check "$name: it says why" grep -Eq -- "$regex" "$vm.err"
	check "$name: in one line" [ "$(wc -l <"$vm.err")" = 1 ]
	diag "$(cat "$vm.err")"
}

# elf CLASS DATA MACHINE FILE: the head of the real kernel with other bytes there
elf() {
	{
		head -c 4 "$kernel"
		printf "\\$(printf %03o "$1")\\$(printf %03o "$2")"
		tail -c +7 "$kernel" | head -c 12
		case $2 in
		1) printf "\\$(printf %03o "$3")\\000" ;;
		2) printf "\\000\\$(printf %03o "$3")" ;;
		esac
		tail -c +21 "$kernel" | head -c 65536
	} >"$4"
}

elf 2 2 21 ppc64
refused ppc64 'a 64-bit kernel: the e500 machine runs 32-bit ones' -k ppc64
elf 2 1 21 ppc64le
refused ppc64le 'a 64-bit little-endian kernel: .*pseries' -k ppc64le
elf 1 1 20 ppcle
refused ppcle 'a little-endian kernel: the e500 machine runs big-endian ones' -k ppcle
elf 1 2 8 mips
refused mips 'another architecture' -k mips
head -c 4096 /dev/zero >zero
refused zero 'neither an ELF file nor a U-Boot image' -k zero
refused little '-m|memory' -k "$kernel" -m 4
refused much '-m|--mem|memory' -k "$kernel" -m 6144
refused cpus 'CPU' -k "$kernel" -c 99
