/* SPDX-License-Identifier: MIT */
/*
 * Images on their way into the guest: opening, gzip, initrds, the command line. What an image is, and where
 * it goes, is the machine's affair. Main thread, in the `boot` step.
 */
#include <errno.h>
#include <fcntl.h>
#include <lkvm/boot.h>
#include <lkvm/buf.h>
#include <lkvm/kvm.h>
#include <lkvm/machine.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define IMAGE_MAX GiB(2)
#define ROOM_MAX  (IMAGE_MAX + 1) /* full when there is more than IMAGE_MAX */
#define TOO_LARGE "too large (2 GiB at the most)"

/* data with at least twice the room it had, or NULL after one logged line. */
static u8 *grow(const struct boot_image *img, u8 *data, size_t *room)
{
	size_t want = *room ? (size_t)min_u64(*room * 2, ROOM_MAX) : MiB(1);
	u8 *grown = *room < ROOM_MAX ? realloc(data, want) : NULL;

	if (grown)
		*room = want;
	else
		log_error("%s: %s", img->path, *room < ROOM_MAX ? "out of memory" : TOO_LARGE);
	return grown;
}

/*
 * Waits for a pipe that has nothing yet, and may never have. The signals that end a VM are blocked, to come
 * as events of a loop that does not run yet: here they end the process, as nothing is to be undone.
 */
static void wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	sigdelset(&mask, SIGINT);
	sigdelset(&mask, SIGTERM);
	sigdelset(&mask, SIGHUP);
	ppoll(&p, 1, NULL, &mask);
}

/*
 * Reads to the end, with room for `expect` bytes to begin with. A file is read and not mapped, for one that
 * is cut short while it is mapped ends who looks at it by a SIGBUS.
 */
static int read_all(struct boot_image *img, int fd, size_t expect)
{
	size_t room = 0, size = 0;
	u8 *data = NULL;
	ssize_t n;

	if (expect) {
		room = expect;
		data = malloc(room);
		if (!data) {
			log_error("%s: out of memory", img->path);
			return -ENOMEM;
		}
	}

	do {
		if (size == room) {
			u8 *grown = grow(img, data, &room);

			if (!grown) {
				free(data);
				return -EFBIG;
			}
			data = grown;
		}
		if (!expect)
			wait_readable(fd);
		n = read(fd, data + size, room - size);
		size += n > 0 ? (size_t)n : 0;
		/* What a file grows by meanwhile is no part of it. */
	} while ((n > 0 && (!expect || size < expect)) || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	if (n < 0 || !size) {
		int err = n < 0 ? -errno : -ENOEXEC;

		log_error("%s: %s", img->path, n < 0 ? strerror(-err) : "is empty");
		free(data);
		return err;
	}
	img->data = data;
	img->size = size;
	return 0;
}

static int read_file(struct boot_image *img, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		int err = -errno;

		log_error("%s: %s", img->path, strerror(-err));
		return err;
	}
	if (S_ISDIR(st.st_mode)) {
		log_error("%s: is a directory, not an image", img->path);
		return -EISDIR;
	}
	if (!S_ISREG(st.st_mode))
		return read_all(img, fd, 0);
	if ((u64)st.st_size > IMAGE_MAX) {
		log_error("%s: %s", img->path, TOO_LARGE);
		return -EFBIG;
	}
	return read_all(img, fd, (size_t)st.st_size);
}

int boot_image_open_raw(struct boot_image *img, const char *path)
{
	int fd, err;

	*img = (struct boot_image){.path = path};
	/* Opening a FIFO that nobody writes to would wait as well. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		err = -errno;
		log_error("%s: %s", path, strerror(-err));
		return err;
	}
	err = read_file(img, fd);
	close(fd);
	return err;
}

/* Whether another gzip member follows; what else may follow the last one is no part of the image. */
static bool next_member(const z_stream *z)
{
	return z->avail_in >= 2 && z->next_in[0] == 0x1f && z->next_in[1] == 0x8b;
}

/* All members into *out, have bytes: a zlib status, or Z_ERRNO after one logged line. */
static int inflate_all(const struct boot_image *img, z_stream *z, u8 **out, size_t *have)
{
	size_t room = 0;
	int ret;

	do {
		if (*have == room) {
			u8 *grown = grow(img, *out, &room);

			if (!grown)
				return Z_ERRNO;
			*out = grown;
		}
		z->next_out = *out + *have;
		z->avail_out = (uInt)(room - *have);
		ret = inflate(z, Z_NO_FLUSH);
		*have = (size_t)(z->next_out - *out);
		if (ret == Z_STREAM_END && next_member(z))
			ret = inflateReset(z);
		/* At the end of a truncated file the next call makes no progress: Z_BUF_ERROR. */
	} while (ret == Z_OK);
	return ret;
}

/* Gzip members that follow one another are one image. */
int boot_image_gunzip(struct boot_image *img, size_t offset, size_t len)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)img->data + offset, .avail_in = (uInt)len};
	size_t have = 0;
	u8 *out = NULL;
	int ret;

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
		log_error("%s: out of memory", img->path);
		return -ENOMEM;
	}
	ret = inflate_all(img, &z, &out, &have);
	inflateEnd(&z);
	if (ret != Z_STREAM_END || !have) {
		free(out);
		if (ret == Z_ERRNO)
			return -EFBIG;
		log_error("%s: damaged or truncated gzip data", img->path);
		return -ENOEXEC;
	}
	boot_image_close(img);
	img->data = out;
	img->size = have;
	img->was_gzip = true;
	return 0;
}

int boot_image_open(struct boot_image *img, const char *path)
{
	int err = boot_image_open_raw(img, path);

	if (err)
		return err;
	if (img->size > 18 && img->data[0] == 0x1f && img->data[1] == 0x8b) {
		err = boot_image_gunzip(img, 0, img->size);
		if (err)
			boot_image_close(img);
	}
	return err;
}

void boot_image_close(struct boot_image *img)
{
	free((void *)(uintptr_t)img->data);
	img->data = NULL;
	img->size = 0;
}

static int copy_initrds(struct kvm *kvm, const struct boot_image *img, size_t count, gpa_t gpa)
{
	static const u8 pad[4];

	for (size_t i = 0; i < count; i++) {
		size_t gap = (size_t)(align_up(img[i].size, 4) - img[i].size);
		int err = guest_write(&kvm->mem, gpa, img[i].data, img[i].size);

		if (!err)
			err = guest_write(&kvm->mem, gpa + img[i].size, pad, gap);
		if (err)
			return err;
		gpa += img[i].size + gap;
	}
	return 0;
}

int boot_load_initrd(struct kvm *kvm, gpa_t low, gpa_t high, gpa_t *gpa, u64 *size)
{
	const struct str_list *list = &kvm->cfg->initrd;
	struct boot_image *img;
	int err = 0;

	*gpa = *size = 0;
	if (!list->count)
		return 0;
	img = calloc(list->count, sizeof(*img));
	if (!img) {
		log_error("%s: out of memory", list->item[0]);
		return -ENOMEM;
	}
	for (size_t i = 0; i < list->count && !err; i++) {
		err = boot_image_open_raw(&img[i], list->item[i]);
		if (!err && add_overflow(*size, align_up(img[i].size, 4), size))
			err = -EFBIG;
	}
	if (!err) {
		*gpa = guest_fit_high(&kvm->mem, *size, 4096, low, high);
		if (!*gpa) {
			log_error(
				"%s: an initrd of %llu KiB does not fit beside the kernel; give the guest more memory (-m)",
				list->item[0], (unsigned long long)(align_up(*size, 1024) >> 10));
			err = -ENOSPC;
		}
	}
	if (!err)
		err = copy_initrds(kvm, img, list->count, *gpa);
	for (size_t i = 0; i < list->count; i++)
		boot_image_close(&img[i]);
	free(img);
	return err;
}

int boot_cmdline(struct kvm *kvm, size_t max, char **out)
{
	const struct vm_config *cfg = kvm->cfg;
	struct buf line = {0};

	buf_printf(&line, "%s", cfg->nodefaults ? "" : kvm->machine->default_params);
	for (size_t i = 0; i < cfg->params.count; i++)
		buf_printf(&line, "%s%s", line.len ? " " : "", cfg->params.item[i]);
	if (line.err) {
		int err = line.err;

		log_error("--params: the command line: %s", strerror(-err));
		buf_free(&line);
		return err;
	}
	if (line.len > max) {
		log_error("--params: the command line has %zu bytes, this kernel takes %zu", line.len, max);
		buf_free(&line);
		return -E2BIG;
	}
	*out = (char *)line.data;
	return 0;
}

int boot_load(struct kvm *kvm)
{
	struct boot_image img;
	const struct vm_config *cfg = kvm->cfg;
	int err =
		cfg->firmware ? boot_image_open_raw(&img, cfg->firmware) : boot_image_open(&img, cfg->kernel);

	if (err)
		return err;
	err = kvm->machine->boot(kvm, &img);
	boot_image_close(&img);
	for (u32 i = 0; i < kvm->nr_vcpus && !err; i++)
		err = kvm->machine->vcpu_reset(&kvm->vcpu[i]);
	if (!err && cfg->dump_acpi)
		err = kvm_dump_acpi(kvm);
	return err;
}
