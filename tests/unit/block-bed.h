/* SPDX-License-Identifier: MIT */
/*
 * A disk under test: images in a folder of their own, requests that are waited for, and a model in memory to
 * compare with. qemu-img, where it is installed, makes images and has the last word on what we leave behind.
 */
#ifndef LKVM_TEST_BLOCK_BED_H
#define LKVM_TEST_BLOCK_BED_H

#include "brief.h"
#include "capture.h"
#include <errno.h>
#include <fcntl.h>
#include <lkvm/block.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char bed_dir[64];

static int bed_setup(void **state)
{
	snprintf(bed_dir, sizeof(bed_dir), "%s/lkvm-block-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(bed_dir) ? chdir(bed_dir) : -1;
}

static int bed_teardown(void **state)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", bed_dir);
	return chdir("/") || system(cmd);
}

/* A shell command's exit status; its output is kept from ours. */
static __unused __printf(1, 2) int run(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;
	int n, ret;

	va_start(ap, fmt);
	n = snprintf(cmd, sizeof(cmd), "{ ");
	n += vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
	va_end(ap);
	snprintf(cmd + n, sizeof(cmd) - (size_t)n, "; } >out.txt 2>&1");
	ret = system(cmd);
	return WIFEXITED(ret) ? WEXITSTATUS(ret) : -1;
}

/*
 * Waits until nobody has the image locked. The lock of a killed process that used io_uring goes when the
 * kernel has put the ring away, which it does beside, after the process could be waited for.
 */
static __unused void wait_unlocked(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct timespec nap = {0, 1000000};
	int fd = open(path, O_RDWR | O_CLOEXEC);
	u32 tries = 20000;

	assert_true(fd >= 0);
	while (fcntl(fd, F_OFD_SETLK, &lock) && --tries)
		nanosleep(&nap, NULL);
	assert_true(tries);
	close(fd);
}

static inline bool have_qemu_img(void)
{
	static int status = -1;

	if (status < 0)
		status = run("qemu-img --version");
	return !status;
}

static inline void need_qemu_img(void)
{
	if (!have_qemu_img())
		skip();
}

/* A file all of one byte. */
static __unused void bed_make(const char *path, u64 size, u8 byte)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (u64 i = 0; i < size; i++)
		putc(byte, f);
	fclose(f);
}

/* With holes where it is zero. */
static __unused void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	static const u8 zero[4096];
	u8 page[sizeof(zero)];
	off_t at = 0;
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	for (; (n = read(in, page, sizeof(page))) > 0; at += n)
		if (memcmp(page, zero, (size_t)n))
			assert_int_equal(pwrite(out, page, (size_t)n, at), n);
	assert_int_equal(n, 0);
	assert_int_equal(ftruncate(out, at), 0);
	close(in);
	close(out);
}

/* A new image. qemu-img makes the first of each kind; to copy that one is quicker by far than to start it. */
static __unused void new_image(const char *path, const char *options, u64 size)
{
	static char made[8][96];
	static u32 nr;
	char kind[96], from[32];
	u32 i = 0;

	snprintf(kind, sizeof(kind), "%s %llu", options, (unsigned long long)size);
	while (i < nr && strcmp(made[i], kind))
		i++;
	snprintf(from, sizeof(from), "new-%u.qcow2", i);
	if (i == nr) {
		assert_true(nr < ARRAY_SIZE(made));
		assert_int_equal(run("qemu-img create -f qcow2 -o %s %s %llu", options, from,
				     (unsigned long long)size),
				 0);
		strcpy(made[nr++], kind);
	}
	copy_file(from, path);
}

/* Neither an error nor a leak. */
static __unused void check_clean(const char *image)
{
	int ret = run("qemu-img check %s", image);

	if (ret) {
		char text[2048] = "";
		FILE *f = fopen("out.txt", "r");

		if (f) {
			text[fread(text, 1, sizeof(text) - 1, f)] = 0;
			fclose(f);
		}
		fail_msg("qemu-img check %s: %d\n%s", image, ret, text);
	}
}

/* --- one disk --------------------------------------------------------------------------------------------
 */

struct bed {
	struct block *b;
	struct block_queue *q;
};

struct bed_req {
	struct block_req req;
	struct iovec iov[8];
	int calls, err;
};

static inline void bed_done(struct block_req *req, int err)
{
	struct bed_req *r = container_of(req, struct bed_req, req);

	r->calls++;
	r->err = err;
}

static __unused int bed_open_cfg(struct bed *bed, const struct block_config *cfg)
{
	int err = block_open(cfg, &bed->b);

	bed->q = NULL;
	if (err)
		bed->b = NULL;
	else
		assert_int_equal(block_queue_open(bed->b, 64, &bed->q), 0);
	return err;
}

static __unused int bed_open(struct bed *bed, const char *path, const char *format, enum block_engine engine)
{
	struct block_config cfg = {.path = path, .format = format, .engine = engine};

	return bed_open_cfg(bed, &cfg);
}

/* After one line. */
static __unused void bed_refused(const struct block_config *cfg, int err, const char *says)
{
	struct block *b = NULL;
	const char *text;

	capture_begin(STDERR_FILENO);
	assert_int_equal(block_open(cfg, &b), err);
	text = capture_end();
	assert_null(b);
	assert_one_line(text, says);
}

static __unused void bed_close(struct bed *bed)
{
	block_queue_close(bed->q);
	block_close(bed->b);
	bed->q = NULL;
	bed->b = NULL;
}

/* In flight at once, as many as there are; each is done exactly once. */
static __unused void bed_go(struct bed *bed, struct bed_req *r, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		r[i].req.done = bed_done;
		r[i].calls = 0;
		r[i].err = 1;
		block_submit(bed->q, &r[i].req);
		assert_int_equal(r[i].calls, 0);
	}
	block_kick(bed->q);
	block_drain(bed->q);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(r[i].calls, 1);
}

/* Data in up to 8 pieces. */
static __unused void bed_fill(struct bed_req *r, enum block_op op, u64 offset, void *data, u64 len,
			      u32 pieces)
{
	u64 at = 0;

	memset(r, 0, sizeof(*r));
	r->req.op = op;
	r->req.offset = offset;
	r->req.len = len;
	r->req.iov = r->iov;
	if (op == BLOCK_READ || op == BLOCK_WRITE) {
		while (r->req.nr_iov + 1 < pieces && len - at > 512) {
			u64 now = (len - at) / 2;

			r->iov[r->req.nr_iov++] = (struct iovec){(char *)data + at, (size_t)now};
			at += now;
		}
		r->iov[r->req.nr_iov++] = (struct iovec){(char *)data + at, (size_t)(len - at)};
	}
}

static __unused int bed_do(struct bed *bed, enum block_op op, u64 offset, void *data, u64 len)
{
	struct bed_req r;

	bed_fill(&r, op, offset, data, len, 1);
	bed_go(bed, &r, 1);
	return r.err;
}

#endif
