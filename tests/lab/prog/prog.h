/* SPDX-License-Identifier: MIT */
/*
 * What the lab's programs share: each is lkvm with another main(), static, run by L1 on its real KVM. They
 * speak as the payloads do: "ok TEXT", "not ok TEXT", "# TEXT", and "done" at the end; a case makes checks of
 * that.
 */
#ifndef LAB_PROG_H
#define LAB_PROG_H

#include <lkvm/config.h>
#include <lkvm/kvm.h>
#include <lkvm/types.h>

extern u32 failures;
void result(bool ok, const char *fmt, ...) __printf(2, 3);
/* The same of an errno, with what it was when it is not the one. */
void result_err(int got, int want, const char *fmt, ...) __printf(3, 4);
void diag(const char *fmt, ...) __printf(1, 2);
/* "done"; the program's status. */
int finish(void);

/* `lkvm run ARGUMENT...` as a config; ends the program when it is refused. */
void configure(struct vm_config *cfg, const char *const *arguments);

#endif
