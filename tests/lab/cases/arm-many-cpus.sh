# SPDX-License-Identifier: MIT
# As many CPUs as take a second region of redistributors; one there comes up, and goes down
# lab: arch=arm64-gicv3 bound=500
boot vm -c 130 -m 512 --irqchip=gicv3 -p "maxcpus=1 lab=online=129,offline=129,online=124,poweroff"
must "the guest reaches user space" hears LAB-USERSPACE 300
ends 0 120
check "the guest knows of 130 CPUs" says "SMP: Allowing 130 CPUs|nr_cpu_ids=130"
check "the last one's redistributor is in the second region" says "CPU129: found redistributor .* region 1:"
check "the last one comes up" says "LAB-CPU 129 1"
check "and goes down" says "LAB-CPU 129 0"
check "another comes up" says "LAB-CPU 124 1"
check "the guest's log is without a complaint about the machine" clean_log
