# SPDX-License-Identifier: MIT
# shellcheck shell=dash
#
# What the tests of the command line are made of: each sources this file, runs $LKVM with a bound, and makes
# points of TAP out of what it says and of its status. Those that make VMs call need_kvm first.

top=$(cd "$(dirname "$0")/../.." && pwd)
: "${LKVM:=$top/lkvm}"
BOUND=60 # ends what is stuck, never judges speed
points=0 failed=0 vm_pid=''
tmp=$(mktemp -d "${TMPDIR:-/tmp}/lkvm-cli.XXXXXX")
out=$tmp/out err=$tmp/err
# Control sockets of our own: what else runs on this machine is none of our business.
mkdir -m 700 "$tmp/xdg" "$tmp/work"
export XDG_RUNTIME_DIR="$tmp/xdg"
cd "$tmp/work" || exit 1

cleanup() {
	[ -z "$vm_pid" ] || kill -KILL "$vm_pid" 2>/dev/null || :
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ -x "$LKVM" ] || {
	echo "Bail out! $LKVM is not there: make"
	exit 1
}

diag() { printf '%s\n' "$*" | head -n 15 | cut -c1-300 | sed 's/^/# /'; }

# result ok|"not ok" TEXT
result() {
	points=$((points + 1))
	echo "$1 $points - $2"
	[ "$1" = ok ] || failed=1
}

skip() {
	points=$((points + 1))
	echo "ok $points - $1 # SKIP $2"
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

# need_kvm: the rest makes VMs
need_kvm() {
	[ -e /dev/kvm ] || skip_all "this machine has no /dev/kvm"
	if [ ! -r /dev/kvm ] || [ ! -w /dev/kvm ]; then
		skip_all "no permission on /dev/kvm"
	fi
}

# lkvm ARGUMENT...: sets $status; what it says is in $out and $err
lkvm() {
	timeout -k 5 $BOUND "$LKVM" "$@" >"$out" 2>"$err" </dev/null
	status=$?
}

# show: what lkvm said last
show() {
	diag "status $status"
	diag "stdout: $(head -n 8 "$out")"
	diag "stderr: $(head -n 8 "$err")"
}

# ok TEXT CONDITION...: a command; what lkvm said shows when it fails
ok() {
	ok_text=$1
	shift
	if "$@"; then
		result ok "$ok_text"
	else
		result "not ok" "$ok_text"
		diag "condition: $*"
		show
	fi
}

# refused STATUS "PART" ARGUMENT...: that status, nothing on stdout, one line on stderr with that part in it,
# nothing left behind
refused() {
	want=$1 part=$2
	shift 2
	lkvm "$@"
	left=$(ls "$tmp/xdg/lkvm" 2>/dev/null)
	if [ "$status" = "$want" ] && [ ! -s "$out" ] && [ "$(wc -l <"$err")" = 1 ] && [ -z "$left" ] &&
		grep -q '^lkvm: ' "$err" && grep -qF -- "$part" "$err"; then
		result ok "lkvm $*: status $want, one line: $part"
	else
		result "not ok" "lkvm $*: status $want, one line: $part"
		show
		diag "left: $left"
	fi
}

# wait_for COMMAND...: until it succeeds, for $BOUND seconds at the most
wait_for() {
	tries=$((BOUND * 50))
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		# The step between two looks, not what is waited for.
		sleep 0.02
	done
}

finish() {
	echo "1..$points"
	exit $failed
}
