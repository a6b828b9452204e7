/* SPDX-License-Identifier: MIT */
/* One stub for each of the 256 vectors, all of the same size: a table that rt/irq.c counts through. */
	.text
	.globl vector_stubs, vector_stub_size
	.balign 16
vector_stubs:
	.set i, 0
	.rept 256
	.balign 16
	/* The CPU pushes an error code for these; the others get a 0 in its place. */
	.if !(i == 8 || (i >= 10 && i <= 14) || i == 17 || i == 21 || i == 29 || i == 30)
	push $0
	.endif
	push $i
	jmp common
	.set i, i + 1
	.endr
	.balign 16
	.section .rodata
	.balign 4
vector_stub_size:
	.long 16

	.text
#ifdef __x86_64__
/* 64-bit payloads take no interrupts: what comes here is an exception, told and fatal. */
common:
	mov (%rsp), %edi
	mov 8(%rsp), %esi
	mov 16(%rsp), %rdx
	and $-16, %rsp
	call interrupt
1:	cli
	hlt
	jmp 1b
#else
common:
	pushal
	pushl 40(%esp)	/* eip */
	pushl 40(%esp)	/* error code: 36 before the push above */
	pushl 40(%esp)	/* vector */
	call interrupt
	add $12, %esp
	/*
	 * Back without IRET, which KVM's emulator (the one CPU that some test machines have) does not know in
	 * protected mode: flags and address change places, then POPF and RET take them.
	 */
	mov 40(%esp), %eax
	mov 48(%esp), %ecx
	mov %eax, 48(%esp)
	mov %ecx, 44(%esp)
	popal
	add $12, %esp	/* vector, error code, what was eip */
	popfl
	ret
#endif
	.section .note.GNU-stack, "", @progbits
