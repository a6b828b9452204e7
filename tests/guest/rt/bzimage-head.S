/* SPDX-License-Identifier: MIT */
/*
 * The real-mode part of a minimal bzImage: one boot sector and one setup sector with nothing but the header
 * (Documentation/x86/boot.rst, "The Real-Mode Kernel Header"). The protected-mode part is appended by
 * guest.mk, which defines PM_SIZE (its bytes) and CMDLINE_MAX.
 */
	.code16
	.text
	.globl _start
_start:
	.org 0x1f1
	.byte 1			/* setup_sects */
	.word 0			/* root_flags */
	.long (PM_SIZE + 15) / 16	/* syssize */
	.word 0			/* ram_size */
	.word 0			/* vid_mode */
	.word 0			/* root_dev */
	.word 0xaa55		/* boot_flag */
	.byte 0xeb, header_end - 1f	/* jump */
1:	.ascii "HdrS"
	.word 0x020f		/* version 2.15 */
	.long 0			/* realmode_swtch */
	.word 0			/* start_sys_seg */
	.word kernel_version - 0x200	/* kernel_version */
	.byte 0			/* type_of_loader */
	.byte 1			/* loadflags: LOADED_HIGH */
	.word 0			/* setup_move_size */
	.long 0x100000		/* code32_start */
	.long 0			/* ramdisk_image */
	.long 0			/* ramdisk_size */
	.long 0			/* bootsect_kludge */
	.word 0			/* heap_end_ptr */
	.byte 0			/* ext_loader_ver */
	.byte 0			/* ext_loader_type */
	.long 0			/* cmd_line_ptr */
	.long 0x37ffffff	/* initrd_addr_max */
	.long 0x200000		/* kernel_alignment */
	.byte 0			/* relocatable_kernel: only where it wants to be */
	.byte 21		/* min_alignment */
	.word 1			/* xloadflags: XLF_KERNEL_64 */
	.long CMDLINE_MAX	/* cmdline_size */
	.long 0			/* hardware_subarch */
	.quad 0			/* hardware_subarch_data */
	.long 0			/* payload_offset */
	.long 0			/* payload_length */
	.quad 0			/* setup_data */
	.quad 0x1000000		/* pref_address */
	.long 0x100000		/* init_size */
	.long 0			/* handover_offset */
	.long 0			/* kernel_info_offset */
header_end:
kernel_version:
	.asciz "lkvm-test-payload"
	.org 0x400
