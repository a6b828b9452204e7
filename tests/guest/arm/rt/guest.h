/* SPDX-License-Identifier: MIT */
/*
 * The small world of a bare-metal arm64 payload: memory-mapped registers, a serial console, checks, the
 * device tree, exceptions, PSCI, time. EL1; the MMU is on with an identity map of blocks: devices below 2
 * GiB, normal memory from there up (rt/start.S). What is on the board, a payload reads in the device tree, as
 * a kernel does; three places it must know before: the console, the exit register, and those of the test
 * device.
 *
 * What a payload says on the console is read by the lab's cases: "ok TEXT" and "not ok TEXT" are points of
 * the test, "= NAME VALUE" is a fact for the case to judge, "done" comes last, before the exit code.
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

#define UART	    0x01000000ul
#define EXIT	    0x01030000ul
#define TESTDEV	    0x01040000ul
#define TESTDEV_MEM 0x01050000ul
#define BOOT_TIMER  0x40000000ul
#define RAM	    0x80000000ul

#define MAX_CPUS 512 /* rt/start.S has as many stacks */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* --- memory-mapped registers: one access of just that width, with a syndrome that KVM can decode  */

#define DEFINE_MMIO(bits, width, reg)                                                                        \
	static inline void write##bits(ulong addr, u##bits v)                                                \
	{                                                                                                    \
		asm volatile("str" width " %" reg "0, [%1]" : : "r"(v), "r"(addr) : "memory");               \
	}                                                                                                    \
	static inline u##bits read##bits(ulong addr)                                                         \
	{                                                                                                    \
		u##bits v;                                                                                   \
		asm volatile("ldr" width " %" reg "0, [%1]" : "=r"(v) : "r"(addr) : "memory");               \
		return v;                                                                                    \
	}
DEFINE_MMIO(8, "b", "w")
DEFINE_MMIO(16, "h", "w")
DEFINE_MMIO(32, "", "w")
DEFINE_MMIO(64, "", "x")

/* --- the CPU --------------------------------------------------------------------------------- */

#define read_sysreg(name)                                                                                    \
	({                                                                                                   \
		u64 v_;                                                                                      \
		asm volatile("mrs %0, " name : "=r"(v_) : : "memory");                                       \
		v_;                                                                                          \
	})
#define write_sysreg(name, v) asm volatile("msr " name ", %x0\n\tisb" : : "rZ"((u64)(v)) : "memory")

static inline void dsb(void)
{
	asm volatile("dsb sy" : : : "memory");
}

static inline void isb(void)
{
	asm volatile("isb" : : : "memory");
}

static inline void cpu_relax(void)
{
	asm volatile("yield" : : : "memory");
}

static inline void irq_disable(void)
{
	asm volatile("msr daifset, #2" : : : "memory");
}

static inline void irq_enable(void)
{
	asm volatile("msr daifclr, #2\n\tisb" : : : "memory");
}

/* Lets in what is pending. The access leaves the guest: KVM looks for interrupts on its way back. */
static inline void irq_window(void)
{
	irq_enable();
	read32(TESTDEV);
	isb();
	irq_disable();
}

/* Sleeps until an interrupt is pending, then lets it in. */
static inline void safe_halt(void)
{
	asm volatile("dsb sy\n\twfi" : : : "memory");
	irq_window();
}

/* Which of the vCPUs we run on: 0 booted, the others are numbered in the order of the device tree. */
static inline u32 cpu_index(void)
{
	return (u32)read_sysreg("tpidr_el1");
}

#define MPIDR_AFFINITY 0xff00fffffful
static inline u64 cpu_affinity(void)
{
	return read_sysreg("mpidr_el1") & MPIDR_AFFINITY;
}

static inline u32 atomic_add(volatile u32 *p, u32 v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}

/* --- time ------------------------------------------------------------------------------------ */

static inline u64 ticks(void)
{
	isb();
	return read_sysreg("cntvct_el0");
}

static inline u64 ticks_per_second(void)
{
	return read_sysreg("cntfrq_el0");
}

static inline u64 ticks_of_ms(u32 ms)
{
	return ticks_per_second() * ms / 1000;
}

/* No wait is longer. It ends what is stuck, and judges no speed: the lab's guests are slow. */
#define WAIT_SECONDS 30
/* Spins, with interrupts as they are, until the condition holds; its last value. */
#define wait_for(cond)                                                                                       \
	({                                                                                                   \
		u64 end_ = ticks() + WAIT_SECONDS * ticks_per_second();                                      \
		bool held_;                                                                                  \
		while (!(held_ = (cond)) && ticks() < end_)                                                  \
			cpu_relax();                                                                         \
		held_;                                                                                       \
	})
/* The same with interrupts let in again and again. */
#define wait_irq(cond)                                                                                       \
	({                                                                                                   \
		u64 end_ = ticks() + WAIT_SECONDS * ticks_per_second();                                      \
		bool held_;                                                                                  \
		while (!(held_ = (cond)) && ticks() < end_)                                                  \
			irq_window();                                                                        \
		held_;                                                                                       \
	})

/* --- console and verdicts (rt/text.c, rt/board.c, ../common.c) ------------------------------ */

void putch(char c);
/* %d %u %x %s %c, each with an optional width (zero-filled with a leading 0), and %lx, %lu, %llx, %llu. */
void printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void check_at(bool ok, const char *what, const char *file, int line);
void check_eq_at(u64 got, u64 want, const char *what, const char *file, int line);
#define check(cond, what)	  check_at(cond, what, __FILE__, __LINE__)
#define check_eq(got, want, what) check_eq_at(got, want, what, __FILE__, __LINE__)
/* "done", then exit with this code: 0 when every check held. */
void finish(void) __attribute__((noreturn));
void exit_with(u32 code) __attribute__((noreturn));
/* Stops this vCPU for good, with interrupts off. */
void halt(void) __attribute__((noreturn));

/* --- memory and strings ---------------------------------------------------------------------- */

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
/* The value of "name=" in the command line, decimal or 0x; or `otherwise`. */
u32 option(const char *name, u32 otherwise);
/* Whether the command line has the word. */
bool has_word(const char *word);
/* The CRC of gzip(1), RFC 1952. */
u32 crc32(const u8 *data, u64 len);

/* --- what the loader gave -------------------------------------------------------------------- */

/* How we were entered; rt/start.S has the offsets. */
struct entry {
	u64 x0, x1, x2, x3;
	u64 pc, el, daif, sctlr;
};

struct boot {
	struct entry entry;
	const char *cmdline;	/* never NULL */
	u64 initrd, initrd_end; /* 0: none */
	u64 ram, ram_size;	/* of the first memory node */
	u32 nr_cpus;
	u64 affinity[MAX_CPUS]; /* of each vCPU, as the tree has it */
};
extern struct boot boot;
/* Reads the device tree; start.S calls it before main(). */
void boot_init(void);
void main(void);

/* --- PSCI, by HVC (Arm DEN 0022) ------------------------------------------------------------- */

#define PSCI_VERSION	   0x84000000u
#define PSCI_CPU_SUSPEND   0xc4000001u
#define PSCI_CPU_OFF	   0x84000002u
#define PSCI_CPU_ON	   0xc4000003u
#define PSCI_AFFINITY_INFO 0xc4000004u
#define PSCI_MIGRATE_TYPE  0x84000006u
#define PSCI_SYSTEM_OFF	   0x84000008u
#define PSCI_SYSTEM_RESET  0x84000009u
#define PSCI_FEATURES	   0x8400000au
#define PSCI_SYSTEM_RESET2 0xc4000012u

#define PSCI_SUCCESS	   0
#define PSCI_NOT_SUPPORTED (-1)
#define PSCI_INVALID	   (-2)
#define PSCI_ALREADY_ON	   (-4)

long psci(u64 function, u64 a, u64 b, u64 c);

/* --- exceptions (rt/exception.c) ------------------------------------------------------------- */

/* What rt/vectors.S saves, in its order. */
struct frame {
	u64 x[31];
	u64 elr, spsr, pad;
};

/*
 * Called for each interrupt, with interrupts off, on the vCPU that takes it. NULL: it is reported as a fault.
 * rt/gic.c puts itself here.
 */
extern void (*irq_handler)(void);

/*
 * Runs access(arg) and says whether it took a synchronous exception: the syndrome and the address are then in
 * *esr and *far. Any other exception is reported and ends the payload with status 99.
 */
bool faults(void (*access)(ulong arg), ulong arg, u64 *esr, u64 *far);

#endif
