# SPDX-License-Identifier: MIT
# Two initrds, concatenated
# lab: arch=x86-64,arm64-gicv3,ppc64le,ppc-e500
mkdir more
echo from-the-second >more/extra
(cd more && echo extra | cpio -o -H newc >../more.cpio 2>/dev/null)
boot vm -i "$PWD/more.cpio" -p "quiet lab=info,poweroff"
up
ends 0 60
check "files of both initrds are there" [ "$(info extra)" = from-the-second ]
