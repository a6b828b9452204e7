# SPDX-License-Identifier: MIT
# Network by a tap in a network namespace: DHCP, ping, TCP; over each transport, by lkvm and by vhost
# lab: arch=x86-64,arm64-gicv3,ppc64le,ppc-e500 bound=900
l1=192.168.77.1
netns
# shellcheck disable=SC2016	# the scripts' own words
{
	printf '#!/bin/sh\nip addr add 192.168.77.1/24 dev $1\nip link set $1 up\n: >ready\n' >up.sh
	printf '#!/bin/sh\necho "$1" >down\n' >down.sh
}
chmod 755 up.sh down.sh
printf '%s\n' 'start 192.168.77.20' 'end 192.168.77.20' 'interface lab0' 'option router 192.168.77.1' \
	'option subnet 255.255.255.0' 'option dns 192.168.77.1' \
	"lease_file $PWD/leases" "pidfile $PWD/pid" >udhcpd.conf
: >leases
mkfifo silent
head -c 3000000 /dev/urandom >data

for kind in pci-packed-off mmio-split-off pci-packed-auto mmio-split-on; do
	transport=${kind%%-*} vhost=${kind##*-}
	ring=${kind#*-} ring=${ring%-*}
	case " $TRANSPORTS " in
	*" $transport "*) ;;
	*) continue ;;
	esac
	# Once, another length of frames, and none of them left to the other side to make.
	mtu=1500 more=
	[ $kind != mmio-split-off ] || mtu=1460 more=,mtu=1460,no-offload
	rm -f got down ready
	boot "$transport-$ring-$vhost" --virtio-transport=$transport --virtio-ring=$ring \
		-n "mode=tap,ifname=lab0,vhost=$vhost,script=$PWD/up.sh,downscript=$PWD/down.sh$more" \
		-p "quiet labmod=virtio_$transport,virtio_net" \
		-p "lab=dhcp,nic,ping=$l1,get=$l1:5001,put=$l1:5002:3000,poweroff"
	within 60 test -e ready
	in_ns udhcpd -f udhcpd.conf 2>udhcpd.log &
	in_ns nc -l -p 5001 <data >/dev/null &
	in_ns nc -l -p 5002 <>silent >got &
	up
	ctl debug -n "$vm" && cp ctl.out threads
	ends 0 120
	kill %2 2>/dev/null
	check "$vm: an address by DHCP" says '^LAB-INFO dhcp=192.168.77.20/24 router=192.168.77.1 '
	vhosts=$(grep -c vhost threads)
	[ $vhost = off ] || check "$vm: the kernel serves its queues" [ "$vhosts" = 1 ]
	[ $vhost != off ] || check "$vm: a worker serves its queues" [ "$vhosts" = 0 ]
	check "$vm: pings come back" [ "$(info ping-56)" = 3 ]
	check "$vm: long ones too" [ "$(info ping-1400)" = 3 ]
	check "$vm: TCP into the guest" [ "$(info got)" = "$(sum_of data)" ]
	check "$vm: TCP out of the guest" [ "$(info put)" = "$(sum_of got)" ]
	check "$vm: a carrier" [ "$(info carrier)" = 1 ]
	check "$vm: its MTU is $mtu" says "^LAB-INFO mac=.* mtu=$mtu"
	check "$vm: the tap is gone, and its script ran" [ "$(cat down)" = lab0 ]
	check "$vm: the guest's log is without a complaint about the machine" clean_log
	check "$vm: lkvm complains of nothing" [ ! -s "$vm.err" ]
done
