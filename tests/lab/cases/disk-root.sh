# SPDX-License-Identifier: MIT
# A Debian root file system, made by mmdebstrap, boots from a disk to its login, and somebody logs in
# lab: arch=x86-64,arm64-gicv3 bound=900
[ -e /disk/root.ext4 ] || skip "no root file system (tests/parts/root makes it)"
boot root -m 512 -c 2 -d /disk/root.ext4,format=raw,serial=root \
	-p "quiet nokaslr labmod=virtio_pci,virtio_mmio,virtio_blk lab=root systemd.show_status=1"
up
must "systemd comes to a login" hears 'lab login:' 600
type_line root
must "it asks for a password" hears 'Password:' 120
type_line lab
must "there is a shell" hears 'root@lab:~#' 180
type_line 'echo "IS-$(systemctl is-system-running) ON-$(findmnt -no SOURCE /)"; touch /here; sync'
check "its root is on the disk" hears 'IS-[a-z]* ON-/dev/vda' 120
type_line 'poweroff'
ends 0 180
