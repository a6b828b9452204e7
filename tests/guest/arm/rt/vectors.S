/* SPDX-License-Identifier: MIT */
/*
 * The exception vectors of EL1 (Arm ARM, D1.10.2): 16 of 128 bytes. Each saves a struct frame on the stack it
 * finds and calls exception(frame, vector's number); execution goes on with what the frame holds then.
 */
	.text
	.balign 2048
	.globl vectors
vectors:
	.set i, 0
	.rept 16
	.balign 128
	sub sp, sp, #272
	stp x0, x1, [sp]
	mov x1, #i
	b common
	.set i, i + 1
	.endr

	.balign 128
common:	stp x2, x3, [sp, #16]
	stp x4, x5, [sp, #32]
	stp x6, x7, [sp, #48]
	stp x8, x9, [sp, #64]
	stp x10, x11, [sp, #80]
	stp x12, x13, [sp, #96]
	stp x14, x15, [sp, #112]
	stp x16, x17, [sp, #128]
	stp x18, x19, [sp, #144]
	stp x20, x21, [sp, #160]
	stp x22, x23, [sp, #176]
	stp x24, x25, [sp, #192]
	stp x26, x27, [sp, #208]
	stp x28, x29, [sp, #224]
	mrs x2, elr_el1
	mrs x3, spsr_el1
	stp x30, x2, [sp, #240]
	str x3, [sp, #256]
	mov x0, sp
	bl exception
	ldp x30, x2, [sp, #240]
	ldr x3, [sp, #256]
	msr elr_el1, x2
	msr spsr_el1, x3
	ldp x2, x3, [sp, #16]
	ldp x4, x5, [sp, #32]
	ldp x6, x7, [sp, #48]
	ldp x8, x9, [sp, #64]
	ldp x10, x11, [sp, #80]
	ldp x12, x13, [sp, #96]
	ldp x14, x15, [sp, #112]
	ldp x16, x17, [sp, #128]
	ldp x18, x19, [sp, #144]
	ldp x20, x21, [sp, #160]
	ldp x22, x23, [sp, #176]
	ldp x24, x25, [sp, #192]
	ldp x26, x27, [sp, #208]
	ldp x28, x29, [sp, #224]
	ldp x0, x1, [sp]
	add sp, sp, #272
	eret

/*
 * bool probe(access, arg, struct way_back *w): calls access(arg); when that faults, exception() goes on at
 * w->pc with w->sp in x0, as if the call had returned true.
 */
	.globl probe
probe:	stp x29, x30, [sp, #-112]!
	stp x19, x20, [sp, #16]
	stp x21, x22, [sp, #32]
	stp x23, x24, [sp, #48]
	stp x25, x26, [sp, #64]
	stp x27, x28, [sp, #80]
	adr x3, 1f
	mov x4, sp
	stp x3, x4, [x2]
	mov x3, x0
	mov x0, x1
	blr x3
	mov x0, #0
	b 2f
1:	mov sp, x0
	mov x0, #1
2:	ldp x19, x20, [sp, #16]
	ldp x21, x22, [sp, #32]
	ldp x23, x24, [sp, #48]
	ldp x25, x26, [sp, #64]
	ldp x27, x28, [sp, #80]
	ldp x29, x30, [sp], #112
	ret
	.section .note.GNU-stack, "", @progbits
