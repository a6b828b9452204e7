/* SPDX-License-Identifier: MIT */
/*
 * The device tree writer (fdt.h) over libfdt's sequential-write calls, which need a buffer of a size known
 * beforehand: when one is full, it is doubled and the call tried again.
 *
 * Main thread, while the VM is built; no lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <lkvm/fdt.h>
#include <lkvm/irq.h>
#include <lkvm/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_ROOM 8192

/* libfdt's error as ours. */
static int dt_errno(int ret)
{
	return ret == -FDT_ERR_NOSPACE ? -E2BIG : -EINVAL;
}

static bool dt_grow(struct fdt *fdt)
{
	size_t room = fdt->room * 2;
	void *grown;

	if (room > fdt->max) {
		fdt->err = -E2BIG;
		return false;
	}
	grown = realloc(fdt->blob, room);
	if (!grown) {
		fdt->err = -ENOMEM;
		return false;
	}
	/* libfdt moves what grows from the end of the buffer. */
	fdt->blob = grown;
	if (fdt_resize(grown, grown, (int)room)) {
		fdt->err = -EINVAL;
		return false;
	}
	fdt->room = room;
	return true;
}

/* Tries a libfdt call until it fits. */
#define dt_do(fdt, call)                                                                                     \
	do {                                                                                                 \
		int ret_ = (fdt)->err ? 0 : (call);                                                          \
                                                                                                             \
		while (ret_ == -FDT_ERR_NOSPACE && dt_grow(fdt))                                             \
			ret_ = (call);                                                                       \
		if (ret_ && !(fdt)->err)                                                                     \
			(fdt)->err = dt_errno(ret_);                                                         \
	} while (0)

void dt_init(struct fdt *fdt, const struct kvm *kvm, size_t max)
{
	*fdt = (struct fdt){.kvm = kvm, .max = max, .room = FIRST_ROOM};
	fdt->blob = malloc(fdt->room);
	if (!fdt->blob) {
		fdt->err = -ENOMEM;
		return;
	}
	/* To look for each property's name among those before would take most of the time. */
	dt_do(fdt, fdt_create_with_flags(fdt->blob, (int)fdt->room, FDT_CREATE_FLAG_NO_NAME_DEDUP));
	dt_do(fdt, fdt_finish_reservemap(fdt->blob));
	dt_do(fdt, fdt_begin_node(fdt->blob, ""));
}

int dt_finish(struct fdt *fdt)
{
	dt_end(fdt);
	dt_do(fdt, fdt_finish(fdt->blob));
	return fdt->err;
}

size_t dt_size(const struct fdt *fdt)
{
	return fdt_totalsize(fdt->blob);
}

int dt_dump(const struct fdt *fdt, const char *path)
{
	size_t len = dt_size(fdt);
	int err = 0, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	ssize_t n = fd < 0 ? -1 : write(fd, fdt->blob, len);

	if (n != (ssize_t)len)
		err = n < 0 ? -errno : -ENOSPC;
	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	if (err)
		log_error("--dump-dtb %s: %s", path, strerror(-err));
	return err;
}

void dt_free(struct fdt *fdt)
{
	free(fdt->blob);
	fdt->blob = NULL;
}

void dt_begin(struct fdt *fdt, const char *fmt, ...)
{
	char name[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	dt_do(fdt, fdt_begin_node(fdt->blob, name));
}

void dt_begin_node(struct fdt *fdt, const char *name)
{
	dt_do(fdt, fdt_begin_node(fdt->blob, name));
}

/* By hand, for printf would take more time than all that libfdt does for the node. */
void dt_begin_at(struct fdt *fdt, const char *name, u64 unit)
{
	size_t n = min_u64(strlen(name), 40);
	int digits = 1;
	char full[64];

	while (digits < 16 && unit >> (4 * digits))
		digits++;
	memcpy(full, name, n);
	full[n++] = '@';
	while (digits--)
		full[n++] = "0123456789abcdef"[unit >> (4 * digits) & 0xf];
	full[n] = '\0';
	dt_do(fdt, fdt_begin_node(fdt->blob, full));
}

void dt_end(struct fdt *fdt)
{
	dt_do(fdt, fdt_end_node(fdt->blob));
}

void dt_bytes(struct fdt *fdt, const char *name, const void *data, size_t len)
{
	dt_do(fdt, fdt_property(fdt->blob, name, data, (int)len));
}

void dt_empty(struct fdt *fdt, const char *name)
{
	dt_bytes(fdt, name, NULL, 0);
}

void dt_u32(struct fdt *fdt, const char *name, u32 v)
{
	dt_do(fdt, fdt_property_u32(fdt->blob, name, v));
}

void dt_u64(struct fdt *fdt, const char *name, u64 v)
{
	dt_do(fdt, fdt_property_u64(fdt->blob, name, v));
}

void dt_str(struct fdt *fdt, const char *name, const char *v)
{
	dt_bytes(fdt, name, v, strlen(v) + 1);
}

void dt_strs(struct fdt *fdt, const char *name, const char *const *v, size_t n)
{
	size_t len = 0;
	void *to = NULL;

	for (size_t i = 0; i < n; i++)
		len += strlen(v[i]) + 1;
	dt_do(fdt, fdt_property_placeholder(fdt->blob, name, (int)len, &to));
	for (size_t i = 0; i < n && !fdt->err; i++)
		to = stpcpy(to, v[i]) + 1;
}

void dt_cells(struct fdt *fdt, const char *name, const u32 *cells, size_t n)
{
	void *to = NULL;

	dt_do(fdt, fdt_property_placeholder(fdt->blob, name, (int)(n * 4), &to));
	if (fdt->err)
		return;
	for (size_t i = 0; i < n; i++)
		fdt32_st((u8 *)to + i * 4, cells[i]);
}

void dt_reg(struct fdt *fdt, const u64 (*range)[2], size_t n)
{
	void *to = NULL;

	dt_do(fdt, fdt_property_placeholder(fdt->blob, "reg", (int)(n * 16), &to));
	if (fdt->err)
		return;
	for (size_t i = 0; i < 2 * n; i++)
		fdt64_st((u8 *)to + i * 8, range[i / 2][i % 2]);
}

void dt_device(struct fdt *fdt, const char *name, const char *compatible, u64 base, u64 size)
{
	const u64 range[1][2] = {{base, size}};

	dt_begin_at(fdt, name, base);
	dt_str(fdt, "compatible", compatible);
	dt_reg(fdt, range, 1);
}

void dt_interrupt(struct fdt *fdt, u32 line, bool level)
{
	const struct irqchip *chip = &fdt->kvm->irqchip;
	u32 cells[DT_IRQ_CELLS_MAX];

	dt_cells(fdt, "interrupts", cells, chip->ops->irq_cells(chip, line, level, cells));
}
