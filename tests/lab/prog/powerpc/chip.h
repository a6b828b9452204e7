/* SPDX-License-Identifier: MIT */
/* What the powerpc programs about the state of an irqchip share. */
#ifndef LAB_CHIP_H
#define LAB_CHIP_H

#include "tests/lab/prog/prog.h"
#include <lkvm/buf.h>

/* A VM that has all but a kernel; what cannot be made ends the program. */
struct kvm *chip_vm(const char *chip, const char *name, const char *cpus);
/* A failed walk over the irqchip's state ends the program. */
struct buf chip_save(struct kvm *kvm);
void chip_print(struct kvm *kvm);
/* 0 or -errno. */
int chip_restore(struct kvm *kvm, const struct buf *b);
/* Whether they are; where they are not, it says. */
bool chip_same(const struct buf *a, const struct buf *b);
void chip_line(struct kvm *kvm, u32 n, bool level);

#endif
