# SPDX-License-Identifier: MIT
# Bare metal: accesses to nowhere, and accesses that KVM cannot describe
# lab: arch=arm64
. /lab/cases/payload.inc
guest nowhere 0 nowhere.img -m 64
