#!/bin/sh
# SPDX-License-Identifier: MIT
# Each board device, register by register, from inside the guest.
. "$(dirname "$0")/../lib.sh"

for base in 0x3f8 0x2f8 0x3e8 0x2e8; do
	guest "serial $base" 0 serial.mb -p "base=$base"
done

before=$(date -u +%s)
guest rtc 0 rtc.mb
after=$(date -u +%s)
time=$(date -u -d "$(fact time)" +%s 2>/dev/null || echo 0)
check "rtc: the host's time ($(fact time))" test "$time" -ge "$((before - 1))" -a "$time" -le "$((after + 1))"

guest i8042 0 i8042.mb
guest pci 0 pci.mb

# The quiet ones.
run poke.mb -p "ob:0x80:0x42 ib:0x80:0x42 ob:0x80:0x17 ib:0x80:0x17 done exit:0"
relay "POST port"
ends "POST port" 0
run poke.mb -p "ib:0xe9:0xe9 ib:0x402:0xe9 done exit:0"
relay "debug consoles"
ends "debug consoles" 0
# "hey\n" and "you\n"
run poke.mb -p "ob:0xe9:0x68 ob:0xe9:0x65 ob:0xe9:0x79 ob:0xe9:10" \
	-p "ob:0x402:0x79 ob:0x402:0x6f ob:0x402:0x75 exit:0"
check "debug console 0xe9: its text comes out on stderr" err_has '^hey$'
check "debug console 0x402: so does a last line without an end" err_has '^you$'
check "debug consoles: nothing on stdout" test ! -s "$out"

run poke.mb -p "ib:0x505:0x03 done exit:0"
relay pvpanic
ends pvpanic 0

run poke.mb --boot-timer -p "ob:0x3f0:123 w8:0xc0000000:124 w32:0xc0000ffc:125 exit:0"
ends "boot timer" 0
check "boot timer: by its port" err_has 'reports 123 after [0-9]+\.[0-9]+ ms wall'
check "boot timer: by its page" err_has 'reports 124 after'
check "boot timer: at the page's end" err_has 'reports 125 after'
run poke.mb -p "ob:0x3f0:123 ib:0x3f0:0xff w8:0xc0000000:124 r32:0xc0000000:0xffffffff exit:0"
relay "without --boot-timer"
check "without --boot-timer: nothing is printed" test ! -s "$err"

run poke.mb -p "ol:0xe0:0x1234 il:0xe0:0xffffffff w32:0xff000000:1 r32:0xff000000:0xffffffff exit:0"
relay "without --testdev"
ends "without --testdev" 0

run poke.mb -p "ib:0x600:0 ib:0x601:0 ib:0x604:0 ob:0x604:0xff ib:0x604:0 ib:0x607:0 done exit:0"
relay "power registers"
ends "power registers" 0
finish
