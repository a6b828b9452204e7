/* SPDX-License-Identifier: MIT */
/* What the files host/blk-*.c and host/qcow2-*.c share; block.h is what others see. */
#ifndef HOST_BLK_H
#define HOST_BLK_H

#include <lkvm/block.h>
#include <pthread.h>
#include <stdatomic.h>

#ifndef LKVM_HAVE_LIBURING
#define LKVM_HAVE_LIBURING 0
#endif
#ifndef LKVM_HAVE_LIBZSTD
#define LKVM_HAVE_LIBZSTD 0
#endif

#define BLK_IOV_MAX 1024 /* of one preadv: what Linux takes */

/* --- iovecs ------------------------------------------------------------------------------------------- */

/* A place in a row of iovecs. */
struct iov_at {
	const struct iovec *iov;
	u32 n;
	size_t done; /* bytes of iov[0] that are behind us */
};
/* Up to `max` pieces that hold the next `len` bytes; *got says how many bytes they are. Moves on. */
u32 iov_take(struct iov_at *at, u64 len, struct iovec *out, u32 max, u64 *got);
void iov_copy_from(struct iov_at *at, void *buf, u64 len); /* iovecs to buf */
void iov_copy_to(struct iov_at *at, const void *buf, u64 len);
void iov_set_zero(struct iov_at *at, u64 len);

/* --- blk-file.c: a file or host block device, in whole transfers ----------------------------------- */

struct blk_file {
	int fd;
	char *path;
	bool ro, device, direct;
	u32 align;	   /* of offsets, lengths and memory with `direct`; else 1 */
	u32 block_size;	   /* logical */
	u32 physical_size; /* or what the file system likes */
	u32 discard_size;
	_Atomic u64 size;
	atomic_bool no_punch, no_zero; /* it turned out that the host cannot */
	pthread_mutex_t partial;       /* writes of less than an aligned block, with `direct` */
	pthread_mutex_t sync_lock;
	pthread_cond_t sync_done;
	/* sync_lock: how many have asked, and up to which of them all are served. */
	u64 sync_asked, sync_served;
	bool syncing;
	atomic_bool lost; /* fdatasync(2) failed once: never cleared */
};

/* Opens and locks. -errno after one logged line. `ro` is the way it is opened; locks go along. */
int __must_check blk_file_open(struct blk_file *f, const char *path, bool ro, bool direct,
			       const struct log *log);
void blk_file_close(struct blk_file *f);
/* Looks for the present size. */
int __must_check blk_file_measure(struct blk_file *f);
/* The whole length or -errno. What lies behind the end of the file reads as zeroes. */
int __must_check blk_file_read(struct blk_file *f, u64 offset, void *buf, u64 len);
int __must_check blk_file_write(struct blk_file *f, u64 offset, const void *buf, u64 len);
int __must_check blk_file_readv(struct blk_file *f, u64 offset, const struct iovec *iov, u32 n, u64 len);
int __must_check blk_file_writev(struct blk_file *f, u64 offset, const struct iovec *iov, u32 n, u64 len);
/* The next `len` bytes of the iovecs. Moves on. */
int __must_check blk_file_at(struct blk_file *f, u64 offset, struct iov_at *at, u64 len, bool write);
/*
 * What was written before is on the disk. The host tells of each failure to write back once, and counts what
 * was lost as written from then on: so after one failure, which is logged, this fails for ever (-EIO).
 */
int __must_check blk_file_sync(struct blk_file *f);
/* Reads as zeroes afterwards; `punch`: the space may go. */
int __must_check blk_file_zero(struct blk_file *f, u64 offset, u64 len, bool punch);
/* A hint: failures are none. */
void blk_file_discard(struct blk_file *f, u64 offset, u64 len);
int __must_check blk_file_truncate(struct blk_file *f, u64 size);
/* Whether memory and place are such that the kernel takes them as they are. */
bool blk_file_fits(const struct blk_file *f, u64 offset, const struct iovec *iov, u32 n);

/* --- formats --------------------------------------------------------------------------------------- */

struct block_ops {
	const char *name;
	/* b->file is open. -errno after one logged line; close() follows also then. */
	int (*open)(struct block *b, const struct block_config *cfg);
	void (*close)(struct block *b);
	/*
	 * True when the whole range of a read or write is plain bytes of the file, at req->file_offset; then
	 * unmap() follows when it is done. Never waits. The queue's thread.
	 */
	bool (*map)(struct block *b, struct block_req *req);
	void (*unmap)(struct block *b, struct block_req *req); /* or NULL; the queue's thread, or a pool's */
	/* The whole request, there and then. A pool's thread, several at once. */
	int (*run)(struct block *b, struct block_req *req);
	int (*resize)(struct block *b, u64 size, const char **why);
};

extern const struct block_ops blk_raw_ops, blk_qcow2_ops;
extern const u8 qcow2_magic[4];

struct blk_pool;

struct block {
	const struct block_ops *ops;
	struct blk_file file;
	const struct log *log;
	bool ro, direct, guard_magic; /* guard: no qcow2 magic may be written, for raw was only guessed */
	enum block_engine engine;
	_Atomic u64 size; /* of a raw backing file no multiple of anything */
	u32 block_size, discard_size;
	bool can_discard;
	void *priv;	       /* the format's */
	struct block *backing; /* or NULL */
	struct blk_pool *pool; /* NULL for backing files */
	const char *_Atomic engine_name;
	pthread_mutex_t lock; /* resizing; rl */
	struct ratelimit rl;
};

/* blk.c: a backing file of `parent`, opened read-only. -errno after one logged line. */
int __must_check blk_open_backing(struct block *parent, const char *path, const char *format,
				  const struct block_config *cfg);
/* A read there and then, of what lies behind the end zeroes. */
int __must_check blk_read_sync(struct block *b, u64 offset, void *buf, u64 len);

/* --- blk-queue.c, blk-pool.c, blk-uring.c ------------------------------------------------------------ */

struct block_queue {
	struct block *b;
	int fd;		    /* eventfd */
	u32 inflight;	    /* submitted and not done; the queue's thread */
	struct list staged; /* for the pool; the queue's thread */
	struct list local;  /* done already */
	u32 nr_local;
	void *ring;   /* blk-uring.c's, or NULL */
	bool refused; /* the kernel has yet to take some of what is staged there */
	pthread_mutex_t lock;
	struct list done; /* lock: by the pool */
};

/* A thread pool for all that has to wait. Threads come as they are needed. */
int __must_check blk_pool_create(struct block *b, struct blk_pool **out);
void blk_pool_destroy(struct blk_pool *pool); /* nothing queued or running */
/* Takes the whole list, which is empty afterwards. Each request's queue gets it back in `done`. */
void blk_pool_add(struct blk_pool *pool, struct list *reqs);

/* NULL where there is none: not built, or the kernel says no. */
void *blk_uring_open(int event_fd, u32 depth);
void blk_uring_close(void *ring);
/* False when it is full. Until the kernel has it, the request is in a list of the ring's. */
bool blk_uring_stage(void *ring, int fd, struct block_req *req);
/*
 * 0; 1: the kernel will take the rest when some of what it has is done; -errno: it refused, has nothing, and
 * what was staged is in *back: the ring is good for nothing but to be closed.
 */
int __must_check blk_uring_kick(void *ring, struct list *back);
/* The next completion: the request, and bytes or -errno. NULL: none. */
struct block_req *blk_uring_reap(void *ring, int *res);

#endif
