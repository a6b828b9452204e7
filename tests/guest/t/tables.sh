#!/bin/sh
# SPDX-License-Identifier: MIT
# ACPI tables and MP table as a guest finds them, and as the ACPI tools read them.
. "$(dirname "$0")/../lib.sh"

for cpus in 1 2 4 64; do
	guest "ACPI, $cpus CPUs" 0 acpi.mb -c "$cpus" -p "cpus=$cpus"
	guest "MP table, $cpus CPUs" 0 mptable.mb -c "$cpus" -p "cpus=$cpus"
done
guest "ACPI, 4 MiB" 0 acpi.mb -m 4
run acpi.mb -p off
ends "power off by what the tables say" 0
check "power off by what the tables say: it was that" sh -c "! tr -d '\r' <'$out' | grep -q '^done$'"
run acpi.mb -p reset
ends "reset by what the tables say" 32

# The tables by name, and a compiler's opinion of each.
mkdir "$dir/acpi"
run hello.mb -c 2 --dump-acpi "$dir/acpi"
check "--dump-acpi: a DSDT" test -s "$dir/acpi/dsdt.dat"
if command -v iasl >/dev/null; then
	for t in "$dir"/acpi/*.dat; do
		name=$(basename "$t")
		check "iasl takes $name apart" iasl -d "$t"
		check "$name: no complaint" \
			sh -c "! grep -iE 'warning|error|invalid|incorrect' '$dir/last.log'"
	done
	check "the DSDT compiles again, without a warning" iasl -we "$dir/acpi/dsdt.dsl"
else
	skip "tables by iasl" "iasl is not installed"
fi
finish
