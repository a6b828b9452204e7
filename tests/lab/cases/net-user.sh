# SPDX-License-Identifier: MIT
# Network without rights, by passt and by libslirp: DHCP, ping, names, the host, ports forwarded
# lab: arch=x86-64,arm64-gicv3,ppc64le,-ppc64le-powernv bound=500
[ -d /usernet ] || skip "neither passt nor libslirp here"
payload datagram.tool
netns
mkfifo silent
head -c 1000000 /dev/urandom >data
# passt takes names from /etc/resolv.conf, addresses from a route, and becomes nobody.
mkdir -p /etc
echo 'nobody:x:65534:65534::/:/bin/false' >/etc/passwd
echo 'nameserver 127.0.0.1' >/etc/resolv.conf
in_ns ip link add name out0 type dummy
in_ns ip addr add 192.168.80.2/24 dev out0
in_ns ip link set out0 up
in_ns ip route add default via 192.168.80.1
# For passt's pings, which go by a socket of the kernel's.
in_ns sh -c 'echo 0 65534 >/proc/sys/net/ipv4/ping_group_range'
in_ns "$payload" names 127.0.0.1 lab.test 192.0.2.77 2>names.err &
# It also moves to another root, which nobody can from an initramfs: so one on a mount.
mkdir -p /mounted
cat >/bin/passt <<END
#!/bin/sh
exec unshare -m sh -c 'mount -o rbind / /mounted && cd /mounted && mount --move . / &&
	exec chroot . /usernet/run passt "\$@"' passt "\$@"
END
chmod 755 /bin/passt
mkdir tool
cp "$payload" tool/datagram
(cd tool && echo datagram | cpio -o -H newc 2>/dev/null) | cat "$initrd" - >with-tool
initrd=$PWD/with-tool

forwards=forward=tcp:127.0.0.1:2200:22,forward=tcp:2300:23,forward=udp:127.0.0.1:2400:24
# Each on a transport of its own, where there are two.
for kind in passt-pci slirp-${TRANSPORTS##* }; do
	backend=${kind%-*} transport=${kind#*-}
	lkvm=lkvm
	# libslirp's gateway answers itself; passt asks the host's kernel for all that is not the guest's. The
	# name server is libslirp's own, or the host's.
	target=192.168.80.2 dns=10.0.2.2
	if [ $backend = slirp ]; then
		check "an lkvm that loads libslirp" [ -x /usernet/lkvm ] || break
		lkvm="/usernet/run lkvm" target=10.0.2.2 dns=10.0.2.3
	fi
	rm -f got back
	lkvm_run=$lkvm boot $backend --virtio-transport=$transport \
		-p "quiet labmod=virtio_$transport,virtio_net" \
		-n "mode=user,backend=$backend,$forwards" \
		-p "lab=dhcp,nic,ping=$target,dns=lab.test,dns=none.test,get=10.0.2.2:5001" \
		-p "lab=put=10.0.2.2:5002:1000,serve=22:500,take=23,echo=24,poweroff"
	in_ns nc -l -p 5001 <data >/dev/null &
	in_ns nc -l -p 5002 <>silent >got &
	up
	check "$vm: an address by DHCP" hears "^LAB-INFO dhcp=10.0.2.15/24 router=10.0.2.2 dns=$dns " 60
	check "$vm: the guest serves" hears LAB-SERVES 90
	check "$vm: pings come back" [ "$(info ping-56)" = 3 ]
	check "$vm: long ones too" [ "$(info ping-1400)" = 3 ]
	check "$vm: a name is found" says '^LAB-INFO dns-lab.test=192.0.2.77'
	check "$vm: and one is not" says '^LAB-INFO dns-none.test=.?$'
	# A word first: passt of 2023 does not tell a guest that speaks first that it was heard.
	echo go >silent &
	in_ns nc 127.0.0.1 2200 <>silent >back
	check "$vm: TCP from the host's network" [ "$(info got)" = "$(sum_of data)" ]
	check "$vm: TCP to it" says "^LAB-INFO put=$(sum_of got)"
	check "$vm: a forwarded port leads to the guest" says "^LAB-INFO put=$(sum_of back)"
	check "$vm: the guest listens" hears LAB-TAKES 60
	in_ns nc 127.0.0.1 2300 <data >/dev/null
	check "$vm: the guest takes datagrams" hears LAB-ECHOES 60
	in_ns "$payload" ask 127.0.0.1 2400 "hello $backend" >said 2>&1
	ends 0 120
	check "$vm: UDP by a forwarded port, and its answer" [ "$(cat said)" = "heard hello $backend" ]
	check "$vm: TCP into the guest by a forwarded port" [ "$(info got)" = "$(sum_of data)" ]
	check "$vm: nothing of passt is left" no_passt
	check "$vm: the guest's log is without a complaint about the machine" clean_log
	check "$vm: lkvm complains of nothing" [ ! -s "$vm.err" ]
done
kill %2 2>/dev/null
