/* SPDX-License-Identifier: MIT */
/*
 * The Linux boot protocol's 64-bit entry (Documentation/x86/boot.rst, "64-bit boot protocol"): long mode, the
 * loaded image identity-mapped, rsi points to the boot_params, code segment 0x10 and data segment 0x18. At
 * offset 0x200 of the image, where a bzImage has it; the 32-bit entry at offset 0 must never be taken.
 */
	.section .head, "ax"
	.code32
	mov $0xee, %al	/* the wrong entry: tell by the exit code */
	out %al, $0xf4
1:	cli
	hlt
	jmp 1b
	.org 0x200
	.code64
	.globl _start
_start:
	cli
	mov $stack_end, %rsp
	mov %cs, %ecx
	cmp $0x10, %cx
	jne 2f
	mov %ds, %ecx
	cmp $0x18, %cx
	jne 2f
	mov %rsi, %rdi
	call boot_linux
	call main
	call finish
2:	mov $0xed, %al	/* not the segments that the protocol promises */
	out %al, $0xf4
	hlt

	.section .bss
	.balign 16
	.skip 0x4000
stack_end:
	.section .note.GNU-stack, "", @progbits
