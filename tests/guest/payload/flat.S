/* SPDX-License-Identifier: MIT */
/*
 * A flat 16-bit image: loaded at 0x10000 and entered in real mode at 1000:0000. Says where it finds itself;
 * the stack and a far-off byte of the image (past the first 32 KiB) must work,
 * and what the stack is used for must not be the image's.
 */
	.code16
	.text
	.globl _start
_start:
	call 1f
1:	pop %bx			/* a stack there is, and ip was 0 */
	cmp $(1b - _start), %bx
	jne bad
	mov %cs, %ax
	cmp $0x1000, %ax
	jne bad
	mov %ds, %dx
	cmp %ax, %dx
	jne bad
	mov %es, %dx
	cmp %ax, %dx
	jne bad
	pushf
	pop %ax
	test $0x200, %ax	/* interrupts are off */
	jnz bad
	mov %cr0, %eax
	test $1, %al		/* real mode */
	jnz bad
	cmpl $0x600dda7a, far_away
	jne bad
	cmpl $0x600dda7a, middle	/* where shorter images have their stack */
	jne bad
	mov $message, %si
	call puts
	mov $0, %al
	out %al, $0xf4
bad:	mov $1, %al
	out %al, $0xf4
	hlt

puts:	lodsb
	test %al, %al
	jz 3f
	mov %al, %cl
	mov $0x3fd, %dx
2:	in %dx, %al
	test $0x20, %al
	jz 2b
	mov %cl, %al
	mov $0x3f8, %dx
	out %al, %dx
	jmp puts
3:	ret

message:
	.ascii "ok real mode at 1000:0000, stack, segments, flags\r\n"
	.ascii "done\r\n\0"
	.org 0x7ffc
middle:
	.long 0x600dda7a
	.org 0x9000
far_away:
	.long 0x600dda7a
