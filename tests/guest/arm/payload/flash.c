// SPDX-License-Identifier: MIT
/*
 * CFI flash (--flash; two 16-bit chips side by side, Intel's command set 0001): asked what it is, one block
 * erased and programmed word by word, the others left alone. "ro": every block is locked down, and stays as
 * it is. The case looks at the file afterwards.
 */
#include "guest.h"

#define FLASH	0x02000000ul
#define BLOCK	0x40000ul
#define BOTH(v) ((u32)(v) << 16 | (v))

enum {
	ERASE = 0x20,
	PROGRAM = 0x40,
	CLEAR = 0x50,
	STATUS = 0x70,
	QUERY = 0x98,
	CONFIRM = 0xd0,
	ARRAY = 0xff
};

#define READY  BOTH(0x80)
#define LOCKED BOTH(0x02)

static void command(ulong at, u32 what)
{
	write32(at, BOTH(what));
}

static u32 status(ulong at)
{
	u32 bits;

	command(at, STATUS);
	bits = read32(at);
	command(at, CLEAR);
	return bits;
}

static u32 erase(ulong at)
{
	command(at, ERASE);
	command(at, CONFIRM);
	return status(at);
}

static u32 program(ulong at, u32 word)
{
	command(at, PROGRAM);
	write32(at, word);
	return status(at);
}

static void query(void)
{
	command(FLASH + 4 * 0x55, QUERY);
	check_eq(read32(FLASH + 4 * 0x10), BOTH('Q'), "the query says Q");
	check_eq(read32(FLASH + 4 * 0x11), BOTH('R'), "R");
	check_eq(read32(FLASH + 4 * 0x12), BOTH('Y'), "Y");
	check_eq(read32(FLASH + 4 * 0x13), BOTH(1), "Intel's command set");
	command(FLASH, ARRAY);
}

void main(void)
{
	ulong at = FLASH + BLOCK;
	u32 wrong = 0, before;

	query();
	before = read32(at);
	printf("= first 0x%x\n", read32(FLASH));
	if (has_word("ro")) {
		check(erase(at) & LOCKED, "a locked block is not erased");
		check(program(at, 0) & LOCKED, "nor programmed");
		command(at, ARRAY);
		check_eq(read32(at), before, "and is what it was");
		finish();
	}
	check_eq(erase(at), READY, "a block is erased");
	command(at, ARRAY);
	for (ulong i = 0; i < BLOCK; i += 4)
		wrong += read32(at + i) != 0xffffffff;
	check_eq(wrong, 0, "it is all ones then");
	check_eq(program(at, 0x11223344), READY, "a word is programmed");
	for (u32 i = 1; i < 64; i++)
		wrong += program(at + 4 * i, i * 0x01010101) != READY;
	check_eq(wrong, 0, "and 63 more");
	check_eq(program(at, 0xffff0044), READY, "bits can be cleared afterwards");
	command(at, ARRAY);
	check_eq(read32(at), 0x11220044, "and none is set by that");
	for (u32 i = 1; i < 64; i++)
		wrong += read32(at + 4 * i) != i * 0x01010101;
	check_eq(wrong, 0, "the array says what was programmed");
	finish();
}
