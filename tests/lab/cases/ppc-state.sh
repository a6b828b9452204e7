# SPDX-License-Identifier: MIT
# Each interrupt controller's state: saved from one VM, restored into another, saved again; it goes on
# lab: arch=ppc64le bound=200
. /lab/cases/payload.inc
payload irqchip-state.prog
for chip in $IRQCHIPS; do
	program "$chip" "$payload" "$chip"
done
