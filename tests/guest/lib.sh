# SPDX-License-Identifier: MIT
# shellcheck shell=dash
#
# What the guest tests (t/*.sh) are made of: each sources this file, runs payloads under lkvm with a bound,
# and makes points of TAP out of what the guest says and of how lkvm ends. Run one by hand, after
# `make guest-payloads`: sh tests/guest/t/boot.sh
#
# rt/guest.h says what a payload's lines mean.

top=$(cd "$(dirname "$0")/../../.." && pwd)
: "${TEST_O:=build/x86}" "${LKVM:=$top/lkvm}"
case $TEST_O in /*) payloads=$TEST_O/tests/guest ;; *) payloads=$top/$TEST_O/tests/guest ;; esac
# Ends what is stuck, never judges speed: the emulator behind this machine's KVM may be slow.
BOUND=60
points=0 failed=0 vm_pid='' status=''
dir=$(mktemp -d "${TMPDIR:-/tmp}/lkvm-guest.XXXXXX")
out=$dir/out err=$dir/err

cleanup() {
	[ -z "$vm_pid" ] || kill -KILL "$vm_pid" 2>/dev/null || :
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}
[ -e /dev/kvm ] || skip_all "this machine has no /dev/kvm"
{ [ -r /dev/kvm ] && [ -w /dev/kvm ]; } || skip_all "no permission on /dev/kvm"
[ -x "$LKVM" ] || { echo "Bail out! $LKVM is not there: make"; exit 1; }

diag() { printf '%s\n' "$*" | cut -c1-300 | sed 's/^/# /'; }

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

# is TEXT GOT WANT
is() {
	if [ "$2" = "$3" ]; then
		result ok "$1"
	else
		result "not ok" "$1"
		diag "got:      $2"
		diag "expected: $3"
	fi
}

# check TEXT COMMAND...: what the command says shows only on failure
check() {
	check_text=$1
	shift
	"$@" >"$dir/check.log" 2>&1
	check_status=$?
	# For a look at what this one said by the next.
	cp "$dir/check.log" "$dir/last.log"
	if [ "$check_status" -eq 0 ]; then
		result ok "$check_text"
	else
		result "not ok" "$check_text"
		diag "command: $*"
		diag "$(head -n 10 "$dir/check.log")"
		show
		return 1
	fi
}

# show: the end of what the guest and lkvm said
show() {
	diag "guest:" && diag "$(tail -n 5 "$out" | tr -cd '\t\n -~')"
	diag "lkvm:" && diag "$(tail -n 8 "$err" | tr -cd '\t\n -~')"
}

# relay TITLE: the guest's own points become ours
relay() {
	tr -d '\r' <"$out" | tr -cd '\t\n -~' | grep -E '^(ok |not ok |# )' >"$dir/points" || :
	while read -r first rest; do
		case $first in
		ok) result ok "$1: $rest" ;;
		not) result "not ok" "$1: ${rest#ok }" ;;
		*) echo "$first $rest" ;;
		esac
	done <"$dir/points"
}

# fact NAME: the guest's "= NAME VALUE"
fact() {
	tr -d '\r' <"$out" | sed -n "s/^= $1 //p" | head -n 1
}

# err_has PATTERN, out_has PATTERN (extended regular expressions)
err_has() { grep -qE -e "$1" "$err"; }
out_has() { tr -d '\r' <"$out" | grep -qE -e "$1"; }

# run PAYLOAD OPTION...: runs it to its end; $status, $out and $err tell. stdin is $input, or empty.
input=/dev/null
run() {
	payload=$1
	shift
	timeout -k 5 "$BOUND" "$LKVM" run -k "$payloads/$payload" --nodefaults "$@" <"$input" >"$out" 2>"$err"
	status=$?
}

# guest TITLE STATUS PAYLOAD OPTION...: a payload that makes its own points and says "done"
guest() {
	guest_title=$1 guest_status=$2
	shift 2
	run "$@"
	relay "$guest_title"
	check "$guest_title: the payload came to its end" out_has '^done$' || :
	ends "$guest_title" "$guest_status"
}

# ends TITLE STATUS: how the run must have ended
ends() {
	if [ "$status" = "$2" ]; then
		result ok "$1: exit status $2"
	else
		result "not ok" "$1: exit status $2"
		diag "got: $status"
		show
	fi
}

# start PAYLOAD OPTION...: runs it beside us; its pid is $vm_pid, its input is file descriptor 3
start() {
	payload=$1
	shift
	rm -f "$dir/in"
	mkfifo "$dir/in"
	: >"$out"
	: >"$err"
	"$LKVM" run -k "$payloads/$payload" --nodefaults "$@" <"$dir/in" >"$out" 2>"$err" &
	vm_pid=$!
	exec 3>"$dir/in"
}

alive() { kill -0 "$vm_pid" 2>/dev/null; }

# within SECONDS COMMAND...: try again until it succeeds, or the bound has passed
within() {
	tries=$(($1 * 20))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

gone() { ! alive; }

# await: waits for the end of what start() began; $status
await() {
	exec 3>&-
	if within "$BOUND" gone; then
		wait "$vm_pid"
		status=$?
	else
		kill -KILL "$vm_pid"
		wait "$vm_pid" 2>/dev/null
		status=stuck
	fi
	vm_pid=
}

finish() {
	echo "1..$points"
	exit "$failed"
}
