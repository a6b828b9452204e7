# SPDX-License-Identifier: MIT
# Bare metal: CFI flash is asked, erased and programmed, and its file has what was written
# lab: arch=arm64-gicv3
. /lab/cases/payload.inc
# A file of 1 MiB: four blocks of 256 KiB, all 'a'.
head -c 1048576 /dev/zero | tr '\0' a >flash.bin
cp flash.bin before.bin

# part FILE BLOCK: its block, as a checksum
part() {
	dd if="$1" bs=262144 skip="$2" count=1 2>/dev/null | md5sum
}

guest readonly 0 flash.img -m 64 --flash flash.bin,ro -p ro
check "read-only: the file is what it was" cmp flash.bin before.bin
guest written 0 flash.img -m 64 --flash flash.bin
check "the guest read the file" [ "$(fact first)" = 0x61616161 ]
check "its length is what it was" [ "$(wc -c <flash.bin)" = 1048576 ]
for block in 0 2 3; do
	check "block $block is what it was" [ "$(part flash.bin $block)" = "$(part before.bin $block)" ]
done
words=$(dd if=flash.bin bs=4 skip=65536 count=3 2>/dev/null | hexdump -v -e '/4 "%08x "')
check "block 1 begins with what was programmed" [ "$words" = "11220044 01010101 02020202 " ]
rest=$(dd if=flash.bin bs=256 skip=1025 count=1023 2>/dev/null | tr -d '\377')
check "the rest of it is erased" [ -z "$rest" ]
