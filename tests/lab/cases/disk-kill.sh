# SPDX-License-Identifier: MIT
# lkvm is killed 20 times while its guest writes and syncs: no image is damaged, and nothing synced is lost
# lab: arch=x86-64,arm64-gicv3 bound=1500

# Each time the image is kept for the host's half, with what the guest said was synced.
cp /disk/fs.qcow2 /disk/kill.qcow2
round=0
while [ $round -lt 20 ]; do
	round=$((round + 1))
	boot "$round" -d /disk/kill.qcow2,format=qcow2 --virtio-transport=mmio \
		-p "quiet labmod=virtio_mmio,virtio_blk lab=sync=vda"
	up
	must "round $round: the guest syncs" hears_times $((round % 5 + 1)) '^LAB-SYNCED' 120
	# At any moment of the next: not for something to happen.
	usleep $((round * 37 % 20 * 10000))
	kill -KILL "$vm_pid"
	vm_wait 30
	check "round $round: lkvm had no complaint" [ ! -s "$vm.err" -o $round -gt 1 ]
	cp /disk/kill.qcow2 "/disk/kill-$round.qcow2"
	# The last but one of each name; the one that may be in the making is left out.
	tr -d '\r' <"$vm.out" | awk '
		/^LAB-SYNCED file[0-7] [0-9a-f]+$/ && length($3) == 64 { sum[$2] = $3; n++ }
		END { delete sum["file" (n + 1) % 8]; for (f in sum) print f, sum[f] }
	' >"/disk/kill-$round.sums"
done
# A start and a proper end: what was leaked is gone.
boot last -d /disk/kill.qcow2,format=qcow2 --virtio-transport=mmio \
	-p "quiet labmod=virtio_mmio,virtio_blk lab=fill=vda"
up
ends 0 120
check "it says that it mended the image" grep -q 'was not closed properly' "$vm.err"
