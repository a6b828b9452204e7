// SPDX-License-Identifier: MIT
/*
 * Does what its command line says, word by word, in order: the way to a device's side effects for tests that
 * need no more than an access.
 *
 *   ob:PORT:VALUE  ow:  ol:        write to a port          w8:ADDR:VALUE  w16:  w32:   write to memory
 *   ib:PORT:WANT   iw:  il:        read from a port         r8:ADDR:WANT   r16:  r32:   read from memory
 *   say:WORD  done  exit:CODE  spin  hlt (interrupts off)  triple (fault)  int3  xrstor
 *
 * After the last word it halts: a write that ends the VM must have ended it.
 */
#include "guest.h"

static const char *at;

static bool take(const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < n; i++)
		if (at[i] != word[i])
			return false;
	at += n;
	return true;
}

static u32 number(void)
{
	u32 v = 0;

	if (*at == ':')
		at++;
	if (at[0] == '0' && at[1] == 'x') {
		for (at += 2; *at && *at != ' ' && *at != ':'; at++)
			v = v << 4 | (u32)(*at <= '9' ? *at - '0' : (*at | 32) - 'a' + 10);
		return v;
	}
	for (; *at >= '0' && *at <= '9'; at++)
		v = v * 10 + (u32)(*at - '0');
	return v;
}

static void verdict(const char *what, u32 where, u32 got)
{
	u32 want = number();

	if (got == want)
		printf("ok %s 0x%x gives 0x%x\n", what, where, got);
	else
		printf("not ok %s 0x%x gives 0x%x\n# got 0x%x\n", what, where, want, got);
}

/* An undefined opcode, and no IDT to handle it by, nor the double fault that follows. */
static void triple(void)
{
	struct {
		u16 limit;
		u32 base;
	} __attribute__((packed)) none = {0, 0};

	asm volatile("lidt %0; ud2" : : "m"(none));
}

static void word(void)
{
	u32 where;

	if (take("ob:")) {
		where = number();
		outb((u16)where, (u8)number());
	} else if (take("ow:")) {
		where = number();
		outw((u16)where, (u16)number());
	} else if (take("ol:")) {
		where = number();
		outl((u16)where, number());
	} else if (take("ib:")) {
		where = number();
		verdict("inb", where, inb((u16)where));
	} else if (take("iw:")) {
		where = number();
		verdict("inw", where, inw((u16)where));
	} else if (take("il:")) {
		where = number();
		verdict("inl", where, inl((u16)where));
	} else if (take("w8:")) {
		where = number();
		write8(where, (u8)number());
	} else if (take("w16:")) {
		where = number();
		write16(where, (u16)number());
	} else if (take("w32:")) {
		where = number();
		write32(where, number());
	} else if (take("r8:")) {
		where = number();
		verdict("read8", where, read8(where));
	} else if (take("r16:")) {
		where = number();
		verdict("read16", where, read16(where));
	} else if (take("r32:")) {
		where = number();
		verdict("read32", where, read32(where));
	} else if (take("say:")) {
		while (*at && *at != ' ')
			putch(*at++);
		printf("\n");
	} else if (take("done")) {
		printf("done\n");
	} else if (take("exit:")) {
		exit_with(number());
	} else if (take("spin")) {
		for (;;)
			cpu_relax();
	} else if (take("hlt")) {
		halt();
	} else if (take("triple")) {
		triple();
	} else if (take("int3")) {
		asm volatile("int3");
	} else if (take("xrstor")) {
		/* Without an IDT to speak of: on hardware #UD or #GP, and a triple fault. */
		asm volatile("mov $0, %%eax; mov $0, %%edx; .byte 0x0f, 0xae, 0x2d; .long 0x300000"
			     :
			     :
			     : "eax", "edx");
	} else {
		while (*at && *at != ' ')
			at++;
	}
}

void main(void)
{
	for (at = boot.cmdline; at && *at;) {
		while (*at == ' ')
			at++;
		if (*at)
			word();
	}
	halt();
}
