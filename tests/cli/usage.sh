#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Mistakes on the command line: each is one line that names the word and what to do, and status 2.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

# Options that are not, or not so.
refused 2 'run: unknown option --memm: did you mean --mem?' run --memm 64
refused 2 'run: unknown option --kernal: did you mean --kernel?' run --kernal=x
refused 2 'run: unknown option -mem: did you mean --mem?' run -mem 64
refused 2 'run: unknown option --frobnicate: "lkvm help run" lists them all' run --frobnicate
refused 2 'run: unknown option -Z: "lkvm help run" lists them all' run -Z
refused 2 'run: --mem is given twice: leave one of them out' run -k x -m 64 --mem 64
refused 2 'run: -k is given twice' run -k x -k x
refused 2 'run: --testdev is given twice' run -k x --testdev --testdev
refused 2 'run: -k needs an argument: -k FILE' run -k
refused 2 'run: --mem needs an argument: --mem SIZE' run -k x --mem
refused 2 'run: -k needs an argument' run -k -m 64
refused 2 'run: --kernel needs an argument that is not empty' run --kernel=
refused 2 'run: --dry-run takes no argument: leave out "yes"' run -k x --dry-run=yes

# Memory.
refused 2 'run: -m 0: too small: the least is 1M' run -k x -m 0
refused 2 'run: -m 1K: too small: the least is 1M' run -k x -m 1K
refused 2 'run: -m 64Q: not a size' run -k x -m 64Q
refused 2 'run: -m -5: not a size' run -k x -m -5
refused 2 'run: --mem 1025K: not a multiple of the host' run -k x --mem 1025K
refused 2 'run: -m 99999999999999999999: too large' run -k x -m 99999999999999999999
if [ "$(cat /proc/sys/vm/overcommit_memory 2>/dev/null)" = 1 ]; then
	skip "more memory than the host has" "vm.overcommit_memory is 1"
else
	refused 2 'run: --mem 3000T: more than this host has' run -k x -m 3000T
fi

# vCPUs.
refused 2 'run: -c 0: too small: the least is 1' run -k x -c 0
refused 2 'run: -c 4097: too large: the most is 4096' run -k x -c 4097
refused 2 'run: --cpus two: not a number' run -k x --cpus two
for list in x 1- 3-1 '0,,1' '0,' 1024 -1; do
	refused 2 "--vcpu-affinity $list: not a list of CPUs: give 0-3,6 or the like" \
		run -k x "--vcpu-affinity=$list"
done

# Words and names.
refused 2 'run: "y": one kernel only, and "x" is it' run x y
refused 2 'run: "y": the kernel is named already by --kernel x' run -k x y
refused 2 '--name "a/b": no name for a VM' run -k x --name a/b
refused 2 '--name ".x": no name for a VM' run -k x --name .x
refused 2 '--name "": no name for a VM' run -k x --name ''
refused 2 '--console hv: no such console: give serial' run -k x --console hv
refused 2 '--tty 4: no such console: give 0 to 3' run -k x --tty 4
refused 2 '--loglevel loud: give error, warning, info or debug' run -k x --loglevel loud
refused 2 '--on-reboot never: give exit or restart' run -k x --on-reboot never
refused 2 '--boot efi: give auto, bzimage, elf64, pvh, multiboot or flat' run -k x --boot efi
refused 2 'run: --timeout 0: too small: the least is 1' run -k x --timeout 0
refused 2 '--hugetlbfs and --shared-mem exclude each other' run -k x --hugetlbfs /h --shared-mem

# Networks; what needs a host's interfaces is tests/unit/test-net-tap.c's.
refused 2 '--network: mode=nat: give user, tap or macvtap' run -k x -n mode=nat
refused 2 '--network: mac=02:00: no address' run -k x -n mode=user,mac=02:00
refused 2 '--network: mac=01:00:00:00:00:00: a multicast address' run -k x -n mode=user,mac=01:00:00:00:00:00
refused 2 '--network: forward=tcp:80: give tcp:' run -k x -n mode=user,forward=tcp:80
refused 2 '--network: mode=macvtap takes ifname=' run -k x -n mode=macvtap
refused 2 '--network: tap= goes with mode=tap only' run -k x -n mode=user,tap=tap0
refused 2 '--network: no such key "forwards": did you mean forward?' run -k x -n mode=user,forwards=tcp:1:2

# The other verbs.
for verb in list pause resume stop resize link debug; do
	refused 2 "$verb: unknown option --frob" $verb --frob
	refused 2 "$verb: \"word\": takes no such word" $verb word
	refused 2 "$verb: -n needs an argument: -n NAME" $verb -n
	refused 2 "$verb: --json is given twice" $verb --json --json
	refused 1 "none: no VM of that name is running" $verb -n none
done
for verb in pause resume stop resize link debug; do
	refused 2 "$verb: --name and --all exclude each other" $verb -a -n x
	refused 1 "$verb: no VM is running" $verb
	refused 1 "$verb: no VM is running" $verb -a
done
refused 2 'stop: --timeout 90000: too large: the most is 86400' stop --timeout 90000
refused 2 'link: --up and --down exclude each other' link --up --down
refused 2 'debug: --nmi prints nothing' debug --nmi 0 --irqchip
refused 2 'debug: --vcpu x: not a number' debug --vcpu x
lkvm list
ok "list of no VM: nothing, status 0" eval "[ $status = 0 ] && [ ! -s '$out' ] && [ ! -s '$err' ]"
lkvm list --json
ok "list --json of no VM: an empty array" eval "[ $status = 0 ] && [ \"\$(cat '$out')\" = '[]' ]"

# The folder of the control sockets.
mkdir "$tmp/other"
ln -s "$tmp/other" "$tmp/xdg/lkvm"
refused 1 "is no directory of its own: remove it" list
rm "$tmp/xdg/lkvm"
mkdir -m 755 "$tmp/xdg/lkvm"
refused 1 "is open to others: chmod 700 it" list
rmdir "$tmp/xdg/lkvm"

# A reader that goes away is no failure of lkvm's, and nothing hangs.
"$LKVM" help run 2>"$err" | true
ok "help into a closed pipe says nothing on stderr" [ ! -s "$err" ]

finish
