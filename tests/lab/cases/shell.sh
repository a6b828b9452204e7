# SPDX-License-Identifier: MIT
# A shell on the console: typed input, a paste of several KiB, much output, Ctrl-c
# lab: arch=x86-64,arm64-gicv3,ppc64le,ppc-e500
boot vm -p "quiet lab=shell,poweroff"
up
must "there is a prompt" hears "LAB# " 60
type_line 'echo one-$((20 + 3))'
check "a typed command is run" hears "one-23" 30

# 12 KiB of numbered lines, all at once; the echo off, for the guest would print it as well. A command
# is typed right behind it.
seq -w 1 192 | sed 's/$/ the quick brown fox jumps over the lazy dog ABCDEFGHIJKLMNOPQ/' >sent
size=$(wc -c <sent)
sum=$(md5sum <sent | cut -d' ' -f1)
type_line "stty -echo; echo ready-\$((1 + 1)); head -c $size >/got; stty echo"
check "the guest is ready for the paste" hears "ready-2" 30
{
	cat sent
	echo 'echo size-$(wc -c </got) sum-$(md5sum </got)'
} >&3
check "the paste arrives" hears "size-[0-9]" 60
check "its size is right" says "size-$size\b"
check "its content is right" says "sum-$sum"

# The other way: much output at once.
type_line 'seq 1 3000; echo end-$((1 + 2))'
check "3000 lines come out" hears "^end-3" 60
check "none is lost" [ "$(tr -d '\r' <"$vm.out" | grep -Ec '^[0-9]+$')" = 3000 ]

# By one process, which has the terminal when it speaks: a shell that still starts another may miss a Ctrl-c.
type_line "sh -c 'echo hang-\$((1 + 1)); exec sleep 1000'"
check "a command hangs" hears "hang-2" 30
# Its echo may be lost in the guest, which throws away what is on its way when a signal comes.
prompts=$(grep -aEc 'LAB# ' "$vm.out")
printf '\003' >&3
check "Ctrl-c is heard" hears_times $((prompts + 1)) 'LAB# ' 30
type_line 'echo two-$((20 + 3))'
check "there is a prompt again" hears "two-23" 30
type_line exit
ends 0 60
