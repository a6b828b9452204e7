/* SPDX-License-Identifier: MIT */
/* A guest that reads the test device's memory COUNT times, each an exit, and ends. */
#include "image.inc.S"
	IMAGE_HEADER
	movz x0, #0x0105, lsl #16
	ldr x1, =COUNT
	cbz x1, 2f
1:	ldr w2, [x0]
	subs x1, x1, #1
	b.ne 1b
2:	movz x0, #0x0103, lsl #16
	str wzr, [x0]
3:	wfi
	b 3b
	.ltorg
_end:
