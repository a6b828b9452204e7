# SPDX-License-Identifier: MIT
# lkvm devices: what L1's KVM offers, as text and as JSON, is what the row says of it
# lab: bound=60
check "lkvm devices exits with 0" ctl devices
cp ctl.out devices.txt
keep devices.txt

# kvm_has TYPE OWNER: there is such a device, and an attribute of its table at least
kvm_has() {
	grep -Eq "^  yes +[0-9]+  $1 " devices.txt && grep -Eq "^  yes +$2 " devices.txt
}

# kvm_lacks TYPE OWNER: there is none, and none of its attributes
kvm_lacks() {
	grep -Eq "^  no +[0-9]+  $1 " devices.txt && ! grep -Eq "^  yes +$2 " devices.txt
}

# irqchip VERB CHIP: the VERB above for what the irqchip is made of
irqchip() {
	case $2 in
	gicv3-its) "$1" arm-vgic-its its ;;
	gicv3) "$1" arm-vgic-v3 gicv3 ;;
	gicv2*) "$1" arm-vgic-v2 gicv2 ;;
	mpic-4.2) "$1" fsl-mpic-42 mpic-4.2 ;;
	mpic-2.0) "$1" fsl-mpic-20 mpic-2.0 ;;
	# x86's are no devices of this API, only capabilities.
	split) grep -Eq '^  KVM_CAP_SPLIT_IRQCHIP +1' devices.txt ;;
	full) grep -Eq '^  KVM_CAP_IRQCHIP +1' devices.txt ;;
	*) "$1" "$2" "$2" ;;
	esac
}

for chip in $IRQCHIPS; do
	check "$chip is there" irqchip kvm_has "$chip"
done
for chip in $NO_IRQCHIPS; do
	check "$chip is not" irqchip kvm_lacks "$chip"
done
check "no attribute is there that lkvm does not know" fails grep -Eq '^  yes .* unknown +0 ' devices.txt
check "lkvm devices --json exits with 0" ctl devices --json
check "what it prints is JSON" json ctl.out
cp ctl.out devices.json
keep devices.json
