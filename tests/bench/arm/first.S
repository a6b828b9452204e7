/* SPDX-License-Identifier: MIT */
/* A guest whose first instructions say that it runs: a write to the boot timer, and one of the exit code. */
#include "image.inc.S"
	IMAGE_HEADER
	mov x0, #0x40000000
	str wzr, [x0]
	movz x0, #0x0103, lsl #16
	str wzr, [x0]
1:	wfi
	b 1b
_end:
