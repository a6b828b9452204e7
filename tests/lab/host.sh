# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The host's half of a case: lane.sh runs `bash host.sh CASES/NAME.host` in an empty folder once L1 has ended
# the case and unmounted its disk, $disk. What a half is made of; each check is one line of TAP.

set -u
failed=0 points=100	# behind those of L1's half

# check TEXT COMMAND...: a point; what the command says shows only on failure
check() {
	local text=$1
	shift
	points=$((points + 1))
	if "$@" >check.log 2>&1; then
		echo "ok $points - host: $text"
	else
		failed=1
		echo "not ok $points - host: $text"
		echo "# command: $*"
		head -n 20 check.log | sed 's/^/# /'
	fi
}

# get NAME...: files off the disk
get() {
	local name
	for name; do
		debugfs -R "dump /$name $name" "$disk" 2>/dev/null
		[ -s "$name" ] || { echo "# no $name on the disk"; return 1; }
	done
}

# sum_in IMAGE FILE: the checksum of a file in the ext4 that a raw image holds
sum_in() {
	debugfs -R "cat /$2" "$1" 2>/dev/null | md5sum | cut -d' ' -f1
}

# shellcheck source=/dev/null
. "$1"
exit "$failed"
