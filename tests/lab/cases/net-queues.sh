# SPDX-License-Identifier: MIT
# Several pairs of queues: more than the guest has CPUs, and fewer; by lkvm and by vhost, on each transport
# lab: arch=x86-64,arm64-gicv3 bound=700
l1=192.168.77.1
netns
mkfifo silent
head -c 1000000 /dev/urandom >data
# shellcheck disable=SC2016	# the script's own words
printf '#!/bin/sh\nip addr add 192.168.77.1/24 dev $1\nip link set $1 up\n: >ready\n' >up.sh
chmod 755 up.sh
for kind in 1-4-off-pci 3-2-off-mmio 2-3-on-pci; do
	transport=${kind##*-} kind=${kind%-*}
	cpus=${kind%%-*} vhost=${kind##*-}
	queues=${kind#*-} queues=${queues%-*}
	rm -f got ready
	boot "$kind" -c "$cpus" --virtio-transport="$transport" \
		-n "mode=tap,ifname=lab0,queues=$queues,vhost=$vhost,script=$PWD/up.sh" \
		-p "quiet labmod=virtio_$transport,virtio_net" \
		-p "lab=addr=192.168.77.2/24,nic,ping=$l1,get=$l1:5001,put=$l1:5002:1000,poweroff"
	within 60 test -e ready
	in_ns nc -l -p 5001 <data >/dev/null &
	in_ns nc -l -p 5002 <>silent >got &
	up
	ends 0 120
	# It takes no more than it has CPUs.
	[ "$queues" -le "$cpus" ] || queues=$cpus
	check "$vm: the driver has $queues pairs" [ "$(info queues)" = "$queues" ]
	check "$vm: pings come back" [ "$(info ping-56)" = 3 ]
	check "$vm: TCP into the guest" [ "$(info got)" = "$(sum_of data)" ]
	check "$vm: TCP out of the guest" [ "$(info put)" = "$(sum_of got)" ]
	check "$vm: the guest's log is without a complaint about the machine" clean_log
	check "$vm: lkvm complains of nothing" [ ! -s "$vm.err" ]
done
