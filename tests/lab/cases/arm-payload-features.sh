# SPDX-License-Identifier: MIT
# Bare metal: SVE's vector lengths, pointer authentication, memory tags, performance counters and their filter
# lab: arch=arm64-gicv3,arm64-max
. /lab/cases/payload.inc
guest plain 0 features.img -m 64 -p "$CPU_FEATURES"
check "the longest vector is the host's" [ "$(fact vector)" = "$SVE_MAX" ]
case $CPU_FEATURES in
*sve*)
	for bits in 128 256 512 1024 2048; do
		guest "sve-$bits" 0 features.img -m 64 -p "$CPU_FEATURES" --sve-max-vl "$bits"
		check "--sve-max-vl $bits" [ "$(fact vector)" = "$bits" ]
	done
	;;
*)
	start_payload no-sve features.img -m 64 --sve-max-vl 256
	exits "--sve-max-vl where there is no SVE" 1
	check "it says so" grep -q 'cannot give a guest SVE' "$vm.err"
	;;
esac
guest no-mte 0 features.img -m 64 --disable-mte -p "${CPU_FEATURES% mte}"
guest pmu 0 features.img -m 64 --pmu -p "$CPU_FEATURES pmu"
check "cycles are there to be counted" [ "$(fact cycles)" = "named counted" ]
for filter in deny:0x11 deny:0x10-0x12 allow:0x3; do
	guest "$(echo "$filter" | tr ":," -)" 0 features.img -m 64 --pmu --pmu-filter "$filter" \
		-p "$CPU_FEATURES pmu"
	check "--pmu-filter $filter: cycles are not" [ "$(fact cycles)" = "hidden resting" ]
done
for filter in deny:0x3 allow:0x11 allow:0x3,allow:0x10-0x12; do
	guest "$(echo "$filter" | tr ":," -)" 0 features.img -m 64 --pmu --pmu-filter "$filter" \
		-p "$CPU_FEATURES pmu"
	check "--pmu-filter $filter: cycles are" [ "$(fact cycles)" = "named counted" ]
done
