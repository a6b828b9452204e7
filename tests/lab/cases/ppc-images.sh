# SPDX-License-Identifier: MIT
# What a kernel may come in: gzip, as far as its first line; a zImage or a U-Boot image, to user space
# lab: arch=ppc64le-powernv,ppc-e500 bound=500
case $ARCH in
ppc64le) wrapped=zImage ;;
*) wrapped=uImage ;;
esac
kernel=/guest/vmlinux.gz
boot gzip -p "lab=tick"
check "gzip: the kernel has begun" hears "Linux version" "$BOOT"
kill -TERM "$vm_pid"
ends 143 30
kernel=/guest/$wrapped
boot "$wrapped" -p "quiet lab=info,poweroff"
up
ends 0 90
check "$wrapped: it is the row's kernel" [ "$(info kernel)" = "$(uname -r)" ]
check "$wrapped: lkvm has nothing to say" [ ! -s "$vm.err" ]
