# SPDX-License-Identifier: MIT
# A guest stops and starts a CPU of its own; both work on
# lab: arch=ppc64le
boot vm -c 2 -p "quiet lab=offline=1,info,online=1,poweroff"
up
ends 0 90
check "a CPU went" says "LAB-CPU 1 0"
check "one was left" [ "$(info nproc)" = 1 ]
check "it came back" says "LAB-CPU 1 1"
