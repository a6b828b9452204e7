/* SPDX-License-Identifier: MIT */
/*
 * Multiboot (version 1) entry: flat 32-bit protected mode, eax the magic, ebx the information structure. The
 * specification leaves the GDT and the stack to us. Sections 3.1 and 3.2.
 */
#define FLAGS 0x3 /* modules on page boundaries, memory map wanted */

	.section .head, "ax"
	.balign 4
	.long 0x1badb002
	.long FLAGS
	.long -(0x1badb002 + FLAGS)

	.globl _start
_start:
	cli
	mov $stack_end, %esp
	lgdt gdtr
	ljmp $8, $1f
1:	mov $16, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %fs
	mov %ecx, %gs
	mov %ecx, %ss
	push %ebx
	push %eax
	call boot_multiboot
	call main
	call finish

	.section .rodata
	.balign 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
gdtr:	.word gdtr - gdt - 1
	.long gdt

	.section .bss
	.balign 16
	.skip 0x4000
stack_end:
	.section .note.GNU-stack, "", @progbits
