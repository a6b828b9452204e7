#!/bin/sh
# SPDX-License-Identifier: MIT
# Every loader: what it hands over, by a payload that says what it got.
. "$(dirname "$0")/../lib.sh"

# Three initrds, the middle one not a multiple of 4 bytes long: where they are one, each is padded to 4.
head -c 4096 /dev/zero | tr '\0' a >"$dir/one"
printf 'seven77' >"$dir/two"
head -c 3000 "$payloads/hello.mb" >"$dir/three"
cat "$dir/one" "$dir/two" >"$dir/all"
printf '\0' >>"$dir/all"
cat "$dir/three" >>"$dir/all"
module() { fact "module$1" | cut -d' ' -f1,2; }
sum() { cksum <"$1" | awk '{ print $2, $1 }'; }

# hello TITLE PAYLOAD OPTION...: the exit code comes through
hello() {
	title=$1
	shift
	run "$@" -p code=77
	ends "$title" 77
	check "$title: says hello" out_has '^hello from'
}

for kind in mb pvh pvh64 elf64 bz; do
	title=$kind
	case $kind in
	mb) protocol=multiboot ;;
	pvh*) protocol=pvh ;;
	*) protocol=linux ;;
	esac
	hello "$title" "hello.$kind"

	guest "$title" 0 "boot.$kind" -m 64 -p "alpha=1 beta" -p gamma
	is "$title: protocol" "$(fact protocol)" "$protocol"
	case $kind in
	# A multiboot command line may begin with the image's name.
	mb) got=$(fact cmdline | sed 's/^\[[^ ]*boot\.mb /[/') ;;
	*) got=$(fact cmdline) ;;
	esac
	is "$title: command line" "$got" "[alpha=1 beta gamma]"
	is "$title: no module" "$(fact modules)" 0
	# What the map calls RAM, less than 1 MiB of it kept back for tables and the legacy hole.
	ram=$(printf '%d' "$(fact ram)")
	check "$title: the map's RAM is the RAM asked for ($ram)" \
		test "$ram" -le $((64 << 20)) -a "$ram" -gt $((63 << 20))

	guest "$title, one initrd" 0 "boot.$kind" -m 64 -i "$dir/three"
	is "$title: the initrd's size and sum" "$(module 0)" "$(sum "$dir/three")"
	guest "$title, three initrds" 0 "boot.$kind" -m 64 -i "$dir/one" -i "$dir/two" -i "$dir/three"
	case $kind in
	mb)
		# Modules, each by itself.
		is "$title: three modules" "$(fact modules)" 3
		for n in 0:one 1:two 2:three; do
			is "$title: module ${n#*:}" "$(module "${n%:*}")" "$(sum "$dir/${n#*:}")"
		done
		;;
	*)
		is "$title: one module" "$(fact modules)" 1
		is "$title: all of them, one after another" "$(module 0)" "$(sum "$dir/all")"
		;;
	esac
done

for kind in pvh elf64 mb bz; do
	guest "gzip $kind" 0 "boot.$kind.gz" -m 64 -p zipped
	check "gzip $kind: command line" sh -c "case '$(fact cmdline)' in *zipped*) ;; *) exit 1 ;; esac"
done

run flat.flat -m 64 --boot=flat
relay flat
check "flat: the payload came to its end" out_has '^done$'
ends flat 0
# Anything at all could be a flat image: none is taken for one unasked.
run flat.flat -m 64
ends "flat, not asked for" 1
check "flat, not asked for: the remedy is named" err_has '--boot=flat'

# The protocol by its name.
guest "--boot=multiboot" 0 boot.mb -m 64 --boot=multiboot
guest "--boot=pvh" 0 boot.pvh64 -m 64 --boot=pvh
guest "--boot=elf64" 0 boot.elf64 -m 64 --boot=elf64
guest "--boot=bzimage" 0 boot.bz -m 64 --boot=bzimage
run boot.bz -m 64 --boot=pvh
ends "--boot=pvh of something else" 1
check "--boot=pvh of something else: one line" test "$(wc -l <"$err")" -eq 1
check "--boot=pvh of something else: names the file" err_has 'boot\.bz'

# The command line's length: 255 is what this kernel's header says it takes.
long=$(head -c 255 /dev/zero | tr '\0' x)
guest "255 bytes of command line" 0 boot.bz -m 64 -p "$long"
is "255 bytes of command line: all of them" "$(fact cmdline_length)" 255
run boot.bz -m 64 -p "${long}x"
ends "256 bytes where 255 fit" 1
check "256 bytes where 255 fit: one line" test "$(wc -l <"$err")" -eq 1
guest "2000 bytes of command line by multiboot" 0 boot.mb -m 64 -p "$(head -c 2000 /dev/zero | tr '\0' y)"

# 64-bit kernels get the RSDP's address.
guest "elf64" 0 boot.elf64 -m 64
check "elf64: the RSDP's address is handed over" test "$(fact rsdp)" != 0x0
guest "pvh" 0 boot.pvh -m 64
check "pvh: the RSDP's address is handed over" test "$(fact rsdp)" != 0x0

# An initrd that does not fit.
head -c 40000000 /dev/zero >"$dir/big"
run boot.elf64 -m 32 -i "$dir/big"
ends "an initrd larger than RAM" 1
check "an initrd larger than RAM: one line" test "$(wc -l <"$err")" -eq 1
check "an initrd larger than RAM: names it" err_has big
finish
