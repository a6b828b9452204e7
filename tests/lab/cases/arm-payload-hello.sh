# SPDX-License-Identifier: MIT
# Bare metal: the exit code, by an Image and by an image without a header
# lab: arch=arm64
. /lab/cases/payload.inc
for chip in $IRQCHIPS; do
	for code in 0 77 255; do
		start_payload "$chip" hello.img -m 64 --irqchip="$chip" -p "code=$code"
		exits "$chip, code $code" "$code"
		check "$chip, code $code: says hello" says "^hello from EL1"
	done
done
start_payload flat hello.flat -m 64 -p "code=7"
exits "flat" 7
check "flat: says hello" says "^hello from EL1"
start_payload flat hello.flat -m 64 --boot=flat -p "code=8"
exits "flat, asked for" 8
start_payload silent hello.img -m 64 -p "silent code=9"
exits silent 9
check "silent: not a byte" [ ! -s "$vm.out" ]
# The least that holds an image of 2 MiB and its device tree.
start_payload small hello.img -m 4 -p "code=10"
exits "4 MiB" 10
