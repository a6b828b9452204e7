/* SPDX-License-Identifier: MIT */
/* The header of an arm64 Image (Linux: Documentation/arm64/booting.rst) before a guest's code. */
.macro IMAGE_HEADER
	.globl _start
_start:	b 1f
	.word 0
	.quad 0			/* text_offset */
	.quad _end - _start	/* image_size */
	.quad 0xa		/* flags: little-endian, 4 KiB pages, anywhere */
	.quad 0, 0, 0
	.ascii "ARM\x64"
	.word 0
1:
.endm
