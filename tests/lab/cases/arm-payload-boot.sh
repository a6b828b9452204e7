# SPDX-License-Identifier: MIT
# Bare metal: what the loader hands over, as an Image and as an image without a header, with initrds
# lab: arch=arm64
. /lab/cases/payload.inc
head -c 4096 /dev/zero | tr '\0' a >one
printf 'seven77' >two
head -c 3000 /bin/busybox >three
cat one two >all
printf '\0' >>all
cat three >>all

# sum FILE: its length and checksum, as the payload tells them; they are the last 8 bytes of a gzip file
sum() {
	gzip -c "$1" | tail -c 8 | hexdump -v -e '2/4 "%u "' | awk '{ print $2, $1 }'
}

# bytes NUMBER: the number, which may be hexadecimal, in decimal
bytes() {
	printf '%d' "$1"
}

for chip in $IRQCHIPS; do
	guest "$chip" 0 boot.img -m 64 -c 2 --irqchip="$chip" -p "alpha=1 beta" -p gamma
	check "$chip: command line" [ "$(fact cmdline)" = "[alpha=1 beta gamma]" ]
	check "$chip: RAM is what was asked for" [ "$(bytes "$(fact ram)")" = $((64 << 20)) ]
	check "$chip: two vCPUs" [ "$(fact cpus)" = 2 ]
	check "$chip: no initrd" [ "$(fact initrd)" = "0 0" ]
done
guest initrd 0 boot.img -m 64 -i three
check "initrd: its length and sum" [ "$(fact initrd)" = "$(sum three)" ]
guest initrds 0 boot.img -m 64 -i one -i two -i three
check "three initrds: all of them, one after another" [ "$(fact initrd)" = "$(sum all)" ]
guest flat 0 boot.flat -m 64 -i three -p "flat"
check "flat: initrd" [ "$(fact initrd)" = "$(sum three)" ]
guest "flat-asked" 0 boot.flat -m 64 --boot=flat -p flat
gzip -c "$payload" >boot.gz
vm_start gz -k boot.gz --nodefaults -m 64 -p "flat zipped"
exits gzip 0
check "gzip: command line" [ "$(fact cmdline)" = "[flat zipped]" ]
# Of 2 TiB, for which a guest has 42 bits of addresses; and of more than any host's.
guest huge 0 boot.img -m 2T
check "2 TiB: RAM is what was asked for" [ "$(bytes "$(fact ram)")" = $((2 << 40)) ]
start_payload vast boot.img -m 300T
exits "300 TiB" 1
check "300 TiB: one line" [ "$(wc -l <"$vm.err")" = 1 ]
check "300 TiB: how much it may be" grep -q -- "--mem: guests of this host address .* bits, which" "$vm.err"
guest large 0 boot.img -m 40000 -i three
check "40000 MiB: RAM is what was asked for" [ "$(bytes "$(fact ram)")" = $((40000 << 20)) ]
guest eight 0 boot.img -m 64 -c 8
check "eight vCPUs" [ "$(fact cpus)" = 8 ]

long=$(head -c 2047 /dev/zero | tr '\0' x)
guest long 0 boot.img -m 64 -p "$long"
check "2047 bytes of command line" [ "$(fact cmdline_length)" = 2047 ]
start_payload long boot.img -m 64 -p "${long}y"
exits "2048 bytes of command line" 1
check "2048 bytes of command line: one line" [ "$(wc -l <"$vm.err")" = 1 ]
head -c 40000000 /dev/zero >big
start_payload big boot.img -m 32 -i big
exits "an initrd larger than RAM" 1
check "an initrd larger than RAM: one line" [ "$(wc -l <"$vm.err")" = 1 ]
check "an initrd larger than RAM: names it" grep -q big "$vm.err"
start_payload little boot.img -m 1
exits "an image larger than RAM" 1
check "an image larger than RAM: one line" [ "$(wc -l <"$vm.err")" = 1 ]
