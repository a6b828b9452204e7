# SPDX-License-Identifier: MIT
# Bare metal: messages by GICv2m and by the ITS, sent and by irqfd; or none
# lab: arch=arm64 bound=400
. /lab/cases/payload.inc
# Exit codes with --testdev are those of isa-debug-exit: 0 is 1.
for chip in $IRQCHIPS; do
	guest "$chip" 1 gic-msi.img -m 64 -c 2 --irqchip="$chip" --testdev
	case $chip in
	gicv2m | gicv3-its) check "$chip: has messages" [ "$(fact msi)" = yes ] ;;
	*) check "$chip: has no messages" [ "$(fact msi)" = no ] ;;
	esac
	[ "$chip" != gicv2m ] || check "$chip: SPIs 96 to 255 are the frame's" \
		[ "$(fact v2m_first) $(fact v2m_lines)" = "96 160" ]
done
guest one-vcpu 1 gic-msi.img -m 64 --testdev
