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
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define IMAGE_MAX GiB(2)

/* Something that cannot be mapped, a pipe for one: read to its end. */
static int read_all(struct boot_image *img, int fd)
{
	size_t room = 0;
	u8 *data = NULL;

	img->size = 0;
	for (;;) {
		ssize_t n;

		if (img->size == room) {
			u8 *grown;

			room = room ? room * 2 : MiB(1);
			grown = room <= IMAGE_MAX ? realloc(data, room) : NULL;
			if (!grown) {
				free(data);
				log_error("%s: too large (2 GiB at the most)", img->path);
				return -EFBIG;
			}
			data = grown;
		}
		n = read(fd, data + img->size, room - img->size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int err = n < 0 ? -errno : 0;

			if (err) {
				log_error("%s: %s", img->path, strerror(-err));
				free(data);
				return err;
			}
			break;
		}
		img->size += (size_t)n;
	}
	img->data = data;
	return 0;
}

static int map_file(struct boot_image *img, int fd)
{
	struct stat st;
	void *map;

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
		return read_all(img, fd);
	if (!st.st_size) {
		log_error("%s: is empty", img->path);
		return -ENOEXEC;
	}
	if ((u64)st.st_size > IMAGE_MAX) {
		log_error("%s: too large (2 GiB at the most)", img->path);
		return -EFBIG;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		int err = -errno;

		log_error("%s: %s", img->path, strerror(-err));
		return err;
	}
	img->data = map;
	img->size = (size_t)st.st_size;
	img->mapped = true;
	return 0;
}

int boot_image_open_raw(struct boot_image *img, const char *path)
{
	int fd, err;

	*img = (struct boot_image){.path = path};
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		log_error("%s: %s", path, strerror(-err));
		return err;
	}
	err = map_file(img, fd);
	close(fd);
	return err;
}

/* Replaces img's data by what it decompresses to. Gzip members that follow one another are one image. */
static int gunzip(struct boot_image *img)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)img->data, .avail_in = (uInt)img->size};
	size_t room = img->size * 4, have = 0;
	u8 *out = NULL;
	int ret;

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	do {
		u8 *grown;

		if (have == room || !out) {
			room = out ? room * 2 : room;
			grown = room <= IMAGE_MAX ? realloc(out, room) : NULL;
			if (!grown) {
				ret = Z_MEM_ERROR;
				break;
			}
			out = grown;
		}
		z.next_out = out + have;
		z.avail_out = (uInt)(room - have);
		ret = inflate(&z, Z_NO_FLUSH);
		have = (size_t)(z.next_out - out);
	} while (ret == Z_OK && (z.avail_in || !z.avail_out));
	inflateEnd(&z);
	if (ret != Z_STREAM_END || !have) {
		free(out);
		log_error("%s: %s", img->path,
			  ret == Z_MEM_ERROR ? "decompresses to more than 2 GiB"
					     : "damaged or truncated gzip data");
		return ret == Z_MEM_ERROR ? -EFBIG : -ENOEXEC;
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
		err = gunzip(img);
		if (err)
			boot_image_close(img);
	}
	return err;
}

void boot_image_close(struct boot_image *img)
{
	if (img->mapped)
		munmap((void *)(uintptr_t)img->data, img->size);
	else
		free((void *)(uintptr_t)img->data);
	img->data = NULL;
	img->size = 0;
	img->mapped = false;
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
	if (!img)
		return -ENOMEM;
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
				list->item[0], (unsigned long long)(*size >> 10));
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
		buf_free(&line);
		return -ENOMEM;
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
	int err = boot_image_open(&img, kvm->cfg->kernel);

	if (err)
		return err;
	err = kvm->machine->boot(kvm, &img);
	boot_image_close(&img);
	for (u32 i = 0; i < kvm->nr_vcpus && !err; i++)
		err = kvm->machine->vcpu_reset(&kvm->vcpu[i]);
	if (!err && kvm->cfg->dump_acpi)
		err = kvm_dump_acpi(kvm);
	return err;
}
