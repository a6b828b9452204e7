# SPDX-License-Identifier: MIT
# Network without rights, by passt and by libslirp: DHCP, the host, a name, ports forwarded
# lab: arch=x86-64,arm64-gicv3 bound=500
[ -d /usernet ] || skip "neither passt nor libslirp here"
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
# It also moves to another root, which nobody can from an initramfs: so one on a mount.
mkdir -p /mounted
cat >/bin/passt <<END
#!/bin/sh
exec unshare -m sh -c 'mount -o rbind / /mounted && cd /mounted && mount --move . / &&
	exec chroot . /usernet/run passt "\$@"' passt "\$@"
END
chmod 755 /bin/passt

for backend in passt slirp; do
	lkvm=lkvm
	if [ $backend = slirp ]; then
		[ -x /usernet/lkvm ] || break
		lkvm="/usernet/run lkvm"
	fi
	rm -f got back
	lkvm_run=$lkvm boot $backend -p "quiet labmod=virtio_pci,virtio_net" \
		-n "mode=user,backend=$backend,forward=tcp:127.0.0.1:2200:22,forward=tcp:2300:23" \
		-p "lab=dhcp,nic,get=10.0.2.2:5001,put=10.0.2.2:5002:1000,serve=22:500,take=23,poweroff"
	in_ns nc -l -p 5001 <data >/dev/null &
	in_ns nc -l -p 5002 <>silent >got &
	up
	check "$vm: an address by DHCP" hears '^LAB-INFO dhcp=10.0.2.15/24 router=10.0.2.2 dns=10.0.2.3' 60
	check "$vm: the guest serves" hears LAB-SERVES 90
	# A word first: passt of 2023 does not tell a guest that speaks first that it was heard.
	echo go >silent &
	in_ns nc 127.0.0.1 2200 <>silent >back
	check "$vm: TCP from the host's network" [ "$(info got)" = "$(sum_of data)" ]
	check "$vm: TCP to it" says "^LAB-INFO put=$(sum_of got)"
	check "$vm: a forwarded port leads to the guest" says "^LAB-INFO put=$(sum_of back)"
	check "$vm: the guest listens" hears LAB-TAKES 60
	in_ns nc 127.0.0.1 2300 <data >/dev/null
	ends 0 120
	check "$vm: TCP into the guest by a forwarded port" [ "$(info got)" = "$(sum_of data)" ]
	check "$vm: nothing of passt is left" no_passt
	check "$vm: the guest's log is without a complaint about the machine" clean_log
	check "$vm: lkvm complains of nothing" [ ! -s "$vm.err" ]
done
