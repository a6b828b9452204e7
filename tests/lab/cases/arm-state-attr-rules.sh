# SPDX-License-Identifier: MIT
# What the kernel checks behind KVM_CREATE_DEVICE and the attributes of GIC, ITS and vCPUs: rule by rule
# lab: arch=arm64
. /lab/cases/payload.inc
for name in attr-rules attr-rules-vcpu; do
	payload $name.prog
	program $name "$payload"
done
