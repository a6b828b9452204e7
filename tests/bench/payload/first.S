/* SPDX-License-Identifier: MIT */
/* A guest whose first instructions say that it runs: a newline on the debug console, out at once. */
	.code16
	.globl _start
_start:	mov $10, %al
	out %al, $0xe9
	mov $0, %al
	out %al, $0xf4
	hlt
