/* SPDX-License-Identifier: MIT */
/*
 * qcow2 images of any content, opened, read, written, discarded, flushed, grown and closed. The input is an
 * image behind 64 bytes that say what is done with it, 4 bytes a request.
 *
 * What must hold: whatever the metadata says, what a guest can make happen never changes the parts of the
 * header that name the image's kind and its backing file, and memory and time stay bounded.
 */
#include "fuzz-vm.h"
#include <lkvm/block.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SCRIPT	  64
#define IMAGE_MAX KiB(256)
#define KEPT	  24 /* bytes of the header: magic, version, backing file, cluster size */

static void on_done(struct block_req *req, int err)
{
	req->done = NULL;
}

static void step(struct block *b, struct block_queue *q, const u8 *op)
{
	static u8 buf[8192];
	struct block_info info;
	struct iovec iov = {buf, 512u * (1 + op[1] % 16)};
	struct block_req req = {.iov = &iov, .nr_iov = 1, .len = iov.iov_len, .done = on_done};
	const char *why;

	block_get_info(b, &info);
	req.offset = (u64)(op[2] | op[3] << 8) * 512;
	/* From the end on backwards, too. */
	if (op[0] & 0x80)
		req.offset = info.size - min_u64(info.size, req.offset);
	req.may_unmap = op[0] & 0x40;
	memset(buf, op[0], sizeof(buf));
	switch (op[0] % 8) {
	case 0:
	case 1:
		req.op = BLOCK_WRITE;
		break;
	case 2:
	case 3:
		req.op = BLOCK_READ;
		break;
	case 4:
		req.op = BLOCK_ZEROES;
		req.len *= 1 + op[0] / 8;
		break;
	case 5:
		req.op = BLOCK_DISCARD;
		req.len *= 1 + op[0] / 8;
		break;
	case 6:
		req.op = BLOCK_FLUSH;
		break;
	default:
		if (block_resize(b, info.size + req.offset % MiB(1) / 512 * 512, &why) < 0)
			fuzz_assert(why, "a resize that is refused says why");
		return;
	}
	block_submit(q, &req);
	block_kick(q);
	block_drain(q);
	fuzz_assert(!req.done, "a request is done");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct block_config cfg = {.format = "qcow2", .engine = BLOCK_THREADS};
	struct block_queue *q = NULL;
	struct block *b = NULL;
	u8 before[KEPT], after[KEPT];
	char path[40];
	int fd;

	if (size < SCRIPT || size > IMAGE_MAX)
		return 0;
	fd = memfd_create("image", MFD_CLOEXEC);
	fuzz_assert(write(fd, data + SCRIPT, size - SCRIPT) == (ssize_t)(size - SCRIPT), "there is a file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	cfg.path = path;
	cfg.ro = data[0] == 0xff;
	fuzz_assert(pread(fd, before, KEPT, 0) >= 0, "it can be read");
	for (u32 again = 0; again < 2; again++) {
		if (block_open(&cfg, &b))
			break;
		fuzz_assert(!block_queue_open(b, 1, &q), "it has a queue");
		for (u32 i = 0; i < SCRIPT; i += 4)
			step(b, q, data + i);
		block_queue_close(q);
		block_close(b);
	}
	if (size >= SCRIPT + KEPT)
		fuzz_assert(pread(fd, after, KEPT, 0) == KEPT && !memcmp(before, after, KEPT),
			    "the header keeps what names other files");
	close(fd);
	return 0;
}
