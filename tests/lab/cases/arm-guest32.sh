# SPDX-License-Identifier: MIT
# A 32-bit kernel, a zImage, with --aarch32; as many CPUs as L1 has
# lab: arch=arm64
# TCG has guests' CPUs that share one of L1's share an SPSR too (README.md): so each has one of its own.
pinned() {
	local n=0 task
	for task in /proc/"$vm_pid"/task/*; do
		case $(cat "$task/comm") in
		*cpu*)
			taskset -p $((1 << n)) "${task##*/}" || return
			n=$((n + 1))
			;;
		esac
	done
	[ $n = "$cpus" ]
}

cpus=$(nproc)
kernel=/guest/zimage initrd=/guest/initrd32
boot vm -c "$cpus" -m 256 --aarch32 -p "lab=info,poweroff"
must "its vCPUs are bound to CPUs" within 30 pinned
up
ends 0 90
check "the guest's kernel is a 32-bit one" [ "$(info machine)" = armv7l ]
check "the guest has $cpus CPUs" [ "$(info nproc)" = "$cpus" ]
check "each has had timer interrupts" each_timer "$cpus"
check "the serial port has interrupts" irq "GIC.*ttyS0" 1
check "the guest's log is without a complaint about the machine" clean_log
