/* SPDX-License-Identifier: MIT */
/*
 * The small world of a bare-metal payload: ports, memory-mapped registers, a serial console, checks,
 * interrupts. One CPU unless a payload starts more; ring 0; no paging in 32-bit payloads, the loader's
 * identity map in 64-bit ones. Nothing here knows lkvm: a payload is told what to expect by its command line.
 *
 * What a payload says on COM1 is read by tests/guest/lib.sh: "ok TEXT" and "not ok TEXT" are points of the
 * test, "= NAME VALUE" is a fact for the script to judge, "done" comes last, before the exit code.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef uintptr_t ulong;

#define COM1	  0x3f8
#define EXIT_PORT 0xf4

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* --- ports ------------------------------------------------------------------------------------ */

#define DEFINE_PORT(suffix, type)                                                                            \
	static inline void out##suffix(u16 port, type v)                                                     \
	{                                                                                                    \
		asm volatile("out" #suffix " %0, %1" : : "a"(v), "Nd"(port) : "memory");                     \
	}                                                                                                    \
	static inline type in##suffix(u16 port)                                                              \
	{                                                                                                    \
		type v;                                                                                      \
		asm volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port) : "memory");                      \
		return v;                                                                                    \
	}                                                                                                    \
	static inline void outs##suffix(u16 port, const void *from, ulong count)                             \
	{                                                                                                    \
		asm volatile("cld; rep outs" #suffix : "+S"(from), "+c"(count) : "d"(port) : "memory");      \
	}                                                                                                    \
	static inline void ins##suffix(u16 port, void *to, ulong count)                                      \
	{                                                                                                    \
		asm volatile("cld; rep ins" #suffix : "+D"(to), "+c"(count) : "d"(port) : "memory");         \
	}
DEFINE_PORT(b, u8)
DEFINE_PORT(w, u16)
DEFINE_PORT(l, u32)

/* --- memory-mapped registers: one access of just that width ------------------------------------- */

#define DEFINE_MMIO(bits, insn, reg)                                                                         \
	static inline void write##bits(ulong addr, u##bits v)                                                \
	{                                                                                                    \
		asm volatile(insn " %0, %1" : : reg(v), "m"(*(volatile u##bits *)addr) : "memory");          \
	}                                                                                                    \
	static inline u##bits read##bits(ulong addr)                                                         \
	{                                                                                                    \
		u##bits v;                                                                                   \
		asm volatile(insn " %1, %0" : "=" reg(v) : "m"(*(volatile u##bits *)addr) : "memory");       \
		return v;                                                                                    \
	}
DEFINE_MMIO(8, "movb", "q")
DEFINE_MMIO(16, "movw", "r")
DEFINE_MMIO(32, "movl", "r")
#ifdef __x86_64__
DEFINE_MMIO(64, "movq", "r")
#endif

/* --- the CPU --------------------------------------------------------------------------------- */

static inline void cpuid(u32 leaf, u32 sub, u32 *a, u32 *b, u32 *c, u32 *d)
{
	asm volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "0"(leaf), "2"(sub));
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	asm volatile("wrmsr" : : "a"((u32)v), "d"((u32)(v >> 32)), "c"(msr) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

static inline void cpu_relax(void)
{
	asm volatile("pause" : : : "memory");
}

static inline void irq_disable(void)
{
	asm volatile("cli" : : : "memory");
}

/* Lets in what is pending. An emulated CPU looks for interrupts where it likes: an exit makes it look. */
static inline void irq_window(void)
{
	asm volatile("sti; nop; nop; outb %%al, $0x80; nop; nop; cli" : : : "memory");
}

/* Interrupts are let in with the halt itself: none can slip in before. */
static inline void safe_halt(void)
{
	asm volatile("sti; hlt; cli" : : : "memory");
}

/* --- console and verdicts ------------------------------------------------------------------------ */

void putch(char c);
/* %d %u %x %s %c, each with an optional width (zero-filled with a leading 0), and %llx, %llu. */
void printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void check_at(bool ok, const char *what, const char *file, int line);
void check_eq_at(u64 got, u64 want, const char *what, const char *file, int line);
#define check(cond, what)	  check_at(cond, what, __FILE__, __LINE__)
#define check_eq(got, want, what) check_eq_at(got, want, what, __FILE__, __LINE__)
/* "done", then exit with this code: 0 when every check held. */
void finish(void) __attribute__((noreturn));
void exit_with(u32 code) __attribute__((noreturn));
/* Stops for good, with interrupts off. */
void halt(void) __attribute__((noreturn));

/* --- memory and strings ------------------------------------------------------------------------------ */

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
/* The value of "name=" in the command line, decimal or 0x; or `otherwise`. */
u32 option(const char *name, u32 otherwise);
/* Whether the command line has the word. */
bool has_word(const char *word);
/* The CRC of cksum(1), POSIX. */
u32 cksum(const u8 *data, u32 len);
u8 sum8(const void *data, u32 len);

/* --- what the loader gave ----------------------------------------------------------------------------- */

struct mem_range {
	u64 addr, size;
	u32 type; /* 1: RAM */
};
struct module {
	ulong addr;
	u32 size;
	const char *cmdline;
};
/* Filled before main() by the start code of each kind of image. */
struct boot {
	const char *protocol;
	const char *cmdline;
	struct mem_range map[32];
	u32 nr_map;
	struct module module[8];
	u32 nr_modules;
	u64 rsdp; /* 0: the loader did not say */
	u32 raw_magic;
	ulong raw; /* the loader's own structure */
};
extern struct boot boot;

/* Each payload's. */
void main(void);

/* --- interrupts (rt/irq.c) ----------------------------------------------------------------------------- */

/* An IDT with all exceptions reported and fatal, and vectors 0x20 to 0x4f counted. */
void irq_init(void);
/* The same IDT on another CPU. */
void irq_load(void);
extern volatile u32 irq_count[256];
/* Called from the vector's handler, before the end of interrupt; NULL: none. */
extern void (*volatile irq_hook[256])(u32 vector);
/* How a handler ends an interrupt. */
enum irq_eoi { EOI_NONE, EOI_PIC, EOI_LAPIC };
extern volatile enum irq_eoi irq_eoi;

void pic_init(u16 mask); /* lines 0-15 to vectors 0x20-0x2f; bit set: masked */
#define IOAPIC 0xfec00000ul
#define LAPIC  0xfee00000ul
u32 ioapic_read(u32 reg);
void ioapic_write(u32 reg, u32 v);
/* flags: bit 13 low active, bit 15 level, bit 16 masked. Destination: this CPU. */
void ioapic_route(u32 gsi, u32 vector, u32 flags);
void lapic_enable(void);
u32 lapic_id(void);
static inline u32 lapic_read(u32 reg)
{
	return read32(LAPIC + reg);
}
static inline void lapic_write(u32 reg, u32 v)
{
	write32(LAPIC + reg, v);
}
/* Waits with interrupts on until irq_count[vector] is at least n; false after many turns. */
bool irq_wait(u32 vector, u32 n);

#endif
