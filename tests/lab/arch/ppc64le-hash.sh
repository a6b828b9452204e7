# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2034
#
# The lab's row for a powerpc64le host whose own page tables are a hash table, as a POWER8's are: its guests'
# are too. Data only; for what each name means see README.md beside run.

# shellcheck source=ppc64le-powernv.sh
. "$lab/arch/ppc64le-powernv.sh"
L1_PARAMS=disable_radix
GUEST_FILES='
vmlinuz		kernel/vmlinuz
'
