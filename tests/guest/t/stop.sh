#!/bin/sh
# SPDX-License-Identifier: MIT
# A guest that does not end by itself: time-out and signals, while it spins, halts, or has just begun.
. "$(dirname "$0")/../lib.sh"

for how in spin hlt; do
	run poke.mb -p "say:here $how" --timeout 1
	ends "--timeout 1, guest in $how" 124
	check "--timeout 1, guest in $how: says so" err_has '[Tt]ime'

	for signal in TERM:143 INT:130; do
		start poke.mb -p "say:here $how"
		check "SIG${signal%:*}, guest in $how: it runs" within 20 out_has '^here$'
		kill -"${signal%:*}" "$vm_pid"
		await
		ends "SIG${signal%:*}, guest in $how" "${signal#*:}"
	done
done

# Two vCPUs, one of which never started: it waits in KVM_RUN for a start-up IPI.
start poke.mb -c 2 -p "say:here spin"
check "SIGTERM with a vCPU that waits: it runs" within 20 out_has '^here$'
kill -TERM "$vm_pid"
await
ends "SIGTERM with a vCPU that waits" 143

# Registers of a running guest, which goes on.
start poke.mb -p "say:here spin"
check "SIGUSR1: it runs" within 20 out_has '^here$'
kill -USR1 "$vm_pid"
check "SIGUSR1: registers are printed" within 20 err_has '(rip|RIP|eip)'
check "SIGUSR1: the VM goes on" alive
kill -TERM "$vm_pid"
await
ends "SIGUSR1, then SIGTERM" 143

# A guest that says nothing at all, and lkvm started with its stdin closed.
run poke.mb -p hlt --timeout 1
ends "silent and halted" 124
check "silent and halted: no output" test ! -s "$out"
"$LKVM" run -k "$payloads/hello.mb" --nodefaults -p code=3 <&- >"$out" 2>"$err"
status=$?
ends "stdin closed" 3
"$LKVM" run -k "$payloads/hello.mb" --nodefaults -p code=4 </dev/null >/dev/full 2>"$err"
status=$?
ends "stdout full" 4
finish
