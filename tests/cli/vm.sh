#!/bin/sh
# SPDX-License-Identifier: MIT
#
# With VMs of a few instructions: images that are none, the ways to an exit status, the verbs on a live VM.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need_kvm
case $(uname -m) in x86_64) ;; *) skip_all "the payloads are x86 code" ;; esac

# --- images -------------------------------------------------------------------------------------------

: >empty
head -c 100 /dev/zero | tr '\0' Z >junk
head -c 3000 "$LKVM" >cut-elf
gzip -c "$LKVM" | head -c 5000 >cut-gzip
mkdir folder
refused 1 'nope: No such file or directory' run -k nope
refused 1 'folder: is a directory' run -k folder
refused 1 'empty: is empty' run -k empty
refused 1 'junk: no kernel that lkvm knows' run -k junk
refused 1 'cut-elf: truncated' run -k cut-elf
refused 1 'cut-gzip: ' run -k cut-gzip
refused 1 'junk: not a bzImage' run -k junk --boot bzimage
refused 1 'junk: not an ELF file' run -k junk --boot pvh

# --- exit statuses ------------------------------------------------------------------------------------

# payload FILE OCTAL...: 16-bit code, and behind it sti; hlt; jmp
payload() {
	file=$1
	shift
	# shellcheck disable=SC2059	# the escapes are the code
	printf "$*\\373\\364\\353\\375" >"$file"
}
payload sleeper ''
payload exit-0 '\260\000\346\364'   # mov al,0; out 0xf4,al
payload exit-77 '\260\115\346\364'  # mov al,77; out 0xf4,al
payload reset '\260\376\346\144'    # mov al,0xfe; out 0x64,al: the keyboard controller's reset
payload panic '\272\005\005\260\001\356' # mov dx,0x505; mov al,1; out dx,al: pvpanic
# cr0.pe = 1; lidt cs:[32], which holds a limit of 0; int3: triple fault, or more than an emulator can do
payload crash '\017\040\300\014\001\017\042\300\056\017\001\036\040\000\314'
head -c 32 /dev/zero >>crash

# ends STATUS TEXT ARGUMENT...
ends() {
	want=$1 text=$2
	shift 2
	lkvm run --boot flat -m 16 "$@"
	ok "$text: status $want" [ "$status" = "$want" ]
	ok "$text: no socket is left" [ -z "$(ls "$tmp/xdg/lkvm")" ]
}
ends 0 "the guest's code 0" -k exit-0
ends 77 "the guest's code 77" -k exit-77

# Networks that cannot be had are refused at the start.
none="run --boot flat -k exit-0 -n" # and a network that is not there
# shellcheck disable=SC2086	# words
{
	refused 1 'net0: tap nope0: there is no such interface: ip tuntap add' $none mode=tap,tap=nope0
	refused 1 'net0: fd 77: is not open' $none mode=tap,fd=77
	refused 1 'net0: macvtap nope0: there is no such interface' $none mode=macvtap,ifname=nope0
}
ends 0 "no network after all" -k exit-0 -n mode=tap,tap=nope0 -n none

# What KVM said of CPUID is remembered; what is damaged, or of another KVM, is asked for anew.
remembered=$tmp/xdg/lkvm/.cpuid
# Not to the byte: the answer holds the APIC id of whichever CPU it was asked on.
whole() {
	[ "$(wc -c <"$remembered")" = "$(wc -c <cpuid)" ] && cmp -s -n 24 cpuid "$remembered"
}
if [ -d /sys/devices/virtual/misc/kvm ]; then
	ok "CPUID is remembered" [ -s "$remembered" ]
	cp "$remembered" cpuid
	head -c 100 cpuid >"$remembered"
	ends 77 "CPUID remembered in part" -k exit-77
	ok "CPUID remembered in part: asked for anew" whole
	{ head -c 8 cpuid && head -c 8 /dev/zero && tail -c +17 cpuid; } >"$remembered"
	ends 77 "CPUID of another KVM" -k exit-77
	ok "CPUID of another KVM: asked for anew" whole
	rm "$remembered" && mkdir "$remembered"
	ends 77 "CPUID cannot be remembered" -k exit-77
	rmdir "$remembered"
fi
ends 155 "the guest's code 77 with --testdev" -k exit-77 --testdev
ends 32 "reset" -k reset
ends 34 "panic" -k panic
ends 33 "crash" -k crash
ok "crash: the registers are shown" grep -q 'rip ' "$err"
ends 124 "time over" -k sleeper --timeout 1
ok "time over: one line says so" eval "[ \$(wc -l <'$err') = 1 ] && grep -q -- --timeout '$err'"
ends 77 "the word is the kernel" exit-77
printf 'kernel exit-77\nboot flat\nmem 16\n' >vm
lkvm run --config vm
ok "all from a run file: status 77" [ "$status" = 77 ]
lkvm run --config vm -k exit-0
ok "with another kernel on the command line: status 0" [ "$status" = 0 ]
lkvm run --boot flat -k exit-77 -m 16 --dry-run
ok "--dry-run starts nothing" [ "$status" = 0 ]
ok "--dry-run prints the machine" [ -s "$out" ]

# start NAME ARGUMENT...: a VM in the background, up to its control socket
start() {
	name=$1
	shift
	"$LKVM" run --boot flat -k sleeper -m 16 --name "$name" "$@" >"$tmp/$name.out" 2>"$tmp/$name.err" \
		</dev/null &
	vm_pid=$!
	wait_for "$LKVM" list -n "$name" || diag "$name did not come up: $(cat "$tmp/$name.err")"
}
# ended STATUS TEXT: the VM that was started last
ended() {
	# timeout(1) bounds processes of its own only; wait_for has the bound here.
	wait_for eval "! kill -0 $vm_pid || [ \"\$(ps -o stat= -p $vm_pid | cut -c1)\" = Z ]"
	wait "$vm_pid"
	status=$?
	vm_pid=
	ok "$2: status $1" [ "$status" = "$1" ]
	ok "$2: no socket is left" [ -z "$(ls "$tmp/xdg/lkvm")" ]
}
for signal in TERM:143 HUP:129; do
	start sig
	kill -"${signal%:*}" "$vm_pid"
	ended "${signal#*:}" "SIG${signal%:*}"
done

# --- the verbs ------------------------------------------------------------------------------------------

# says STATUS TEXT ARGUMENT...: the verb's status and its line on stdout, or on stderr when it fails
says() {
	want=$1 text=$2
	shift 2
	lkvm "$@"
	if [ "$status" = "$want" ] && grep -qxF -- "$text" "$out" "$err"; then
		result ok "lkvm $*: $text"
	else
		result "not ok" "lkvm $*: status $want, $text"
		show
	fi
}
start one -c 2
lkvm list
ok "list has it" grep -qE "^one +$vm_pid +running +2 +16M +[0-9]+s$" "$out"
lkvm list --json
ok "list --json has it" grep -q "^\[{\"name\":\"one\",\"pid\":$vm_pid,\"state\":\"running\".*}\]$" "$out"
lkvm run --boot flat -k sleeper -m 16 --name one
ok "a second VM of that name: status 1" [ "$status" = 1 ]
ok "and one line" eval "[ \$(wc -l <'$err') = 1 ] && grep -q 'a VM of that name is running' '$err'"
says 0 'one: paused' pause
says 1 'lkvm: one: is paused already' pause -n one
lkvm list
ok "list shows it paused" grep -qE '^one .* paused ' "$out"
says 1 'lkvm: one: is paused and cannot react: resume it first, or give --force' stop
says 0 'one: resumed' resume -a
says 1 'lkvm: one: is not paused' resume
lkvm debug
ok "debug shows both vCPUs" eval "[ $status = 0 ] && grep -q '^vCPU 0 ' '$out' && grep -q '^vCPU 1 ' '$out'"
ok "debug shows registers" grep -q 'rip ' "$out"
ok "debug shows the interrupt controller" grep -q '^irqchip: ' "$out"
ok "debug shows the serial port" grep -q '^serial' "$out"
lkvm debug --vcpu 1
ok "debug --vcpu 1 shows that one" grep -q '^vCPU 1 ' "$out"
ok "and nothing else" eval "! grep -qE '^(vCPU 0|irqchip|serial)' '$out'"
lkvm debug --irqchip
ok "debug --irqchip shows that only" eval "grep -q '^irqchip: ' '$out' && ! grep -q '^vCPU ' '$out'"
lkvm debug --json
ok "debug --json is one line" [ "$(wc -l <"$out")" = 1 ]
if command -v python3 >/dev/null; then
	ok "debug --json is JSON, no key twice" python3 -c '
import json, sys
def once(pairs):
    keys = [k for k, v in pairs]
    assert len(keys) == len(set(keys)), keys
    return dict(pairs)
vm, = json.load(open(sys.argv[1]), object_pairs_hook=once)
assert len(vm["vcpus"]) == 2 and vm["irqchip"] and vm["devices"]' "$out" 2>"$err"
else
	skip "debug --json is JSON, no key twice" "no python3"
fi
says 1 'lkvm: one: it has no such vCPU' debug --vcpu 2
says 0 'one: vCPU 1 got an NMI' debug --nmi 1
start_pid=$vm_pid
start two
lkvm pause
ok "two VMs: which one?" eval "[ $status = 2 ] && grep -q 'which VM? Give -n NAME or -a: one, two' '$err'"
lkvm pause -a
ok "pause -a" [ "$(cat "$out")" = "one: paused
two: paused" ]
says 0 'two: ended' stop -n two --force --timeout 1
wait "$vm_pid"
status=$?
ok "stop --force: the VM's status is 35" [ $status = 35 ]
vm_pid=$start_pid
says 0 'one: resumed' resume
says 1 'lkvm: one: did not power off within 1 s: wait longer, or give --force' stop --timeout 1
says 0 'one: ended' stop --force --timeout 1
ended 35 "stop --force after the bound"
ok "the console stayed quiet" [ ! -s "$tmp/one.out" ]

# A VM that was killed leaves its socket; the next one of that name does not mind, and list cleans up.
start one
kill -KILL "$vm_pid"
wait "$vm_pid" 2>/dev/null
vm_pid=
ok "a killed VM leaves its socket" [ -S "$tmp/xdg/lkvm/one.sock" ]
start one
lkvm stop --force --timeout 0
ended 35 "a VM in the place of a killed one"
start one
kill -KILL "$vm_pid"
wait "$vm_pid" 2>/dev/null
vm_pid=
lkvm list
ok "list removes a stale socket" [ ! -e "$tmp/xdg/lkvm/one.sock" ]

finish
