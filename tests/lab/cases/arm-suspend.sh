# SPDX-License-Identifier: MIT
# The guest suspends itself, and its clock's alarm wakes it
# lab: arch=arm64
boot vm -c 2 -m 256 -p "lab=shell,poweroff"
up
must "a shell waits on the console" hears 'LAB# ' 60
type_line "echo +3 >/sys/class/rtc/rtc0/wakealarm; echo mem >/sys/power/state; echo AWAKE-\$?"
check "it goes to sleep" hears 'PM: suspend entry \(deep\)' 30
check "the alarm wakes it" hears 'PM: suspend exit' 60
check "and it goes on" hears '^AWAKE-0' 30
type_line exit
ends 0 60
