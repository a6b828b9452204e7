// SPDX-License-Identifier: MIT
/*
 * The tiny guest: says one line and ends with the exit code that the command line names ("code=N", 0). With
 * the word "silent" it says nothing: the shortest life a guest can have.
 */
#include "guest.h"

void main(void)
{
	if (!has_word("silent"))
		printf("hello from EL%lu\n", boot.entry.el >> 2);
	exit_with(option("code", 0));
}
