#!/bin/sh
# SPDX-License-Identifier: MIT
# More CPUs than one: INIT and start-up IPIs, to one and to all.
. "$(dirname "$0")/../lib.sh"

for cpus in 2 4; do
	guest "$cpus CPUs, one by one" 0 smp.mb -c "$cpus" -p "cpus=$cpus"
	guest "$cpus CPUs, at once" 0 smp.mb -c "$cpus" -p "cpus=$cpus broadcast"
done
guest "300 CPUs: x2APIC" 0 x2apic.mb -c 300 -p "cpus=300"
finish
