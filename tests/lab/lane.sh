# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154	# names of run and of the row
#
# A lane: one QEMU with one L1 in it, to which it gives case after case; part of run, which starts each
# lane as a subshell. L1's side of the talk is l1-init. A lane says to run, by file descriptor 5, a
# line each (short enough that lines of two lanes do not mix):
#
#   say TEXT
#   silent TEXT                L1 fell silent: its console is of interest even if all goes well now
#   end CASE STATUS SECONDS    its TAP is in $work/tap.CASE
#   closed                     no case is left for this lane

# poke: an empty order now and then, for its interrupt. TCG may lose the wake-up of the local APIC's
# timer (helper_vmrun and do_vmexit change interrupt_request without a lock while the main loop sets a
# bit of it); a one-shot timer's next event then never comes, unless something else interrupts L1.
poke() {
	exec 6<>"$work/never"
	while echo; do
		# Without a process: that is dear when it comes four times a second in each lane.
		read -r -t 0.25 -u 6
	done >&4 2>/dev/null
}

# l1_boot LANE: start an L1 and wait until it takes orders, on file descriptors 3 (reports) and 4
l1_boot() {
	local words record rest begin=$SECONDS
	boots=$((boots + 1))
	rm -f "$work"/{orders,reports}."$1"
	mkfifo "$work"/{orders,reports}."$1"
	# The console before the report: serial ports count in the order in which they are named.
	read -ra words <<<"$QEMU -serial file:$results/console-$1-$boots.log $L1_REPORT_QEMU"
	disk "$work/disk.$1"
	"${words[@]}" -smp "$cpus" -display none -monitor none -no-reboot \
		-chardev stdio,id=report,signal=off \
		-drive "file=$work/disk.$1,if=none,id=disk,format=raw,cache=unsafe,discard=unmap" \
		-device virtio-blk-pci,drive=disk \
		-kernel "$parts/$L1_KERNEL" -initrd "$work/initrd" \
		-append "console=$L1_CONSOLE panic=-1 maxcpus=1 ${L1_PARAMS:-}" \
		<"$work/orders.$1" >"$work/reports.$1" 2>"$results/qemu-$1-$boots.log" &
	echo $! >"$work/qemu.$1"
	exec 4>"$work/orders.$1" 3<"$work/reports.$1"
	poke &
	poker=$!
	while read -r -t 180 -u 3 record rest; do
		case $record in
		fault) echo "say L1: $rest" >&5 ;;
		up)
			echo "say L1 of lane $1 is up after $((SECONDS - begin)) s" >&5
			return 0
			;;
		esac
	done
	echo "say L1 of lane $1 does not come up: $results/console-$1-$boots.log" >&5
	grep -v "TCG doesn't support" "$results/qemu-$1-$boots.log" | sed 's/^/say qemu: /' >&5 || :
	return 1
}

# l1_end LANE: whatever state it is in; nothing of an L1 outlives its last case
l1_end() {
	local pid
	pid=$(cat "$work/qemu.$1")
	kill -KILL "$pid" "$poker" 2>/dev/null || :
	wait "$pid" "$poker" 2>/dev/null || :
	rm -f "$work/qemu.$1" "$work/disk.$1"
	exec 3<&- 4>&-
}

# take_file CASE NAME: the rest of a file record
take_file() {
	local mark text
	mkdir -p "$results/$1"
	while read -r -t 60 -u 3 mark text && [ "$mark" = '|' ]; do
		echo "$text"
	done | base64 -d | gunzip >"$results/$1/$2" 2>/dev/null || echo "say $1/$2 came broken" >&5
}

# spent LANE: what its QEMU has taken so far, in hundredths of a CPU second, in $spent
spent() {
	local stat=''
	read -r stat 2>/dev/null <"/proc/$(cat "$work/qemu.$1")/stat" || :
	read -ra stat <<<"${stat##*) }"
	spent=$(((${stat[11]:-0} + ${stat[12]:-0}) * 100 / $(getconf CLK_TCK)))
}

# case_run CASE: fails if L1 falls silent, and $status is what the case ended with else
case_run() {
	local record rest limit
	limit=$(sed -n 's/^# lab:.*bound=\([0-9]*\).*/\1/p' "$lab/cases/$1.sh")
	: >"$work/tap.$1"
	echo "run $1 $((${limit:-$bound} * ${SLOW:-1}))" >&4
	while read -r -t $((60 * ${SLOW:-1})) -u 3 record rest; do
		case $record in
		sub) echo "$rest" >>"$work/tap.$1" ;;
		file) take_file "$1" "$rest" ;;
		end)
			read -r status secs <<<"$rest"
			return 0
			;;
		esac
	done
	return 1
}

# host_half CASE LANE: cases/CASE.host, the checks of what a case left on the lane's disk, which L1 has
# unmounted
host_half() {
	[ -e "$lab/cases/$1.host" ] || return 0
	[ "$status" = 0 ] || return 0
	mkdir -p "$work/host.$2"
	(
		cd "$work/host.$2" || exit 1
		disk=$work/disk.$2 bash "$lab/host.sh" "$lab/cases/$1.host"
	) >>"$work/tap.$1" 2>&1 </dev/null || status=1
	rm -rf "$work/host.$2"
}

# lane N: until no case is left. A case is a lane's that makes its claim folder.
lane() {
	local name status secs boots=0 up=0 poker='' try spent before
	trap - EXIT ERR INT TERM
	set +e
	for name in "${cases[@]}"; do
		mkdir "$work/claim/$name" 2>/dev/null || continue
		status=1 secs=0
		for try in 1 2; do
			[ "$up" = 1 ] || l1_boot "$1" || { l1_end "$1"; continue; }
			up=1
			spent "$1"
			before=$spent
			if case_run "$name"; then
				spent "$1"
				printf '# of CPU, QEMU took %d.%02d s\n' $(((spent - before) / 100)) \
					$(((spent - before) % 100)) >>"$work/tap.$name"
				host_half "$name" "$1"
				break
			fi
			echo "silent L1 of lane $1 fell silent in $name: $results/console-$1-$boots.log" >&5
			echo "not ok - L1 fell silent" >>"$work/tap.$name"
			l1_end "$1"
			up=0
		done
		echo "end $name $status $secs" >&5
	done
	[ "$up" = 0 ] || l1_end "$1"
	echo closed >&5
}
