# SPDX-License-Identifier: MIT
# Bare metal: the real-time clock counts, can be set, and has an alarm
# lab: arch=arm64
. /lab/cases/payload.inc
before=$(date +%s)
guest rtc 0 rtc.img -m 64
check "it begins with the time of the host" between "$before" "$(fact rtc)" "$(date +%s)"
