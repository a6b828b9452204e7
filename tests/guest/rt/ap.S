/* SPDX-License-Identifier: MIT */
/*
 * Where the other CPUs start after INIT and start-up IPI (Intel SDM volume 3, 9.4): real mode at the page
 * that the IPI names. rt/smp.c copies [ap_start, ap_end) there, below 640 KiB.
 */
#ifndef __x86_64__
	.section .rodata
	.globl ap_start, ap_end
	.code16
ap_start:
	cli
	mov %cs, %ax
	mov %ax, %ds
	lgdtl ap_gdtr - ap_start
	mov %cr0, %eax
	or $1, %al
	and $0x9fffffff, %eax	/* the caches on, which INIT leaves off */
	mov %eax, %cr0
	ljmpl $8, $ap_protected
	.balign 4
ap_gdtr:
	.word 3 * 8 - 1
	.long ap_gdt
ap_end:
	.balign 8
ap_gdt:	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff

	.text
	.code32
ap_protected:
	mov $16, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %fs
	mov %ecx, %gs
	mov %ecx, %ss
	mov $1, %eax
	lock xadd %eax, ap_count
	mov %eax, %ebx
	inc %eax
	shl $11, %eax
	lea ap_stacks(%eax), %esp
	push %ebx
	call ap_main
1:	cli
	hlt
	jmp 1b

	.bss
	.balign 16
	.globl ap_count, ap_stacks
ap_count:
	.long 0
	.balign 4096
ap_stacks:
	.skip 320 * 2048
#endif
	.section .note.GNU-stack, "", @progbits
