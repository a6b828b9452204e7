#!/bin/sh
# SPDX-License-Identifier: MIT
# Accesses of every width and alignment, at and beyond the edges; places where nobody is; the edges of RAM.
. "$(dirname "$0")/../lib.sh"

# With --testdev an exit code N is N * 2 + 1.
guest "32 bits" 1 exits.mb --testdev
guest "64 bits" 1 exits.elf64 --testdev
guest unclaimed 0 unclaimed.mb -m 64
for mib in 4 64 1024 3072; do
	guest "RAM of $mib MiB" 0 ram.mb -m "$mib"
done
guest "RAM of 4 GiB" 0 ram.mb -m 4G
guest "RAM of 4 GiB, high part" 0 high-ram.elf64 -m 4G
is "RAM of 4 GiB: 1 GiB of it above" "$(fact high)" 0x40000000
guest "RAM of 6 GiB, high part" 0 high-ram.elf64 -m 6G
is "RAM of 6 GiB: 3 GiB of it above" "$(fact high)" 0xc0000000
finish
