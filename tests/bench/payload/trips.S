/* SPDX-License-Identifier: MIT */
/*
 * COUNT exits in a loop, in 32-bit protected mode: reads of port 0x80 (PIO), or of the test device's memory.
 * A flat 16-bit image, for lkvm --boot=flat and for floor.
 */
	.code16
	.globl _start
_start:	cli
	lgdtl %cs:gdtr
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $8, $0x10000 + start32
	.balign 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
gdtr:	.word gdtr - gdt - 1
	.long 0x10000 + gdt
	.code32
start32:
	mov $16, %eax
	mov %eax, %ds
	mov $COUNT, %ecx
	test %ecx, %ecx
	jz 2f
#ifdef PIO
1:	in $0x80, %al
#else
1:	mov 0xff000000, %eax
#endif
	dec %ecx
	jnz 1b
2:	mov $0, %al
	out %al, $0xf4
	hlt
