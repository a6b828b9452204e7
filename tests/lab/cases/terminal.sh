# SPDX-License-Identifier: MIT
# lkvm on a terminal: raw mode, Ctrl-a h, Ctrl-a a, Ctrl-a x
# lab: arch=x86-64,arm64-gicv3,ppc64le,ppc-e500
#
# busybox telnetd makes the terminal, nc types on it.
port=2323
cat >login <<END
#!/bin/sh
cd $PWD
tty >tty
stty -a >before 2>/dev/null
lkvm run --name terminal -k $kernel -i $initrd --console serial -p "quiet lab=shell,poweroff"
echo \$? >status
stty -a >after 2>/dev/null
END
chmod +x login
telnetd -F -b 127.0.0.1:$port -l "$PWD/login" &
server=$!
must "telnetd listens" within 30 grep -qi "$(printf ':%04X .* 0A ' $port)" /proc/net/tcp
mkfifo terminal.in
vm=terminal
touch terminal.out terminal.err
nc 127.0.0.1 $port <terminal.in >terminal.out &
vm_pid=$!
exec 3>terminal.in
up
check "lkvm runs on a terminal" grep -q /dev/ tty
must "there is a prompt" hears "LAB# " 60
type_line 'echo one-$((20 + 3))'
check "a typed command is run" hears "one-23" 30
# By one process, which has the terminal when it speaks: a shell that still starts another may miss a Ctrl-c.
type_line "sh -c 'echo hang-\$((1 + 1)); exec sleep 1000'"
check "a command hangs" hears "hang-2" 30
# Its echo may be lost in the guest, which throws away what is on its way when a signal comes.
prompts=$(grep -aEc 'LAB# ' "$vm.out")
printf '\003' >&3
check "Ctrl-c is the guest's" hears_times $((prompts + 1)) 'LAB# ' 30
type_line 'echo two-$((20 + 3))'
check "there is a prompt again" hears "two-23" 30
type_line 'read -r x; echo "<$x>" | od -An -c'
printf '\001a\n' >&3
check "Ctrl-a a sends a Ctrl-a" hears '< 001   >' 30
printf '\001h' >&3
check "Ctrl-a h prints help" hears "[Cc]trl-a x|C-a x" 30
printf '\001x' >&3
check "Ctrl-a x ends the VM" within 30 [ -s after ]
check "lkvm's exit status is 35" [ "$(cat status)" = 35 ]
check "the terminal is as it was" cmp before after
check "and it was a terminal" grep -q speed before
exec 3>&-
kill "$server"
