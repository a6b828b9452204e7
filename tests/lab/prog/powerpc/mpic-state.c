/* SPDX-License-Identifier: MIT */
/*
 * mpic-state CHIP: the state of the MPIC on the real KVM. In VM A sources are set up and triggered in the
 * guest's place, by registers; A's MPIC is saved, twice, and must give the same bytes. In VM B, of the same
 * config, they are restored and saved again, and must be the same; and what pended in A pends in B: each vCPU
 * takes its interrupts there, in the order of their priorities, and no more than those. State of another
 * number of vCPUs is refused.
 *
 * Says "ok TEXT", "not ok TEXT", "# TEXT", and "done" at the end, as payloads do.
 */
#include <errno.h>
#include <inttypes.h>
#include <lkvm/config.h>
#include <lkvm/kvm-device.h>
#include <lkvm/kvm.h>
#include <lkvm/state.h>
#include <powerpc/e500-layout.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REG_SPURIOUS = 0x10e0,
	REG_IPI = 0x10a0,
	REG_MSIIR = 0x1740,
	REG_SOURCE = 0x10000, /* 0x20 each: vector and priority; at 0x10 the destination */
	REG_CPU = 0x20000,    /* 0x1000 each */
	CPU_IPI = 0x40,
	CPU_PRIORITY = 0x80,
	CPU_TAKE = 0xa0,
	CPU_END = 0xb0,
};

#define MASKED	   0x80000000u
#define LEVEL	   E500_IRQ_TESTDEV
#define EDGE	   3u /* an external pin, by edge until a guest says otherwise */
#define NOT_HEARD  E500_IRQ_SCRATCH
#define MSI_GROUP  5u
#define MSI_SOURCE (E500_IRQ_MSI + MSI_GROUP)
#define SPURIOUS   0xfffeu

static const char *chip;
static u32 failures;

static bool result(bool ok, const char *fmt, ...) __printf(2, 3);
static bool result(bool ok, const char *fmt, ...)
{
	va_list ap;

	failures += !ok;
	printf("%s ", ok ? "ok" : "not ok");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	return ok;
}

/* A VM that has all but a kernel; what cannot be made ends the program. */
static struct kvm *make_vm(const char *name, const char *cpus)
{
	const char *const arguments[] = {"run",	      "-k", "/proc/self/exe", "-m",	"64", "-c", cpus,
					 "--irqchip", chip, "--rng",	      "--name", name, NULL};
	struct vm_config *cfg = calloc(1, sizeof(*cfg));
	struct kvm *kvm = calloc(1, sizeof(*kvm));
	bool help;

	if (!cfg || !kvm ||
	    config_parse(cfg, ARRAY_SIZE(arguments) - 1, (char **)(uintptr_t)arguments, &help) ||
	    kvm_up(kvm, cfg, "irqchip-finalize")) {
		result(false, "VM %s of %s vCPUs is made", name, cpus);
		exit(1);
	}
	return kvm;
}

/* ---- the guest's place --------------------------------------------------------------------------------- */

static int device_fd(struct kvm *kvm)
{
	/* struct mpic begins with it. */
	return *(const int *)kvm->irqchip.priv;
}

static u32 reg_get(struct kvm *kvm, u32 offset)
{
	u32 v = 0;

	if (kvm_attr_get(device_fd(kvm), KVM_DEV_MPIC_GRP_REGISTER, offset, &v))
		result(false, "register 0x%x can be read", offset);
	return v;
}

static void reg_set(struct kvm *kvm, u32 offset, u32 v)
{
	if (kvm_attr_set(device_fd(kvm), KVM_DEV_MPIC_GRP_REGISTER, offset, &v))
		result(false, "register 0x%x can be written", offset);
}

static void source(struct kvm *kvm, u32 n, u32 cpu, u32 priority, u32 flags)
{
	reg_set(kvm, REG_SOURCE + n * 0x20 + 0x10, 1u << cpu);
	reg_set(kvm, REG_SOURCE + n * 0x20, flags | priority << 16 | n);
}

static void line(struct kvm *kvm, u32 n, bool level)
{
	if (kvm->irqchip.ops->set_line(&kvm->irqchip, n, level) < 0)
		result(false, "source %u can be triggered", n);
}

static void message(struct kvm *kvm, u32 bit)
{
	reg_set(kvm, REG_MSIIR, MSI_GROUP << 29 | bit << 24);
}

static void work(struct kvm *kvm)
{
	reg_set(kvm, REG_SPURIOUS, SPURIOUS);
	reg_set(kvm, REG_IPI, 9 << 16 | 0x300);
	for (u32 cpu = 0; cpu < 2; cpu++)
		reg_set(kvm, REG_CPU + cpu * 0x1000 + CPU_PRIORITY, 0);
	source(kvm, LEVEL, 1, 5, 0);
	source(kvm, EDGE, 0, 6, 0);
	source(kvm, NOT_HEARD, 0, 7, MASKED);
	source(kvm, MSI_SOURCE, 0, 8, 0);
	line(kvm, LEVEL, true);
	line(kvm, EDGE, true);
	line(kvm, EDGE, false);
	line(kvm, NOT_HEARD, true);
	message(kvm, 3);
	message(kvm, 17);
	/* To both. */
	reg_set(kvm, REG_CPU + CPU_IPI, 3);
}

/* Takes the next interrupt, which must be that one, and is done with it. */
static void takes(struct kvm *kvm, u32 cpu, u32 vector)
{
	u32 at = REG_CPU + cpu * 0x1000, got = reg_get(kvm, at + CPU_TAKE);

	result(got == vector, "CPU %u takes interrupt 0x%x: 0x%x", cpu, vector, got);
	if (got == LEVEL)
		line(kvm, LEVEL, false);
	if (got == MSI_SOURCE) {
		u32 bits = reg_get(kvm, 0x1600 + MSI_GROUP * 0x10);

		result(bits == (1u << 3 | 1u << 17), "its messages are those that were sent: 0x%x", bits);
	}
	if (got != SPURIOUS)
		reg_set(kvm, at + CPU_END, 0);
}

static void goes_on(struct kvm *kvm)
{
	takes(kvm, 0, 0x300);
	takes(kvm, 0, MSI_SOURCE);
	takes(kvm, 0, EDGE);
	takes(kvm, 0, SPURIOUS);
	takes(kvm, 1, 0x300);
	takes(kvm, 1, LEVEL);
	takes(kvm, 1, SPURIOUS);
	/* High all the time: it comes when it is let. */
	source(kvm, NOT_HEARD, 0, 7, 0);
	takes(kvm, 0, NOT_HEARD);
	line(kvm, NOT_HEARD, false);
	takes(kvm, 0, SPURIOUS);
}

/* ---- states -------------------------------------------------------------------------------------------- */

static struct buf walk_out(struct kvm *kvm, enum state_mode mode)
{
	struct buf out = {0};
	struct state s;

	state_init_out(&s, mode, &out);
	kvm->irqchip.ops->state(&kvm->irqchip, &s);
	if (state_finish(&s, "irqchip"))
		exit(1);
	return out;
}

static int restore(struct kvm *kvm, const struct buf *b)
{
	struct state s;

	state_init_in(&s, b->data, b->len);
	kvm->irqchip.ops->state(&kvm->irqchip, &s);
	return state_finish(&s, "irqchip");
}

static void print(struct kvm *kvm)
{
	struct buf out = walk_out(kvm, STATE_TEXT);
	char *text, *save_at = NULL;

	buf_add(&out, "", 1);
	for (text = strtok_r((char *)out.data, "\n", &save_at); text; text = strtok_r(NULL, "\n", &save_at))
		printf("# %s\n", text);
	buf_free(&out);
}

static bool same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

int main(int argc, char **argv)
{
	struct buf first, again, after;
	struct kvm *a, *b, *other;

	if (argc != 2)
		return 2;
	chip = argv[1];
	a = make_vm("a", "2");
	work(a);
	print(a);
	first = walk_out(a, STATE_SAVE);
	again = walk_out(a, STATE_SAVE);
	result(same(&first, &again), "saved twice, it is the same");
	b = make_vm("b", "2");
	kvm_down(a);
	result(!restore(b, &first), "it is restored into another VM");
	after = walk_out(b, STATE_SAVE);
	result(same(&first, &after), "saved from there, it is the same");
	print(b);
	goes_on(b);
	/* A VM that has interrupts of its own on their way forgets them. */
	work(b);
	source(b, EDGE + 1, 1, 9, 0);
	line(b, EDGE + 1, true);
	result(!restore(b, &first), "it is restored over others");
	goes_on(b);
	kvm_down(b);
	other = make_vm("other", "1");
	result(restore(other, &first) == -EINVAL, "a VM of one vCPU does not take it");
	kvm_down(other);
	printf("done\n");
	return failures ? 1 : 0;
}
