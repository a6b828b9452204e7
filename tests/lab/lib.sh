# SPDX-License-Identifier: MIT
# shellcheck shell=dash
#
# What the cases are made of. L1 runs `sh /lab/lib.sh CASE` in the case's own folder /run/lab/CASE;
# this file sources the case at its end. A case starts VMs and makes checks; each check is one line
# of TAP, a failed one lets the case go on, a failed `must` ends it.
#
# One VM at a time has the word: $vm is its name, $vm_pid its lkvm's process, $vm.out what the guest
# wrote to the console, $vm.err what lkvm said, file descriptor 3 its console input.
#
# Guests are slow here (a kernel needs 20 s and more), and slower on a busy machine: a bound is there
# to end what is stuck, never to judge speed. Rows that are slower still have all of them longer ($SLOW).

# shellcheck source=/dev/null
. /lab/conf		# names of the architecture's row
case=$1
# shellcheck disable=SC2034	# for the cases
kernel=/guest/vmlinuz initrd=/guest/initrd
BOOT=150		# bound, in seconds, from start to user space
points=0 failed=0 vm='' vm_pid=''
: >tap

diag() {
	echo "$*" | sed 's/^/# /' >>tap
}

# result ok|"not ok" TEXT
result() {
	points=$((points + 1))
	echo "$1 $points - $2" >>tap
	[ "$1" = ok ] || failed=1
}

# check TEXT COMMAND...: a point; what the command says shows only on failure
check() {
	local text="$1"
	shift
	if "$@" >check.log 2>&1; then
		result ok "$text"
	else
		result "not ok" "$text"
		diag "command: $*"
		[ ! -s check.log ] || diag "$(head -n 20 check.log)"
		return 1
	fi
}

# must TEXT COMMAND...: a check without which the rest makes no sense
must() {
	check "$@" || finish
}

skip() {
	echo "# SKIP $*" >>tap
	exit 77
}

finish() {
	trap '' TERM
	if [ "$failed" != 0 ] && [ -n "$vm" ]; then
		diag "end of $vm.out:" && diag "$(tail -n 5 "$vm.out" | tr -cd '\t\n -~')"
		[ ! -s "$vm.err" ] || diag "end of $vm.err:" "$(tail -n 10 "$vm.err")"
	fi
	echo "1..$points" >>tap
	exit "$failed"
}

# seconds: since L1's start, without a process
seconds() {
	local up
	read -r up _ </proc/uptime
	now=${up%.*}
}

# within SECONDS COMMAND...: try again until it succeeds, or the bound has passed
within() {
	local end
	seconds
	end=$((now + $1 * ${SLOW:-1}))
	shift
	until "$@"; do
		seconds
		[ "$now" -lt "$end" ] || return 1
		usleep 200000
	done
}

# ctl VERB ARGS...: a verb other than run, its output in ctl.out
ctl() {
	timeout -s KILL 30 lkvm "$@" >ctl.out 2>ctl.err
	local status=$?
	cat ctl.out ctl.err
	return $status
}

# vm_start NAME OPTIONS...: lkvm run in the background
vm_start() {
	vm=$case-$1
	shift
	rm -f "$vm.in"
	mkfifo "$vm.in"
	# shellcheck disable=SC2086	# in a network namespace, or not
	${ns_pid:+nsenter -t $ns_pid -n} ${lkvm_run:-lkvm} run --name "$vm" "$@" \
		<"$vm.in" >"$vm.out" 2>"$vm.err" &
	vm_pid=$!
	exec 3>"$vm.in"
}

# boot NAME OPTIONS...: the stock kernel with the lab's initramfs on the serial console
boot() {
	local name=$1
	shift
	vm_start "$name" -k "$kernel" -i "$initrd" --console serial "$@"
}

# refused NAME REGEX OPTIONS...: lkvm ends at once, and says one line, which is that
refused() {
	local name=$1 regex=$2
	shift 2
	vm_start "$name" "$@"
	ends 1 30
	check "$name: it says why, and what to do" grep -Exq -- "lkvm: $regex" "$vm.err"
	check "$name: in one line" [ "$(wc -l <"$vm.err")" = 1 ]
	diag "$(cat "$vm.err")"
}

# vm_gone: lkvm is over (gone, or a zombie that vm_wait has not reaped)
vm_gone() {
	local pid comm state rest
	# shellcheck disable=SC2034
	read -r pid comm state rest <"/proc/$vm_pid/stat" || return 0
	[ "$state" = Z ]
} 2>/dev/null

# vm_wait SECONDS: wait for lkvm's end; its exit status in $vm_status
vm_wait() {
	vm_status=none
	within "$1" vm_gone || return 1
	wait "$vm_pid"
	vm_status=$?
	exec 3>&-
}

# ends STATUS SECONDS: a check of how this VM ends
ends() {
	check "lkvm ends by itself" vm_wait "$2" || {
		kill -KILL "$vm_pid"
		return 1
	}
	check "exit status is $1" [ "$vm_status" = "$1" ] || diag "it was $vm_status"
}

# says REGEX: the guest has written it
says() {
	grep -aEq "$1" "$vm.out"
}

says_or_gone() {
	says "$1" || vm_gone
}

# hears REGEX SECONDS: wait until the guest writes it; no longer than the VM lives
hears() {
	within "$2" says_or_gone "$1"
	says "$1"
}

# hears_times N REGEX SECONDS: the same for the Nth line that matches
hears_times() {
	within "$3" times_or_gone "$1" "$2"
	[ "$(grep -aEc "$2" "$vm.out")" -ge "$1" ]
}

times_or_gone() {
	[ "$(grep -aEc "$2" "$vm.out")" -ge "$1" ] || vm_gone
}

# up: the guest reaches user space, or the case is over
up() {
	must "the guest reaches user space" hears LAB-USERSPACE "$BOOT"
}

# type TEXT: a line typed at the console
type_line() {
	echo "$1" >&3
}

# info KEY: what the guest's init printed as "LAB-INFO key=value"
info() {
	sed -n "s/^LAB-INFO $1=//p" "$vm.out" | tr -d '\r' | tail -n 1
}

# between LOW VALUE HIGH
between() {
	[ -n "$2" ] && [ "$1" -le "$2" ] && [ "$2" -le "$3" ]
}

# one_of WORD "WORD WORD...": is it one of these?
one_of() {
	case " $2 " in
	*" $1 "*) [ -n "$1" ] ;;
	*) return 1 ;;
	esac
}

# no_passt: its process is over
no_passt() {
	within 10 sh -c '! pidof passt'
}

# netns: a network of its own for the VMs of this case and for commands given to in_ns
netns() {
	unshare -n sleep 10000 &
	ns_pid=$!
	within 10 other_net
	in_ns ip link set lo up
}

other_net() {
	[ "$(readlink /proc/$ns_pid/ns/net)" != "$(readlink /proc/self/ns/net)" ]
}

in_ns() {
	nsenter -t "$ns_pid" -n "$@"
}

# sum_of FILE: as the guest's init prints it
sum_of() {
	echo "$(md5sum <"$1" | cut -c1-32)/$(wc -c <"$1")"
}

# private_kib RAM [writable]: lkvm's private memory beside the guest's, which is what is mapped by RAM KiB and
# more; of all mappings, or of those alone that can be written to
private_kib() {
	awk -v guest="$1" -v writable="${2:-}" '
		/^[0-9a-f]+-[0-9a-f]+ / { ram = 0; mine = !writable || $2 ~ /w/ }
		/^Size:/ && $2 >= guest + 0 { ram = 1 }
		/^Private_(Clean|Dirty):/ && !ram && mine { kib += $2 }
		END { print kib }' "/proc/$vm_pid/smaps"
}

# rss_mib: what lkvm holds of L1's memory
rss_mib() {
	awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$vm_pid/status"
}

# clean_log: no line of a guest's kernel that tells of a machine not as it should be. What the CPU
# that QEMU emulates brings about, in L1 as well, is not the guest machine's fault.
clean_log() {
	! grep -aE '^\[' "$vm.out" | grep -vE "$cpu_says" | grep -E "$complaints"
}
complaints='\[Firmware (Bug|Warn)|WARNING:|BUG:|Unable to|ioremap.*(fail|on RAM)|[Cc]an.t (find|read)'
complaints=$complaints"|irq .*nobody cared|[Ss]purious|[Mm]issing|$COMPLAINTS"
cpu_says=${CPU_SAYS:-^$}
[ "$ARCH" != x86-64 ] || grep -q constant_tsc /proc/cpuinfo ||
	cpu_says="$cpu_says|Marking TSC unstable due to TSCs unsynchronized"

# row_is WORD: is this that row, or one of that architecture?
row_is() {
	[ "$1" = "$row" ] || [ "$1" = "$ARCH" ]
}

# irq NAME LOW: the guest has had at least LOW interrupts on a line of its /proc/interrupts that matches
irq() {
	awk -v name="$1" -v low="$2" '/^LAB-IRQ/ && $0 ~ name {
			for (i = 3; $i ~ /^[0-9]+$/; i++) n += $i
			found = 1
		}
		END { exit !(found && n >= low) }' "$vm.out"
}

# each_timer N: each of N CPUs of the guest has had timer interrupts
each_timer() {
	awk -v t="$GUEST_TIMER" -v cpus="$1" '$0 ~ t { for (i = 3; i < 3 + cpus; i++) if ($i > 0) n++ }
		END { exit n != cpus }' "$vm.out"
}

# keep FILE: a result that the host gets even when the case passes
keep() {
	mkdir -p keep
	cp "$1" keep
}

# payload NAME: its path, for lkvm run -k; without it the case is skipped
payload() {
	[ -f "/payload/$1" ] || skip "no payload $1"
	payload=/payload/$1
}

# nothing_left: of this VM no process and no socket
nothing_left() {
	! ls /run/lkvm/*"$vm"* 2>/dev/null
}

# listed REGEX: lkvm list has a line like it
listed() {
	ctl list && grep -Eq "$1" ctl.out
}

# fails COMMAND...: it ends with a status other than 0, and not by a signal
fails() {
	"$@"
	between 1 $? 125
}

# more_lines N: the guest has written more than N lines
more_lines() {
	[ "$(wc -l <"$vm.out")" -gt "$1" ]
}

# still: a second passes without output
still() {
	local before
	before=$(wc -c <"$vm.out")
	sleep 1
	[ "$(wc -c <"$vm.out")" = "$before" ]
}

# kvm_stat NAME: KVM's own counter of this VM
kvm_stat() {
	cat "/sys/kernel/debug/kvm/$vm_pid"-*/"$1" 2>/dev/null | head -n 1
}

# user_exits: returns of KVM_RUN to lkvm so far, "TOTAL reason=N reason=N ...", by the tracepoint's
# histogram. An errno other than 0 (a signal) has no reason of its own.
user_exits() {
	local tasks
	tasks=$(ls "/proc/$vm_pid/task" | tr '\n' ' ')
	awk -v tasks="$tasks" '
	BEGIN {
		split("0=unknown 2=io 4=debug 5=hlt 6=mmio 7=irq-window 8=shutdown 9=fail-entry" \
			" 10=intr 17=internal-error 24=system-event 26=ioapic-eoi 28=nisv 29=rdmsr" \
			" 30=wrmsr", w, " ")
		for (i in w) { split(w[i], p, "="); name[p[1]] = p[2] }
		n = split(tasks, w, " ")
		for (i = 1; i <= n; i++) mine[w[i]] = 1
	}
	/common_pid:/ {
		gsub(/[{},:]/, " ")
		for (i = 1; i < NF; i++) v[$i] = $(i + 1)
		if (!(v["common_pid"] in mine)) next
		reason = v["errno"] != 0 ? "signal" : v["reason"] in name ? name[v["reason"]] : v["reason"]
		count[reason] += v["hitcount"]
		total += v["hitcount"]
	}
	END {
		line = total + 0
		for (r in count) line = line " " r "=" count[r]
		print line
	}' /sys/kernel/tracing/events/kvm/kvm_userspace_exit/hist
}

# figures BOUND: print this VM's exits so far and check those to user space
figures() {
	local exits stats='' stat
	exits=$(user_exits)
	for stat in $KVM_STATS; do
		stats="$stats $stat=$(kvm_stat "$stat")"
	done
	diag "KVM's counters:$stats"
	diag "exits to user space: $exits (bound $1)"
	check "exits to user space are counted" [ "${exits%% *}" -gt 0 ]
	check "at most $1 exits to user space up to its first line" [ "${exits%% *}" -le "$1" ]
}

# json FILE: is each line of it, or all of it, one JSON value? Words and strings become v, then arrays
# and objects fold from the inside out.
json() {
	awk '
	{ text = text $0 " " }
	END {
		gsub(/\\./, "_", text)
		gsub(/"[^"]*"/, "s", text)
		gsub(/-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?/, "v", text)
		gsub(/true|false|null/, "v", text)
		gsub(/[ \t\r]/, "", text)
		do {
			before = text
			gsub(/\[\]|\[[sv](,[sv])*\]|\{\}|\{s:[sv](,s:[sv])*\}/, "v", text)
		} while (text != before)
		exit text !~ /^[sv]+$/
	}' "$1"
}

trap 'result "not ok" "the case ends within its bound"; [ -z "$vm_pid" ] || kill -KILL "$vm_pid"; finish' TERM

# shellcheck source=/dev/null
. "/lab/cases/$case.sh"
finish
