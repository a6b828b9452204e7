# SPDX-License-Identifier: MIT
# Random numbers by virtio: each transport, each kind of ring
# lab: arch=x86-64,arm64-gicv3,ppc64le,ppc-e500 bound=400
for transport in $TRANSPORTS; do
	for ring in packed split; do
		boot "$transport-$ring" -p "quiet labmod=virtio_$transport,virtio-rng lab=rng,poweroff" \
			--rng --virtio-transport=$transport --virtio-ring=$ring
		up
		ends 0 60
		check "$vm: the guest's driver has the device" [ "$(info rng)" = virtio_rng.0 ]
		check "$vm: 512 bytes came" [ "$(info rng-bytes)" = 512 ]
		check "$vm: they are of many kinds" [ "$(info rng-kinds)" -gt 150 ]
		# VERSION_1, and RING_PACKED or not (a string of bits, the first one on the left)
		check "$vm: a modern device" [ "$(info rng-features | cut -c33)" = 1 ]
		packed=0
		[ $ring = split ] || packed=1
		check "$vm: the ring is what was asked for" [ "$(info rng-features | cut -c35)" = $packed ]
		check "$vm: it has interrupts" \
			says '^LAB-IRQ +[0-9]+: +[1-9][0-9]* .*virtio'
		check "$vm: the guest's log is without a complaint about the machine" clean_log
		check "$vm: lkvm complains of nothing" [ ! -s "$vm.err" ]
	done
done
