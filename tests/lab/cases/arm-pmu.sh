# SPDX-License-Identifier: MIT
# A PMU for the guest, and no stolen time; vCPUs on one CPU of the host
# lab: arch=arm64
last=$(($(nproc) - 1))

# on_last: lkvm's threads for vCPUs, and only these, keep to that CPU
on_last() {
	local task cpus n=0
	for task in /proc/"$vm_pid"/task/*; do
		cpus=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$task/status")
		case $(cat "$task/comm") in
		*cpu*) [ "$cpus" = "$last" ] || return ;;
		*) [ "$cpus" = "$free" ] || return ;;
		esac
		n=$((n + 1))
	done
	[ $n -ge 3 ]
}

refused none "--vcpu-affinity 1000: none of these CPUs is one that lkvm may run on" \
	-k "$kernel" --vcpu-affinity 1000

free=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
boot vm -c 2 -m 256 --pmu --no-pvtime --vcpu-affinity "$last" -p "lab=info,poweroff"
up
check "vCPU threads keep to CPU $last, the others are free ($free)" on_last
ends 0 90
check "the guest has a PMU" says "hw perfevents: enabled with armv8_(cortex_a72|pmuv3)"
check "its interrupt is there" irq "arm-pmu" 0
check "the guest knows nothing of stolen time" fails says "using stolen time PV"
check "the guest's log is without a complaint about the machine" clean_log
