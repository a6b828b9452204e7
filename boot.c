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
#include <sys/mman.h>
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

/* Something whose size nobody knows, a pipe for one: read to its end. */
static int read_all(struct boot_image *img, int fd)
{
	size_t room = 0, size = 0;
	u8 *data = NULL;
	ssize_t n;

	do {
		if (size == room) {
			u8 *grown = grow(img, data, &room);

			if (!grown) {
				free(data);
				return -EFBIG;
			}
			data = grown;
		}
		wait_readable(fd);
		n = read(fd, data + size, room - size);
		size += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
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

/* -EIO: the file has become shorter. Silent. */
static int read_exactly(int fd, size_t offset, void *to, size_t len)
{
	while (len) {
		ssize_t n = pread(fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		to = (u8 *)to + n;
		offset += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static void say_unread(const struct boot_image *img, int err)
{
	log_error("%s: %s", img->path, err == -EIO ? "was cut short while it was read" : strerror(-err));
}

/*
 * The head of a file, and all of a small one. Of a large one the rest is read where it is wanted, most of it
 * right into the guest's memory: a file is not mapped, for one that is cut short while it is mapped ends who
 * looks at it by a SIGBUS, and not read as a whole, for that is a copy too many.
 */
static int read_file(struct boot_image *img, int fd)
{
	size_t head = (size_t)min_u64(img->size, BOOT_IMAGE_HEAD);
	bool lazy = img->size > head;
	u8 *data;
	int err;

	if (lazy)
		data = mmap(NULL, img->size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	else
		data = malloc(head);
	if (!data || data == MAP_FAILED) {
		log_error("%s: out of memory", img->path);
		return -ENOMEM;
	}
	img->data = data;
	img->lazy = lazy;
	img->fd = fd;
	err = read_exactly(fd, 0, data, head);
	if (err)
		say_unread(img, err);
	return err;
}

static int read_image(struct boot_image *img, int fd)
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
	/* Files of /proc say that they have no size. */
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return read_all(img, fd);
	if ((u64)st.st_size > IMAGE_MAX) {
		log_error("%s: %s", img->path, TOO_LARGE);
		return -EFBIG;
	}
	img->size = (size_t)st.st_size;
	return read_file(img, fd);
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
	err = read_image(img, fd);
	if (!img->lazy)
		close(fd);
	if (err)
		boot_image_close(img);
	return err;
}

int boot_image_need(const struct boot_image *img, size_t offset, size_t len)
{
	if (!img->lazy || range_inside(offset, len, 0, BOOT_IMAGE_HEAD))
		return 0;
	return read_exactly(img->fd, offset, (u8 *)(uintptr_t)img->data + offset, len);
}

int boot_image_load(struct kvm *kvm, gpa_t gpa, const struct boot_image *img, size_t offset, size_t len)
{
	struct iovec iov[MEM_MAX_BANKS];
	int n, err = 0;

	if (!img->lazy)
		return guest_write(&kvm->mem, gpa, img->data + offset, len);
	n = guest_iov(&kvm->mem, gpa, len, iov, MEM_MAX_BANKS);
	if (n < 0)
		return -EFAULT;
	for (int i = 0; i < n && !err; i++) {
		err = read_exactly(img->fd, offset, iov[i].iov_base, iov[i].iov_len);
		offset += iov[i].iov_len;
	}
	if (err)
		say_unread(img, err);
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
	int ret = boot_image_need(img, offset, len);

	if (ret) {
		say_unread(img, ret);
		return ret;
	}
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

int boot_image_bad(const struct boot_image *img, const char *what)
{
	log_error("%s: %s", img->path, what);
	return -ENOEXEC;
}

int boot_image_part(const struct boot_image *img, size_t offset, size_t len, struct boot_image *part)
{
	int err = boot_image_need(img, offset, len);
	u8 *data;

	if (err) {
		say_unread(img, err);
		return err;
	}
	data = malloc(len ? len : 1);
	if (!data) {
		log_error("%s: out of memory", img->path);
		return -ENOMEM;
	}
	memcpy(data, img->data + offset, len);
	*part = (struct boot_image){.path = img->path, .data = data, .size = len, .was_gzip = img->was_gzip};
	return 0;
}

int boot_image_cut(struct boot_image *img, size_t offset, size_t len)
{
	struct boot_image part;
	int err = boot_image_part(img, offset, len, &part);

	if (err)
		return err;
	boot_image_close(img);
	*img = part;
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
	if (img->lazy) {
		munmap((void *)(uintptr_t)img->data, img->size);
		close(img->fd);
	} else {
		free((void *)(uintptr_t)img->data);
	}
	img->data = NULL;
	img->size = 0;
	img->lazy = false;
}

static int copy_initrds(struct kvm *kvm, const struct boot_image *img, size_t count, gpa_t gpa)
{
	static const u8 pad[4];

	for (size_t i = 0; i < count; i++) {
		size_t gap = (size_t)(align_up(img[i].size, 4) - img[i].size);
		int err = boot_image_load(kvm, gpa, &img[i], 0, img[i].size);

		if (!err)
			err = guest_write(&kvm->mem, gpa + img[i].size, pad, gap);
		if (err)
			return err;
		gpa += img[i].size + gap;
	}
	return 0;
}

int boot_place_initrds(struct kvm *kvm, const struct boot_image *img, size_t count, gpa_t low, gpa_t high,
		       gpa_t *gpa, u64 *size)
{
	*gpa = *size = 0;
	for (size_t i = 0; i < count; i++)
		if (add_overflow(*size, align_up(img[i].size, 4), size))
			return -EFBIG;
	*gpa = guest_fit_high(&kvm->mem, *size, 4096, low, high);
	if (!*gpa) {
		log_error(
			"%s: an initrd of %llu KiB does not fit beside the kernel; give the guest more memory (-m)",
			img->path, (unsigned long long)(align_up(*size, 1024) >> 10));
		return -ENOSPC;
	}
	return copy_initrds(kvm, img, count, *gpa);
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
	for (size_t i = 0; i < list->count && !err; i++)
		err = boot_image_open_raw(&img[i], list->item[i]);
	if (!err)
		err = boot_place_initrds(kvm, img, list->count, low, high, gpa, size);
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
