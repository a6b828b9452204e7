/* SPDX-License-Identifier: MIT */
/*
 * Disks: an image (raw or qcow2) in a file or on a host block device, seen as bytes at offsets. Knows nothing
 * of guests; virtio/blk.c is who uses it.
 *
 * A struct block is the image. A struct block_queue is one thread's way to it: that thread submits requests,
 * which only stages them, kicks, which hands all that is staged over at once, and polls, which calls done()
 * of what has finished. So done() always runs on the queue's own thread, and never inside of submit or kick.
 *
 *	block_submit(q, &req[i]);		as many as there are
 *	block_kick(q);				one system call
 *	block_poll(q);				what the page cache could answer is done already
 *	... when block_queue_fd(q) has an edge: block_poll(q) ...
 *
 * What a flush promises: all writes whose done() came before it was submitted are on the disk at its done().
 * When the host fails to put them there once, each later flush fails, too (block_lost()): the host forgets
 * what it could not write, and another try would succeed for nothing.
 */
#ifndef LKVM_BLOCK_H
#define LKVM_BLOCK_H

#include <lkvm/list.h>
#include <lkvm/log.h>
#include <lkvm/types.h>
#include <sys/uio.h>

#define BLOCK_SECTOR 512u

struct block;
struct block_queue;

enum block_engine { BLOCK_AUTO, BLOCK_URING, BLOCK_THREADS };

struct block_config {
	const char *path;
	const char *format; /* "raw", "qcow2"; NULL: told from the magic, and said in a notice */
	bool ro, direct;
	bool backing_anywhere; /* backing files may be outside of the image's directory */
	enum block_engine engine;
	const struct log *log;
	const struct block_config *backing_of; /* block_open()'s own; NULL */
};

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZEROES };

/*
 * One request. Offset and length are multiples of the image's block size; for reads and writes the iovecs add
 * up to the length. Stays untouched, with the iovecs and their memory, from submit to done().
 */
struct block_req {
	enum block_op op;
	bool may_unmap; /* BLOCK_ZEROES: the space may be given back */
	u64 offset, len;
	struct iovec *iov;
	u32 nr_iov;
	void (*done)(struct block_req *req, int err); /* exactly once; 0 or -errno */

	/* host/blk-queue.c's and the format's. */
	struct block_queue *queue;
	struct list link;
	u64 file_offset; /* of what is plain bytes of the file */
	u8 epoch;
	int err;
};

struct block_info {
	const char *path, *format, *engine;
	u64 size;	   /* bytes, a multiple of BLOCK_SECTOR */
	u32 block_size;	   /* logical: what offsets and lengths are multiples of */
	u32 physical_size; /* below this, writes cost a read */
	u32 discard_size;  /* granularity of discards */
	bool ro, can_discard;
};

/*
 * Opens and locks the image and its backing files. 0, or -errno after one logged line that names the file.
 * Main thread.
 */
int __must_check block_open(const struct block_config *cfg, struct block **out);
/* Everything reaches the disk; locks are given up. After the last queue was closed. NULL is fine. */
void block_close(struct block *b);
/* Whether this lkvm was linked with the library that reads qcow2's zstd clusters. */
bool block_reads_zstd(void);
void block_get_info(const struct block *b, struct block_info *info); /* any thread */
/* No flush will succeed any more, and it has been said why. Any thread. */
bool block_lost(const struct block *b);
/*
 * Grows the image to `size` bytes; 0: looks how large file or device are now. A raw image may also shrink by
 * the latter. Any thread, while requests are in flight. -errno with *why set to a static line.
 */
int __must_check block_resize(struct block *b, u64 size, const char **why);

/* Not more than `depth` requests are in flight at once. -errno, silent. */
int __must_check block_queue_open(struct block *b, u32 depth, struct block_queue **out);
void block_queue_close(struct block_queue *q); /* drained; NULL is fine */
/* An eventfd with an edge for each completion (EPOLLIN | EPOLLET): it needs no read. */
int block_queue_fd(const struct block_queue *q);
void block_submit(struct block_queue *q, struct block_req *req);
void block_kick(struct block_queue *q);
/* Calls done() for what has finished: how many that was. done() may submit, and then kicks. */
u32 block_poll(struct block_queue *q);
/* Waits until nothing is in flight. The queue's thread, or another while that one stays away. */
void block_drain(struct block_queue *q);

#endif
