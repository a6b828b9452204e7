/* SPDX-License-Identifier: MIT */
/*
 * Files and host block devices under the disk formats: opening with a lock, whole transfers, zeroing and
 * giving space back with what the host can of it, and O_DIRECT, whose alignment is kept by bounce buffers
 * where the caller's memory or place does not fit. Any thread; transfers of one file may go on side by side.
 *
 * Locks are those of the open file (F_OFD_SETLK). Who writes has all of it for himself. Who reads locks,
 * shared, the bytes that QEMU's readers do: in its images each byte from 100 on is a thing that somebody
 * does, and each from 200 on one that he wants nobody else to do; its writers' locks are shared as well.
 * Locks go with the file, so a killed lkvm leaves none behind, though with io_uring it may be some
 * milliseconds until the kernel has put the ring away and what was on its way has reached the disk.
 */
#include "blk.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DIRECT_ALIGN 4096u /* when the kernel does not say */
#define BOUNCE	     KiB(256)
#define PIECES	     64
#define LOCK_WAIT_MS 200u
#define LOCK_NAP_MS  2u

#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000u
#endif

/* --- iovecs -------------------------------------------------------------------------------------------- */

u32 iov_take(struct iov_at *at, u64 len, struct iovec *out, u32 max, u64 *got)
{
	u32 n = 0;

	*got = 0;
	while (len && at->n && n < max) {
		size_t left = at->iov->iov_len - at->done;
		size_t take = left < len ? left : (size_t)len;

		if (take) {
			out[n].iov_base = (char *)at->iov->iov_base + at->done;
			out[n++].iov_len = take;
		}
		len -= take;
		*got += take;
		at->done += take;
		if (at->done == at->iov->iov_len) {
			at->iov++;
			at->n--;
			at->done = 0;
		}
	}
	return n;
}

void iov_copy_from(struct iov_at *at, void *buf, u64 len)
{
	struct iovec piece;
	u64 got;

	for (; len && iov_take(at, len, &piece, 1, &got); len -= got, buf = (char *)buf + got)
		memcpy(buf, piece.iov_base, got);
}

void iov_copy_to(struct iov_at *at, const void *buf, u64 len)
{
	struct iovec piece;
	u64 got;

	for (; len && iov_take(at, len, &piece, 1, &got); len -= got, buf = (const char *)buf + got)
		memcpy(piece.iov_base, buf, got);
}

void iov_set_zero(struct iov_at *at, u64 len)
{
	struct iovec piece;
	u64 got;

	for (; len && iov_take(at, len, &piece, 1, &got); len -= got)
		memset(piece.iov_base, 0, got);
}

/* --- opening ---------------------------------------------------------------------------------------------
 */

/* Reading; and nobody else writes or changes the size. */
static const u8 reader_byte[] = {100, 201, 203}, writer_byte[] = {101, 103};

static int try_lock(const struct blk_file *f)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (!f->ro)
		return fcntl(f->fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
	for (size_t i = 0; i < ARRAY_SIZE(reader_byte); i++) {
		lock = (struct flock){.l_type = F_RDLCK, .l_start = reader_byte[i], .l_len = 1};
		if (fcntl(f->fd, F_OFD_SETLK, &lock) < 0)
			return -errno;
	}
	/* Ours first, then the look: who comes later, and does the same, sees us. */
	for (size_t i = 0; i < ARRAY_SIZE(writer_byte); i++) {
		lock = (struct flock){.l_type = F_WRLCK, .l_start = writer_byte[i], .l_len = 1};
		if (fcntl(f->fd, F_OFD_GETLK, &lock) < 0)
			return -errno;
		if (lock.l_type != F_UNLCK)
			return -EAGAIN;
	}
	return 0;
}

/*
 * A VM that was killed may hold its lock for some milliseconds more (see above), and who starts the next one
 * at once does not expect to hear of it: the lock is asked for that long before it counts as taken.
 */
static int file_lock(const struct blk_file *f, const struct log *log)
{
	const struct timespec nap = {0, LOCK_NAP_MS * 1000000};
	int err;

	for (u32 waited = 0;; waited += LOCK_NAP_MS) {
		err = try_lock(f);
		if ((err != -EAGAIN && err != -EACCES) || waited >= LOCK_WAIT_MS)
			break;
		nanosleep(&nap, NULL);
	}
	if (err == -EAGAIN || err == -EACCES) {
		log_error("disk %s: in use: another VM or program has it open%s: end that one first", f->path,
			  f->ro ? " for writing" : "");
		return -EBUSY;
	}
	if (err)
		log_warn(log, "disk %s: its file system knows no locks (%s): see that no other VM writes it",
			 f->path, strerror(-err));
	return 0;
}

/* What O_DIRECT asks for. */
static u32 direct_align(const struct blk_file *f)
{
	/* struct statx of a C library that does not know of it yet has these two in its spare words. */
	union {
		struct statx x;
		u32 word[64];
	} s;
	const size_t at = 0x98 / sizeof(u32); /* stx_dio_mem_align, stx_dio_offset_align */
	u32 align;

	memset(&s, 0, sizeof(s));
	if (!statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &s.x) && (s.x.stx_mask & STATX_DIOALIGN)) {
		align = s.word[at] > s.word[at + 1] ? s.word[at] : s.word[at + 1];
		if (align && !(align & (align - 1)) && align <= KiB(64))
			return align < BLOCK_SECTOR ? BLOCK_SECTOR : align;
	}
	return f->device ? f->block_size : DIRECT_ALIGN;
}

int blk_file_measure(struct blk_file *f)
{
	struct stat st;
	u64 size;

	if (f->device ? ioctl(f->fd, BLKGETSIZE64, &size) < 0 : fstat(f->fd, &st) < 0)
		return -errno;
	f->size = f->device ? size : (u64)st.st_size;
	return 0;
}

static void device_limits(struct blk_file *f)
{
	u32 physical = 0;
	int logical = 0;

	if (!ioctl(f->fd, BLKSSZGET, &logical) && logical >= (int)BLOCK_SECTOR && logical <= 65536 &&
	    !(logical & (logical - 1)))
		f->block_size = (u32)logical;
	if (!ioctl(f->fd, BLKPBSZGET, &physical) && physical > f->block_size && !(physical & (physical - 1)))
		f->physical_size = physical;
	else
		f->physical_size = f->block_size;
	f->discard_size = f->physical_size;
}

static int file_check(struct blk_file *f, const struct log *log)
{
	struct stat st;
	int err;

	if (fstat(f->fd, &st) < 0) {
		err = -errno;
		log_error("disk %s: %s", f->path, strerror(-err));
		return err;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		log_error("disk %s: is %s: give an image file or a block device", f->path,
			  S_ISDIR(st.st_mode) ? "a directory" : "neither a file nor a block device");
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	/* It was for a FIFO's sake; with it, io_uring would not wait for the disk either. */
	if (fcntl(f->fd, F_SETFL, f->direct ? O_DIRECT : 0) < 0) {
		err = -errno;
		log_error("disk %s: direct: %s: leave \"direct\" out", f->path,
			  err == -EINVAL ? "its file system cannot do that" : strerror(-err));
		return err;
	}
	f->device = S_ISBLK(st.st_mode);
	f->block_size = BLOCK_SECTOR;
	f->physical_size = f->discard_size =
		st.st_blksize >= 512 && st.st_blksize <= 65536 && !(st.st_blksize & (st.st_blksize - 1))
			? (u32)st.st_blksize
			: DIRECT_ALIGN;
	if (f->device)
		device_limits(f);
	f->align = 1;
	if (f->direct) {
		f->align = direct_align(f);
		f->block_size = f->align > f->block_size ? f->align : f->block_size;
		if (f->physical_size < f->block_size)
			f->physical_size = f->block_size;
	}
	err = blk_file_measure(f);
	if (err)
		log_error("disk %s: %s", f->path, strerror(-err));
	return err ? err : file_lock(f, log);
}

int blk_file_open(struct blk_file *f, const char *path, bool ro, bool direct, const struct log *log)
{
	struct stat st;
	int flags = (ro ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int err;

	*f = (struct blk_file){.fd = -1, .ro = ro, .direct = direct, .path = strdup(path)};
	pthread_mutex_init(&f->partial, NULL);
	pthread_mutex_init(&f->sync_lock, NULL);
	pthread_cond_init(&f->sync_done, NULL);
	if (!f->path) {
		log_error("disk %s: out of memory", path);
		return -ENOMEM;
	}
	/* Of a block device the kernel then sees that nobody else, a mount say, has it. */
	if (!ro && !stat(path, &st) && S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	f->fd = open(path, flags);
	if (f->fd >= 0)
		return file_check(f, log);
	err = -errno;
	if (err == -EISDIR)
		log_error("disk %s: is a directory: give an image file or a block device", path);
	else if (err == -EBUSY)
		log_error("disk %s: in use by this host: unmount it first, or give \"ro\"", path);
	else if (!ro && (err == -EACCES || err == -EROFS || err == -EPERM))
		log_error("disk %s: cannot be written: %s: give \"ro\" if it need not be", path,
			  strerror(-err));
	else
		log_error("disk %s: %s", path, strerror(-err));
	return err;
}

void blk_file_close(struct blk_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	free(f->path);
	f->path = NULL;
	pthread_mutex_destroy(&f->partial);
	pthread_mutex_destroy(&f->sync_lock);
	pthread_cond_destroy(&f->sync_done);
}

/* --- transfers -------------------------------------------------------------------------------------------
 */

bool blk_file_fits(const struct blk_file *f, u64 offset, const struct iovec *iov, u32 n)
{
	u64 all = offset;

	if (f->align == 1)
		return true;
	for (u32 i = 0; i < n; i++)
		all |= (u64)(uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return !(all & (f->align - 1));
}

/* What the kernel takes as it is. */
static int transfer(struct blk_file *f, u64 offset, const struct iovec *iov, u32 n, u64 len, bool write)
{
	struct iov_at at = {iov, n, 0};

	while (len) {
		struct iovec piece[PIECES];
		struct iov_at before = at;
		u64 got;
		u32 k = iov_take(&at, len, piece, PIECES, &got);
		ssize_t done;

		if (!k)
			return -EINVAL;
		do {
			done = write ? pwritev(f->fd, piece, (int)k, (off_t)offset)
				     : preadv(f->fd, piece, (int)k, (off_t)offset);
		} while (done < 0 && errno == EINTR);
		if (done < 0)
			return -errno;
		if (!done && write)
			return -EIO;
		at = before;
		/* The end of the file; with O_DIRECT it may lie inside of a block. */
		if (!done || (!write && ((offset + (u64)done) & (f->align - 1)))) {
			iov_take(&at, (u64)done, piece, PIECES, &got);
			iov_set_zero(&at, len - (u64)done);
			return 0;
		}
		iov_take(&at, (u64)done, piece, PIECES, &got);
		offset += (u64)done;
		len -= (u64)done;
	}
	return 0;
}

/* By way of an aligned buffer. A block that is written in part is read first. */
static int bounce(struct blk_file *f, u64 offset, const struct iovec *iov, u32 n, u64 len, bool write)
{
	struct iov_at at = {iov, n, 0};
	u64 align = f->align;
	void *mem;
	int err = 0;

	if (posix_memalign(&mem, align > 4096 ? align : 4096, BOUNCE))
		return -ENOMEM;
	while (len && !err) {
		u64 start = align_down(offset, align), skip = offset - start;
		u64 now = min_u64(len, BOUNCE - skip), whole = align_up(skip + now, align);
		struct iovec one = {mem, (size_t)whole};
		bool part = write && whole != now;

		if (part)
			pthread_mutex_lock(&f->partial);
		if (!write || part)
			err = transfer(f, start, &one, 1, whole, false);
		if (write) {
			iov_copy_from(&at, (char *)mem + skip, now);
			if (!err)
				err = transfer(f, start, &one, 1, whole, true);
		} else if (!err) {
			iov_copy_to(&at, (char *)mem + skip, now);
		}
		if (part)
			pthread_mutex_unlock(&f->partial);
		offset += now;
		len -= now;
	}
	free(mem);
	return err;
}

static int file_io(struct blk_file *f, u64 offset, const struct iovec *iov, u32 n, u64 len, bool write)
{
	if (f->align == 1 || (!(len & (f->align - 1)) && blk_file_fits(f, offset, iov, n)))
		return transfer(f, offset, iov, n, len, write);
	return bounce(f, offset, iov, n, len, write);
}

int blk_file_readv(struct blk_file *f, u64 offset, const struct iovec *iov, u32 n, u64 len)
{
	return file_io(f, offset, iov, n, len, false);
}

int blk_file_writev(struct blk_file *f, u64 offset, const struct iovec *iov, u32 n, u64 len)
{
	return file_io(f, offset, iov, n, len, true);
}

int blk_file_read(struct blk_file *f, u64 offset, void *buf, u64 len)
{
	struct iovec one = {buf, (size_t)len};

	return file_io(f, offset, &one, 1, len, false);
}

int blk_file_write(struct blk_file *f, u64 offset, const void *buf, u64 len)
{
	struct iovec one = {(void *)(uintptr_t)buf, (size_t)len};

	return file_io(f, offset, &one, 1, len, true);
}

int blk_file_at(struct blk_file *f, u64 offset, struct iov_at *at, u64 len, bool write)
{
	int err = 0;

	while (len && !err) {
		struct iovec piece[PIECES];
		u64 got;
		u32 n = iov_take(at, len, piece, PIECES, &got);

		err = n ? file_io(f, offset, piece, n, got, write) : -EINVAL;
		offset += got;
		len -= got;
	}
	return err;
}

static int sync_now(struct blk_file *f)
{
	int err;

	do {
		err = fdatasync(f->fd) < 0 ? -errno : 0;
	} while (err == -EINTR);
	if (err) {
		f->lost = true;
		log_error(
			"disk %s: what was written last did not reach the disk: %s: no flush will succeed any "
			"more: end the VM, mend that, and check what is on the image",
			f->path, strerror(-err));
	}
	return err;
}

/*
 * One fdatasync(2) at a time, for all who asked before it began. Two beside each other would not do: an
 * error is told to only one of them, and what was lost may be the other's.
 */
int blk_file_sync(struct blk_file *f)
{
	int err = 0;
	u64 mine;

	pthread_mutex_lock(&f->sync_lock);
	mine = ++f->sync_asked;
	while (f->syncing && f->sync_served < mine)
		pthread_cond_wait(&f->sync_done, &f->sync_lock);
	if (!f->lost && f->sync_served < mine) {
		u64 all = f->sync_asked;

		f->syncing = true;
		pthread_mutex_unlock(&f->sync_lock);
		err = sync_now(f);
		pthread_mutex_lock(&f->sync_lock);
		f->syncing = false;
		f->sync_served = all;
		pthread_cond_broadcast(&f->sync_done);
	} else if (f->lost) {
		err = -EIO;
	}
	pthread_mutex_unlock(&f->sync_lock);
	return err;
}

int blk_file_truncate(struct blk_file *f, u64 size)
{
	if (ftruncate(f->fd, (off_t)size) < 0)
		return -errno;
	f->size = size;
	return 0;
}

/* --- zeroes and space ------------------------------------------------------------------------------------
 */

static bool cannot(int err)
{
	return err == EOPNOTSUPP || err == ENOSYS || err == ENODEV || err == ENOTTY;
}

static int write_zeroes(struct blk_file *f, u64 offset, u64 len)
{
	struct iovec iov[PIECES];
	void *zero = NULL;
	int err = 0;

	if (posix_memalign(&zero, 4096, KiB(64)))
		return -ENOMEM;
	memset(zero, 0, KiB(64));
	while (len && !err) {
		u64 now = 0;
		u32 n;

		for (n = 0; n < PIECES && now < len; n++) {
			iov[n] = (struct iovec){zero, (size_t)min_u64(KiB(64), len - now)};
			now += iov[n].iov_len;
		}
		err = file_io(f, offset, iov, n, now, true);
		offset += now;
		len -= now;
	}
	free(zero);
	return err;
}

int blk_file_zero(struct blk_file *f, u64 offset, u64 len, bool punch)
{
	int keep = FALLOC_FL_KEEP_SIZE;

	if (punch && !f->no_punch) {
		if (!fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | keep, (off_t)offset, (off_t)len))
			return 0;
		if (!cannot(errno))
			return -errno;
		f->no_punch = true;
	}
	if (!f->no_zero) {
		if (!fallocate(f->fd, FALLOC_FL_ZERO_RANGE | keep, (off_t)offset, (off_t)len))
			return 0;
		if (!cannot(errno))
			return -errno;
		f->no_zero = true;
	}
	return write_zeroes(f, offset, len);
}

void blk_file_discard(struct blk_file *f, u64 offset, u64 len)
{
	u64 range[2] = {offset, len};

	if (f->no_punch || !len)
		return;
	if (f->device ? ioctl(f->fd, BLKDISCARD, range) < 0
		      : fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
				  (off_t)len) < 0)
		f->no_punch = cannot(errno);
}
