#!/bin/sh
# SPDX-License-Identifier: MIT
# Every way in which a guest ends its VM, and the exit status of each.
. "$(dirname "$0")/../lib.sh"

# poke TITLE STATUS WORDS [OPTION...]
poke() {
	title=$1 want=$2 words=$3
	shift 3
	run poke.mb -p "say:here $words" "$@"
	ends "$title" "$want"
	check "$title: what was printed before is there" out_has '^here$'
}

poke "exit code 0" 0 ob:0xf4:0
poke "exit code 5" 5 ob:0xf4:5
poke "exit code 255" 255 ob:0xf4:0xff
poke "exit code, 2 bytes wide" 66 ow:0xf4:0x1242
poke "exit code, 4 bytes wide" 67 ol:0xf4:0x12345643
poke "exit code by memory" 68 w32:0xc0001000:68
poke "exit code by memory, a byte" 69 w8:0xc0001000:69
poke "exit code by the fourth port" 70 ob:0xf7:70
poke "exit code as isa-debug-exit has it" 11 ob:0xf4:5 --testdev
poke "exit code 0 as isa-debug-exit has it" 1 ob:0xf4:0 --testdev

poke "power off" 0 ob:0x600:0x34
poke "a sleep that is none, then an exit code" 9 "ob:0x600:0x30 ob:0x600:0x14 ob:0x600:0x24 ob:0xf4:9"
poke "reset by the reset register" 32 ob:0x602:0x42
poke "another value is no reset" 9 "ob:0x602:0x41 ob:0x602:0x06 ob:0xf4:9"
poke "reset by the keyboard controller" 32 ob:0x64:0xfe
poke "reset by the keyboard controller's output port" 32 "ob:0x64:0xd1 ob:0x60:0xfe"
poke "a pulse of other lines is no reset" 9 "ob:0x64:0xff ob:0xf4:9"
poke "a panic" 34 ob:0x505:1
poke "a panic, whatever follows it" 34 "ob:0x505:1 ob:0x602:0x42"
poke "a panic with a crash kernel is none yet" 9 "ob:0x505:2 ob:0xf4:9"

poke "triple fault" 33 triple
check "triple fault: says so" err_has '[Tt]riple fault'
check "triple fault: prints registers" err_has '(rip|RIP|eip)'
check "triple fault: prints the code at it" err_has '([0-9a-f]{2} ){4}'
# Where KVM has an emulator at work that knows no XRSTOR, an internal error; where not, a fault.
poke "an instruction that may not be emulated" 33 xrstor
if ! err_has '[Tt]riple fault'; then
	check "internal error: says so" err_has 'cannot emulate'
	check "internal error: prints registers" err_has '(rip|RIP|eip)'
	check "internal error: prints the code at it" err_has '0f ae 2d'
else
	skip "internal error" "this machine's KVM runs that instruction"
fi

# Restart: the same guest again, until the bound ends it.
run poke.mb -p "say:again ob:0x602:0x42" --on-reboot=restart --timeout 2
ends "restart" 124
check "restart: more than once" test "$(grep -c again "$out")" -ge 2
finish
