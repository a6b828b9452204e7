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

# number BYTES VALUE: one below 256, in the byte order $data
number() {
	local zeros
	zeros=$(printf '%*s' $(($1 - 1)) '' | sed 's/ /\\000/g')
	if [ "$data" = 2 ]; then
		printf "$zeros\\$(printf %03o "$2")"
	else
		printf "\\$(printf %03o "$2")$zeros"
	fi
}

# elf CLASS DATA MACHINE FILE: a whole ELF executable, of one small segment
elf() {
	local data=$2 word=$((4 * $1)) header=$((40 + 12 * $1))
	{
		printf "\\177ELF\\00$1\\00$2\\001"
		number 9 0
		number 2 2 && number 2 "$3" && number 4 1
		number $word 0 && number $word $header && number $word 0
		number 4 0 && number 2 $header && number 2 $((8 + 24 * $1)) && number 2 1
		number 6 0
		number 4 1
		[ "$1" = 1 ] || number 4 7
		# Where in the file and in memory, and how much
		for n in 0 0 0 64 64; do number $word $n; done
		[ "$1" = 2 ] || number 4 7
		number $word 1
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
refused cpus '--cpus 8: .*at most' -k "$kernel" -c 8
