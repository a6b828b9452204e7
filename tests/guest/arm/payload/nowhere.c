// SPDX-License-Identifier: MIT
/*
 * Accesses to addresses where nothing is: reads give all ones, writes vanish. An access that the processor
 * does not describe to KVM (no valid syndrome: pairs, write-back) to such an address or to a device is an
 * external abort for the guest, and the VM goes on.
 */
#include "fdt.h"

#define EC_INSTRUCTION 0x21
#define EC_DATA	       0x25
#define EXTERNAL       0x10

static const ulong empty[] = {
	0x0,	    0xffc,	0x00fffff8, 0x01004000, 0x0103f000, 0x01080000,
	0x07fffff8, 0x08018000, 0x30000000, 0x3ffffff8, 0x41020000, 0x4ffffff8,
};

static void reads_and_writes(ulong at)
{
	bool ones, after;

	ones = read8(at) == 0xff && read16(at) == 0xffff && read32(at) == 0xffffffff && read64(at) == ~0ull;
	write8(at, 0);
	write16(at, 0);
	write32(at, 0);
	write64(at, 0);
	after = read64(at) == ~0ull;
	if (!ones || !after)
		printf("# at 0x%lx: 0x%lx\n", at, read64(at));
	check(ones, "reads give all ones, in every width");
	check(after, "and do so after writes");
}

static void load_pair(ulong at)
{
	u64 a, b;

	asm volatile("ldp %0, %1, [%2]" : "=&r"(a), "=&r"(b) : "r"(at) : "memory");
}

static void store_pair(ulong at)
{
	asm volatile("stp xzr, xzr, [%0]" : : "r"(at) : "memory");
}

static void load_back(ulong at)
{
	u64 a;

	asm volatile("ldr %0, [%1], #8" : "=&r"(a), "+r"(at) : : "memory");
}

static void store_back(ulong at)
{
	asm volatile("str wzr, [%0, #4]!" : "+r"(at) : : "memory");
}

static void jump(ulong at)
{
	((void (*)(void))at)();
}

static void undescribed(const char *what, ulong at)
{
	static const struct {
		const char *name;
		void (*access)(ulong at);
		u32 offset;
		bool write;
	} kind[] = {{"a load of a pair", load_pair, 0, false},
		    {"a store of a pair", store_pair, 0, true},
		    {"a load with write-back", load_back, 0, false},
		    {"a store with write-back", store_back, 4, true}};
	u64 esr, far;

	for (u32 i = 0; i < ARRAY_SIZE(kind); i++) {
		bool aborted = faults(kind[i].access, at, &esr, &far);

		printf("# %s, %s: esr 0x%lx, far 0x%lx\n", what, kind[i].name, aborted ? esr : 0,
		       aborted ? far : 0);
		check(aborted && esr >> 26 == EC_DATA && (esr & 0x3f) == EXTERNAL, "it is an external abort");
		check_eq(far, at + kind[i].offset, "at its address");
	}
}

void main(void)
{
	u64 esr, far;

	for (u32 i = 0; i < ARRAY_SIZE(empty); i++) {
		printf("# at 0x%lx\n", empty[i]);
		reads_and_writes(empty[i]);
	}
	printf("# behind RAM\n");
	reads_and_writes(boot.ram + boot.ram_size);
	undescribed("nowhere", 0x30000000);
	undescribed("the serial port", UART);
	undescribed("the exit register", EXIT);
	check(faults(jump, (boot.ram + boot.ram_size + 0xfff) & ~0xffful, &esr, &far) &&
		      esr >> 26 == EC_INSTRUCTION,
	      "a jump behind RAM is an abort");
	printf("# esr 0x%lx\n", esr);
	finish();
}
