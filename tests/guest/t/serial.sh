#!/bin/sh
# SPDX-License-Identifier: MIT
# The console's bytes: in through a pipe, exactly; out by interrupts; and out at once even when nobody polls.
. "$(dirname "$0")/../lib.sh"

# echo_test TITLE COUNT WORDS: random bytes, more than any buffer on the way holds
echo_test() {
	title=$1 count=$2
	head -c "$count" /dev/urandom >"$dir/random"
	input=$dir/random
	guest "$title" 0 echo.mb -p "n=$count $3"
	input=/dev/null
	sent=$(cksum <"$dir/random" | cut -d' ' -f1)
	is "$title: the bytes are those that were sent" "$(fact cksum)" "$sent"
}
echo_test "input, polled" 8192 ""
echo_test "input, polled by a slow guest" 4096 slow
echo_test "input, by interrupts" 8192 irq
echo_test "input, by interrupts, a byte at a time" 4096 "irq fifo=0x07"
echo_test "input without FIFO" 2048 fifo=0
echo_test "input, by interrupts, slow" 4096 "irq slow"

head -c 3000 /dev/urandom >"$dir/random"
input=$dir/random
guest "input and output at once" 0 echo.mb -p "n=3000 back irq"
input=/dev/null
# From the guest's first mark to its last, byte by byte.
at=$(LC_ALL=C grep -obaF '<<<' "$out" | head -n 1 | cut -d: -f1)
tail -c +"$((${at:-0} + 4))" "$out" | head -c 3000 >"$dir/back"
check "input and output at once: each byte came back" cmp "$dir/random" "$dir/back"

expected() {
	awk 'BEGIN { for (i = 0; i < 2000; i++) printf "%s", (i % 64 == 63) ? "\n" : int(i / 64) % 10 }'
}
for chip in pic ioapic; do
	guest "output by interrupts, $chip" 0 serial-tx.mb -p "$chip"
	sed -n '/<<</,/>>>/p' "$out" | tr -d '\r' | sed '1s/.*<<<//; s/>>>.*//' >"$dir/sent"
	expected >"$dir/want"
	check "output by interrupts, $chip: all of it, in order" \
		sh -c "head -c 2000 '$dir/sent' | cmp - '$dir/want'"
done

# 200 bytes with no status read between, and then never an exit again: all come out all the same.
for how in hlt spin; do
	start serial-tx.mb -p "blind $how"
	check "blind output, then $how: every byte comes out" within 10 sh -c "[ \$(wc -c <'$out') -eq 200 ]"
	check "blind output, then $how: in order" \
		sh -c "awk 'BEGIN { for (i = 0; i < 200; i++) printf \"%c\", 97 + i % 26 }' | cmp - '$out'"
	kill -TERM "$vm_pid"
	await
	ends "blind output, then $how" 143
done
# And are not lost to the end of the VM.
run serial-tx.mb -p "blind spin" --timeout 1
check "blind output and a time-out: every byte" test "$(wc -c <"$out")" -eq 200
finish
