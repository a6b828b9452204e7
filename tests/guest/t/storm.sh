#!/bin/sh
# SPDX-License-Identifier: MIT
# A hostile guest: random accesses to every device. Whatever they do, the VM lives and its devices work.
. "$(dirname "$0")/../lib.sh"

for seed in 1 2 3 4 5 6; do
	guest "storm $seed" 1 storm.mb --testdev --boot-timer -p "seed=$seed n=4000"
done
for seed in 7 8; do
	guest "storm $seed, 2 CPUs" 1 storm.mb -c 2 --testdev -p "seed=$seed cpus=2 n=3000"
	guest "storm $seed, irqchip=full" 1 storm.mb --irqchip=full --testdev -p "seed=$seed n=3000"
done
# With somebody typing.
head -c 20000 /dev/urandom >"$dir/random"
input=$dir/random
guest "storm with input" 1 storm.mb --testdev -p "seed=9 n=4000"
finish
