# SPDX-License-Identifier: MIT
# Saved state: a guest, its interrupts in all kinds of states, goes from one VM into another; or is refused
# lab: arch=arm64 bound=600
. /lab/cases/payload.inc
payload state.img
image=$payload
payload state-roundtrip.prog
for chip in $IRQCHIPS; do
	others=
	pmu=
	[ "$chip" = "${IRQCHIPS%% *}" ] || pmu=--pmu
	for other in $IRQCHIPS; do
		[ "$other" = "$chip" ] || others="$others $other"
	done
	# shellcheck disable=SC2086	# a list of words
	program "$chip" "$payload" $pmu "$chip" "$image" $others
done
