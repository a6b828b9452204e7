# SPDX-License-Identifier: MIT
# Network by a macvtap on one end of a cable whose other end is L1's; by its name, and open already
# lab: arch=x86-64,arm64-gicv3 bound=400
l1=192.168.79.1
netns
mkfifo silent
head -c 1000000 /dev/urandom >data
must "L1 has a cable" in_ns ip link add name cable type veth
peer=$(in_ns sed -n 's/^ *\(veth[0-9]*\):.*/\1/p' /proc/net/dev)
must "and a macvtap on it" in_ns ip link add link cable name mt0 type macvtap
in_ns ip link set cable up
in_ns ip link set "$peer" up
in_ns ip link set mt0 up
in_ns ip addr add $l1/24 dev "$peer"
node=/dev/tap$(in_ns ip link show mt0 | sed -n 's/^\([0-9]*\):.*/\1/p')
for kind in off-pci on-mmio; do
	vhost=${kind%-*} transport=${kind#*-}
	which=ifname=mt0
	[ $vhost = off ] || which=fd=5
	rm -f got
	[ $vhost = off ] || exec 5<>"$node"
	boot "vhost-$vhost" --virtio-transport="$transport" -n "mode=macvtap,$which,vhost=$vhost" \
		-p "quiet labmod=virtio_$transport,virtio_net" \
		-p "lab=addr=192.168.79.2/24,nic,ping=$l1,get=$l1:5001,put=$l1:5002:1000,poweroff"
	exec 5>&-
	in_ns nc -l -p 5001 <data >/dev/null &
	in_ns nc -l -p 5002 <>silent >got &
	up
	ends 0 120
	check "$vm: pings come back" [ "$(info ping-56)" = 3 ]
	check "$vm: TCP into the guest" [ "$(info got)" = "$(sum_of data)" ]
	check "$vm: TCP out of the guest" [ "$(info put)" = "$(sum_of got)" ]
	check "$vm: the guest's log is without a complaint about the machine" clean_log
	check "$vm: lkvm complains of nothing" [ ! -s "$vm.err" ]
done
