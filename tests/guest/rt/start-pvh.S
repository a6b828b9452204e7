/* SPDX-License-Identifier: MIT */
/* PVH entry (the x86/HVM direct boot ABI): flat 32-bit protected mode, ebx points to the start info. */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18	/* name and descriptor sizes, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long _start

	.section .head, "ax"
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
	call boot_pvh
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
