/* SPDX-License-Identifier: MIT */
/*
 * Entry of a payload, as an arm64 Image (Documentation/arm64/booting.rst in the kernel's tree: the 64-byte
 * header, x0 the device tree, MMU and data cache off) or, with FLAT defined, as an image without the header's
 * magic. And the entry of the other vCPUs, by PSCI CPU_ON with the vCPU's number in x0.
 *
 * Nothing is written before MMU and caches are on: what goes past the caches and what comes through them then
 * never meet. So the translation table is constant, and all of the way there is in registers.
 */
#define STACK_SHIFT 12
#define STACKS	    512

#define SCTLR_ON 0x30d01805	/* RES1 bits, I, C, M */
#define MAIR	 0xff00		/* 0: device-nGnRnE; 1: normal, write-back */
/* 39 bits by blocks of 1 GiB, walks cacheable and inner shareable, no TTBR1. */
#define TCR	 (25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23)
#define DEVICE	 (1 << 10 | 0 << 2 | 1)
#define NORMAL	 (1 << 10 | 3 << 8 | 1 << 2 | 1)
#define NO_EXEC	 (3 << 53)

	.section .head, "ax"
	.globl _start
_start:
	b entry			/* code0 */
	.long 0
	.quad 0			/* text_offset: RAM's first byte */
	.quad image_size
	.quad 0xa		/* little-endian, 4 KiB pages, anywhere */
	.quad 0, 0, 0
#ifdef FLAT
	.long 0
#else
	.ascii "ARM\x64"
#endif
	.long 0

entry:	adr x19, _start
	mrs x20, currentel
	mrs x21, daif
	mrs x22, sctlr_el1
	mov x23, x0
	mov x24, x1
	mov x25, x2
	mov x26, x3
	msr daifset, #15
	bl mmu_on
	msr tpidr_el1, xzr
	ldr x0, =stacks + (1 << STACK_SHIFT)
	mov sp, x0

	ldr x0, =bss_start
	ldr x1, =bss_end
1:	cmp x0, x1
	b.hs 2f
	stp xzr, xzr, [x0], #16
	b 1b
2:	ldr x0, =boot
	stp x23, x24, [x0]
	stp x25, x26, [x0, #16]
	stp x19, x20, [x0, #32]
	stp x21, x22, [x0, #48]
	bl boot_init
	bl main
	bl finish

	.globl secondary_entry
secondary_entry:
	mov x19, x0
	msr daifset, #15
	bl mmu_on
	msr tpidr_el1, x19
	ldr x0, =stacks + (1 << STACK_SHIFT)
	add x0, x0, x19, lsl #STACK_SHIFT
	mov sp, x0
	mov x0, x19
	bl secondary_main
1:	wfi
	b 1b

/* Vectors, MMU, caches; changes x0 to x3. */
mmu_on:	ldr x0, =vectors
	msr vbar_el1, x0
	ldr x0, =MAIR
	msr mair_el1, x0
	ldr x0, =TCR
	mrs x1, id_aa64mmfr0_el1
	and x1, x1, #7		/* PARange, which IPS takes as it is */
	mov x2, #5
	cmp x1, x2
	csel x1, x1, x2, lo
	orr x0, x0, x1, lsl #32
	msr tcr_el1, x0
	ldr x0, =map
	msr ttbr0_el1, x0
	isb
	tlbi vmalle1
	dsb nsh
	ic iallu
	dsb nsh
	isb
	ldr x0, =SCTLR_ON
	msr sctlr_el1, x0
	isb
	ret
	.ltorg

	.section .rodata
	.balign 4096
map:	.quad 0x00000000 + DEVICE + NO_EXEC
	.quad 0x40000000 + DEVICE + NO_EXEC
	.set i, 2
	.rept 510
	.quad (i << 30) + NORMAL
	.set i, i + 1
	.endr

	.section .stacks, "aw", @nobits
	.balign 4096
stacks:	.skip STACKS << STACK_SHIFT
	.section .note.GNU-stack, "", @progbits
