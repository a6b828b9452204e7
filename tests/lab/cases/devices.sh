# SPDX-License-Identifier: MIT
# lkvm devices: what L1's KVM offers, as text and as JSON
# lab: bound=60
check "lkvm devices exits with 0" ctl devices
cp ctl.out devices.txt
keep devices.txt
check "it names /dev/kvm's features" [ -s devices.txt ]
check "lkvm devices --json exits with 0" ctl devices --json
check "what it prints is JSON" json ctl.out
cp ctl.out devices.json
keep devices.json
