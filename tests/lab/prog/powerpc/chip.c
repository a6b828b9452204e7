/* SPDX-License-Identifier: MIT */
/* VMs with an irqchip, and its state (chip.h). Main thread. */
#include "chip.h"

#include <lkvm/state.h>
#include <stdlib.h>
#include <string.h>

struct kvm *chip_vm(const char *chip, const char *name, const char *cpus)
{
	const char *const arguments[] = {"-k", "/proc/self/exe", "-m",	   "64", "-c", cpus, "--irqchip",
					 chip, "--rng",		 "--name", name, NULL};
	struct vm_config *cfg = calloc(1, sizeof(*cfg));
	struct kvm *kvm = calloc(1, sizeof(*kvm));

	if (!cfg || !kvm)
		exit(2);
	configure(cfg, arguments);
	if (kvm_up(kvm, cfg, "irqchip-finalize")) {
		result(false, "VM %s of %s vCPUs is made", name, cpus);
		exit(1);
	}
	return kvm;
}

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

struct buf chip_save(struct kvm *kvm)
{
	return walk_out(kvm, STATE_SAVE);
}

void chip_print(struct kvm *kvm)
{
	struct buf out = walk_out(kvm, STATE_TEXT);
	char *line, *save_at = NULL;

	buf_add(&out, "", 1);
	for (line = strtok_r((char *)out.data, "\n", &save_at); line; line = strtok_r(NULL, "\n", &save_at))
		diag("%s", line);
	buf_free(&out);
}

int chip_restore(struct kvm *kvm, const struct buf *b)
{
	struct state s;

	state_init_in(&s, b->data, b->len);
	kvm->irqchip.ops->state(&kvm->irqchip, &s);
	return state_finish(&s, "irqchip");
}

bool chip_same(const struct buf *a, const struct buf *b)
{
	if (a->len == b->len && !memcmp(a->data, b->data, a->len))
		return true;
	for (size_t i = 0; i < a->len && i < b->len; i++)
		if (a->data[i] != b->data[i]) {
			diag("lengths %zu and %zu, byte %zu is 0x%02x and 0x%02x", a->len, b->len, i,
			     a->data[i], b->data[i]);
			break;
		}
	return false;
}

void chip_line(struct kvm *kvm, u32 n, bool level)
{
	if (kvm->irqchip.ops->set_line(&kvm->irqchip, n, level) < 0)
		result(false, "source %u can be triggered", n);
}
