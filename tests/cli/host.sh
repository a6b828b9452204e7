#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the host lacks: KVM, the permission for it, a kernel to take.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

refused 1 "$tmp/nothing: " run -k x --dev "$tmp/nothing"
ok "the line says what to do" grep -q 'module' "$err"
refused 1 '/dev/null: not a KVM device' run -k x --dev /dev/null
mkdir dir
refused 1 'dir: ' run -k x --dev dir

# No permission: as somebody who has none. A file of mode 0 does for a device node.
: >node
chmod 0 node
if [ "$(id -u)" != 0 ]; then
	refused 1 'node: no permission' run -k x --dev node
	ok "the line names the group" grep -q 'group' "$err"
elif command -v setpriv >/dev/null; then
	chmod 755 "$tmp" "$tmp/work"
	cp "$LKVM" "$tmp/lkvm"
	chmod 755 "$tmp/lkvm"
	env -u XDG_RUNTIME_DIR setpriv --reuid 65534 --regid 65534 --clear-groups \
		timeout $BOUND "$tmp/lkvm" run -k x --dev node >"$out" 2>"$err" </dev/null
	status=$?
	if grep -q 'error while loading' "$err"; then
		skip "no permission on the device" "the libraries cannot be read by nobody"
	else
		ok "no permission on the device: status 1" [ $status = 1 ]
		ok "one line" eval "[ \$(wc -l <'$err') = 1 ] && grep -q 'node: no permission' '$err'"
		ok "the line names the group" grep -q 'group' "$err"
	fi
else
	skip "no permission on the device" "root has it, and there is no setpriv to be somebody else"
fi

# Huge pages that are not there are missed at the start, not when the guest touches them.
mkdir huge
if [ -w /dev/kvm ] && mount -t hugetlbfs -o size=2M none huge 2>/dev/null; then
	refused 1 '--hugetlbfs huge: too few free pages for 16 MiB' run -k x -m 16 --hugetlbfs huge
	umount huge
else
	skip "too few huge pages" "no KVM, or no right to mount a hugetlbfs"
fi

# No -k: looked for, and said.
if ls /boot/vmlinuz* >/dev/null 2>&1; then
	skip "no kernel anywhere" "this host has one in /boot"
else
	refused 2 'run: no kernel: none named by -k, and none to be read at bzImage, ' run
fi
: >bzImage
lkvm run --dev "$tmp/nothing"
ok "./bzImage is taken, and said" grep -q '^lkvm: no kernel was named: taking bzImage$' "$err"
lkvm run --dev "$tmp/nothing" --loglevel error
ok "and not said at --loglevel error" eval "! grep -q taking '$err'"

finish
