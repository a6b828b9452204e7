# SPDX-License-Identifier: MIT
# lkvm is killed 20 times while its guest writes, syncs and discards: no image is damaged, nothing synced lost
# lab: arch=x86-64,arm64-gicv3 bound=1500

# Two images take turns, one of them on a backing file; so do transports, and discards come in half of the
# rounds of each. Both images are kept for the host's half, as they were left and once they were opened and
# closed, with what the guest said was synced.
cp /disk/fs.qcow2 /disk/kill-a.qcow2
cp /disk/over.qcow2 /disk/kill-b.qcow2
mended=0

# said FILE: nothing, or that the image was mended
said() {
	[ ! -s "$1" ] || {
		[ "$(wc -l <"$1")" = 1 ] &&
			grep -q "disk $image: was not closed properly: setting its refcounts right\$" "$1" &&
			mended=$((mended + 1))
	}
}

round=0
while [ $round -lt 20 ]; do
	round=$((round + 1))
	image=/disk/kill-a.qcow2 transport=mmio trim=''
	[ $((round % 2)) = 1 ] || image=/disk/kill-b.qcow2
	[ $((round / 2 % 2)) = 1 ] || transport=pci
	[ $((round / 4 % 2)) = 1 ] || trim=labtrim=1
	boot "$round" -d $image,format=qcow2 --virtio-transport=$transport \
		-p "quiet labmod=virtio_$transport,virtio_blk $trim lab=sync=vda"
	up
	must "round $round: the guest syncs" hears_times $((round % 5 + 1)) '^LAB-SYNCED' 120
	# At any moment of the next: not for something to happen.
	usleep $((round * 37 % 20 * 10000))
	kill -KILL "$vm_pid"
	vm_wait 30
	check "round $round: lkvm had no complaint" [ ! -s "$vm.err" ]
	# The last but one of each name; the one that may be in the making is left out.
	tr -d '\r' <"$vm.out" | awk '
		/^LAB-SYNCED file[0-7] [0-9a-f]+$/ && length($3) == 32 { sum[$2] = $3; n++ }
		END { delete sum["file" (n + 1) % 8]; for (f in sum) print f, sum[f] }
	' >"/disk/kill-$round.sums"
	cp $image "/disk/kill-$round.qcow2"
	# A start and a proper end: what was leaked is gone.
	vm_start "$round-close" -k "$kernel" -d $image,format=qcow2
	must "round $round: the next VM has the image" within 60 listed "$vm "
	ctl stop -n "$vm" --force -t 0
	must "round $round: and gives it back" vm_wait 30
	check "round $round: it says that it mended it, or nothing" said "$vm.err"
	cp $image "/disk/closed-$round.qcow2"
done
check "some were to be mended" [ $mended -gt 0 ]
