# SPDX-License-Identifier: MIT
# Each version of the MPIC: its state saved from one VM, restored into another, saved again; it goes on
# lab: arch=ppc-e500 bound=200
. /lab/cases/payload.inc
payload mpic-state.prog
for chip in $IRQCHIPS; do
	program "$chip" "$payload" "$chip"
done
