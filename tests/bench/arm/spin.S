/* SPDX-License-Identifier: MIT */
/* A guest that says on its console that it runs, and spins. */
#include "image.inc.S"
	IMAGE_HEADER
	movz x0, #0x0100, lsl #16
	mov w1, #'.'
	strb w1, [x0]
	mov w1, #'\n'
	strb w1, [x0]
1:	b 1b
_end:
