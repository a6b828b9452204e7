# SPDX-License-Identifier: MIT
# Network by a macvtap on one end of a cable whose other end is L1's; by name, and open already; it is deleted
# lab: arch=x86-64,arm64-gicv3 bound=400
l1=192.168.79.1
netns
mkfifo silent
head -c 1000000 /dev/urandom >data
must "L1 has a cable" in_ns ip link add name cable type veth
peer=$(in_ns sed -n 's/^ *\(veth[0-9]*\):.*/\1/p' /proc/net/dev)
in_ns ip link set cable up
in_ns ip link set "$peer" up
in_ns ip addr add $l1/24 dev "$peer"
for kind in off-pci on-mmio; do
	vhost=${kind%-*} transport=${kind#*-}
	must "with a macvtap on it" in_ns ip link add link cable name mt0 type macvtap
	in_ns ip link set mt0 up
	node=/dev/tap$(in_ns ip link show mt0 | sed -n 's/^\([0-9]*\):.*/\1/p')
	which=ifname=mt0
	[ $vhost = off ] || which=fd=5
	rm -f got
	[ $vhost = off ] || exec 5<>"$node"
	boot "vhost-$vhost" --virtio-transport="$transport" -n "mode=macvtap,$which,vhost=$vhost" \
		-p "quiet labmod=virtio_$transport,virtio_net" \
		-p "lab=addr=192.168.79.2/24,nic,ping=$l1,get=$l1:5001,put=$l1:5002:1000,unplugged,poweroff"
	exec 5>&-
	in_ns nc -l -p 5001 <data >/dev/null &
	in_ns nc -l -p 5002 <>silent >got &
	up
	# Of a macvtap, and by vhost, neither send nor recv would tell.
	check "$vm: the network is done with" hears 'LAB-ACTION unplugged' 120
	check "$vm: lkvm complains of nothing" [ ! -s "$vm.err" ]
	check "$vm: the macvtap can be deleted" in_ns ip link del mt0
	check "$vm: the guest finds its cable out" hears LAB-UNPLUGGED 60
	check "$vm: one line says why" \
		[ "$(grep -c 'macvtap mt0: .* link is down: the interface was deleted' "$vm.err")" = 1 ]
	ends 0 120
	check "$vm: pings come back" [ "$(info ping-56)" = 3 ]
	check "$vm: TCP into the guest" [ "$(info got)" = "$(sum_of data)" ]
	check "$vm: TCP out of the guest" [ "$(info put)" = "$(sum_of got)" ]
	check "$vm: the guest's log is without a complaint about the machine" clean_log
	check "$vm: lkvm says no more" [ "$(wc -l <"$vm.err")" = 1 ]
done
