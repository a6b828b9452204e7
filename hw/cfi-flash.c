/* SPDX-License-Identifier: MIT */
/*
 * Parallel NOR flash behind a file (--flash FILE[,ro]): the Common Flash Interface (JEDEC JESD68) with
 * Intel's command set 0001, as Linux's cfi_cmdset_0001 and EDK2's NOR flash drivers use it.
 *
 * The bank is what boards usually have: two 16-bit chips side by side on 32 data lines, chip 0 on the lower
 * half. Drivers command both at once, so there is one state for the two, and each answers on its own half. A
 * command is the low byte of a write, of whatever width. Every operation is complete when the write that
 * started it returns: the status always says ready, and there is nothing to suspend.
 *
 * While the array is to be read, the file's content is a readonly memslot: reads cost no exit, and any
 * instruction may make them. Writes come out as accesses to the bus region that lies over it. For anything
 * else that reads are to give, the memslot goes away, until "read array" is commanded; not until the first
 * read after it, for that may be by an instruction that KVM cannot take apart. That also makes KVM look at
 * the pages anew, with whatever cache maintenance a guest needs that maps flash as device memory.
 *
 * The guest's only way to the file is flash_store(), which calls pwrite(): the mapping is never written, so a
 * full disk fails a program operation and is no SIGBUS. Nobody else may write the file meanwhile (flock).
 *
 * With ",ro" every block is locked down, as with a chip's WP# pin low. Else blocks start unlocked; locks last
 * until a reset. A chip has a power of two of bytes (CFI 27h), so the file has as well.
 *
 * Accesses come from vCPU threads under dev->lock, which also orders the switching of the memslot.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lkvm/device.h>
#include <lkvm/fdt.h>
#include <lkvm/hw.h>
#include <lkvm/kvm.h>
#include <lkvm/log.h>
#include <lkvm/state.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WIDTH	   4	    /* bytes of the data bus: two chips of 16 bits */
#define BLOCK	   KiB(256) /* of the bank; 128 KiB of each chip */
#define BUFFER	   KiB(2)   /* write buffer of the bank */
#define CHIPS	   2
#define BLOCKS_MAX (CFI_FLASH_MAX / BLOCK)

enum {
	CMD_PROGRAM_ALT = 0x10,
	CMD_ERASE = 0x20,
	CMD_PROGRAM = 0x40,
	CMD_CLEAR_STATUS = 0x50,
	CMD_LOCK = 0x60,
	CMD_READ_STATUS = 0x70,
	CMD_READ_ID = 0x90,
	CMD_QUERY = 0x98,
	CMD_BUFFER = 0xe8,
	CMD_READ_ARRAY = 0xff,
	CONFIRM = 0xd0,
	/* After CMD_LOCK; CONFIRM unlocks. */
	LOCK_SET = 0x01,
	LOCK_DOWN = 0x2f,
};

enum {
	STATUS_READY = 0x80,
	STATUS_ERASE = 0x20, /* failed; with STATUS_PROGRAM: a sequence of commands that is none */
	STATUS_PROGRAM = 0x10,
	STATUS_LOCKED = 0x02,
	STATUS_SEQUENCE = STATUS_ERASE | STATUS_PROGRAM,
};

/* A block's state as "read ID" gives it. */
enum { BLOCK_LOCKED = 0x1, BLOCK_LOCKED_DOWN = 0x2 };

/* What reads give. */
enum flash_mode { MODE_ARRAY, MODE_STATUS, MODE_ID, MODE_QUERY, MODES };

/* What the next write is. */
enum flash_step {
	STEP_COMMAND,
	STEP_PROGRAM, /* the word to program */
	STEP_ERASE,   /* CONFIRM */
	STEP_LOCK,    /* what to do with a block's lock */
	STEP_COUNT,   /* words to come, less one */
	STEP_DATA,    /* one of them */
	STEP_CONFIRM, /* CONFIRM */
	STEPS
};

/* What a chip's query table has at which word address; two of them depend on the file: flash_query(). */
enum { QUERY_DEVICE_SIZE = 0x27, QUERY_BLOCKS = 0x2d, QUERY_PRIMARY = 0x31 };
static const u8 query_table[] = {
	[0x10] = 'Q',
	[0x11] = 'R',
	[0x12] = 'Y',
	[0x13] = 0x01, /* primary command set: Intel extended; no alternate one */
	[0x15] = QUERY_PRIMARY,
	[0x1b] = 0x17, /* Vcc from 1.7 V */
	[0x1c] = 0x20, /* to 2.0 V; no Vpp pin */
	[0x1f] = 1,    /* log2 of the microseconds to program a word, as a rule */
	[0x20] = 1,    /* a buffer */
	[0x21] = 1,    /* and of the milliseconds to erase a block */
	[0x23] = 4,    /* log2 of how many times as long at the worst: a word */
	[0x24] = 4,    /* a buffer */
	[0x25] = 4,    /* a block */
	[0x28] = 0x01, /* 16 data lines */
	[0x2a] = 10,   /* log2 of a chip's write buffer */
	[0x2c] = 1,    /* one region of blocks, all of one size: */
	[0x30] = 0x02, /* high byte of its 256 bytes */
	[QUERY_PRIMARY] = 'P',
	[0x32] = 'R',
	[0x33] = 'I',
	[0x34] = '1',
	[0x35] = '0',
	[0x36] = 0x20, /* features: blocks are locked one by one, at once */
	[0x3b] = 0x03, /* a block's state has the bits locked and locked down */
	[0x3d] = 0x18, /* Vcc at its best; no Vpp, no protection registers */
};

struct flash_params {
	bool ro;
	char path[];
};

struct flash {
	struct device dev;
	const char *path; /* the option's, for messages */
	int fd;
	bool ro;
	u8 *map; /* the file, read-only; NULL before */
	u64 size;

	/* All below under dev.lock. */
	bool slot; /* the memslot is there */
	u8 mode, step, status;
	u32 left;    /* STEP_DATA: words to come */
	u32 window;  /* STEP_DATA and on: offset of the write buffer in the bank */
	bool placed; /* the first word has come, by which window is set */
	u8 buffer[BUFFER];
	u8 lock[BLOCKS_MAX];
	struct ratelimit rl;
};

static struct flash *to_flash(struct device *dev)
{
	return container_of(dev, struct flash, dev);
}

/* --- what reads give ---------------------------------------------------------------------------------- */

static void flash_set_mode(struct flash *f, enum flash_mode mode)
{
	bool slot = mode == MODE_ARRAY;
	int err;

	f->mode = (u8)mode;
	if (slot == f->slot)
		return;
	err = mem_slot_enable(f->dev.kvm, f->dev.board->base, slot);
	if (!err)
		f->slot = slot;
	else if (ratelimit_ok(&f->rl))
		log_warn(f->dev.kvm->log, "%s: its memory cannot be mapped %s: %s", f->dev.name,
			 slot ? "back in" : "out", strerror(-err));
}

static u8 flash_query(const struct flash *f, u32 word)
{
	u32 blocks = (u32)(f->size / BLOCK) - 1;

	switch (word) {
	case QUERY_DEVICE_SIZE:
		return (u8)__builtin_ctzll(f->size / CHIPS);
	case QUERY_BLOCKS:
		return (u8)blocks;
	case QUERY_BLOCKS + 1:
		return (u8)(blocks >> 8);
	}
	return word < ARRAY_SIZE(query_table) ? query_table[word] : 0;
}

/* What a chip says of the word at that offset into the bank. */
static u8 flash_answer(const struct flash *f, u64 offset)
{
	switch (f->mode) {
	case MODE_ID:
		/* Words 0 and 1 are the maker and the part: none, so that no driver knows quirks of it. */
		return offset % BLOCK / WIDTH == 2 ? f->lock[offset / BLOCK] : 0;
	case MODE_QUERY:
		return flash_query(f, (u32)(offset / WIDTH));
	}
	return f->status;
}

static void flash_read(const struct flash *f, struct io *io)
{
	if (f->mode == MODE_ARRAY) {
		memcpy(io->data, f->map + io->offset, io->len);
		return;
	}
	/* Each chip has 16 lines, the upper 8 of which say nothing. */
	for (u32 i = 0; i < io->len; i++) {
		u64 offset = io->offset + i;

		io->data[i] = offset % (WIDTH / CHIPS) ? 0 : flash_answer(f, offset);
	}
}

/* --- what writes do ----------------------------------------------------------------------------------- */

/* To the file. False, with `failed` in the status, when that goes wrong. */
static bool flash_store(struct flash *f, u64 offset, const u8 *data, size_t len, u8 failed)
{
	while (len) {
		ssize_t n = pwrite(f->fd, data, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			f->status |= failed;
			if (ratelimit_ok(&f->rl))
				log_warn(f->dev.kvm->log, "--flash %s: cannot write at 0x%" PRIx64 ": %s",
					 f->path, offset, n < 0 ? strerror(errno) : "no room");
			return false;
		}
		data += n;
		len -= (size_t)n;
		offset += (u64)n;
	}
	return true;
}

static bool flash_locked(struct flash *f, u64 offset, size_t len, u8 failed)
{
	if (!((f->lock[offset / BLOCK] | f->lock[(offset + len - 1) / BLOCK]) & BLOCK_LOCKED))
		return false;
	f->status |= failed | STATUS_LOCKED;
	return true;
}

/* The first len bytes of the buffer. Programming makes zeros of ones, never the other way. */
static void flash_program(struct flash *f, u64 offset, size_t len)
{
	if (flash_locked(f, offset, len, STATUS_PROGRAM))
		return;
	for (size_t i = 0; i < len; i++)
		f->buffer[i] &= f->map[offset + i];
	flash_store(f, offset, f->buffer, len, STATUS_PROGRAM);
}

static void flash_erase(struct flash *f, u64 offset)
{
	static const u8 ones[KiB(4)] = {[0 ... KiB(4) - 1] = 0xff};
	u64 at = align_down(offset, BLOCK), end = at + BLOCK;

	if (flash_locked(f, at, BLOCK, STATUS_ERASE))
		return;
	while (at < end && flash_store(f, at, ones, sizeof(ones), STATUS_ERASE))
		at += sizeof(ones);
}

static void flash_lock(struct flash *f, u64 offset, u8 how)
{
	u8 *lock = &f->lock[offset / BLOCK];

	switch (how) {
	case LOCK_SET:
		*lock |= BLOCK_LOCKED;
		break;
	case LOCK_DOWN:
		*lock |= BLOCK_LOCKED | BLOCK_LOCKED_DOWN;
		break;
	case CONFIRM:
		if (!(*lock & BLOCK_LOCKED_DOWN))
			*lock = 0;
		break;
	default:
		f->status |= STATUS_SEQUENCE;
	}
}

/* The buffer lies where its first word goes, at a multiple of its size. */
static void flash_buffer(struct flash *f, const struct io *io)
{
	u64 at = io->offset % BUFFER;

	if (!f->placed) {
		f->placed = true;
		f->window = (u32)(io->offset - at);
	}
	if (!range_inside(io->offset, io->len, f->window, BUFFER)) {
		f->status |= STATUS_SEQUENCE;
		f->step = STEP_COMMAND;
		return;
	}
	memcpy(f->buffer + at, io->data, io->len);
	f->left -= min_u64(f->left, (io->len + WIDTH - 1) / WIDTH);
	if (!f->left)
		f->step = STEP_CONFIRM;
}

static void flash_command(struct flash *f, u8 cmd)
{
	enum flash_mode mode = MODE_STATUS;

	switch (cmd) {
	case CMD_READ_ARRAY:
		mode = MODE_ARRAY;
		break;
	case CMD_READ_STATUS:
		break;
	case CMD_READ_ID:
		mode = MODE_ID;
		break;
	case CMD_QUERY:
		mode = MODE_QUERY;
		break;
	case CMD_CLEAR_STATUS:
		f->status = STATUS_READY;
		return;
	case CMD_PROGRAM:
	case CMD_PROGRAM_ALT:
		f->step = STEP_PROGRAM;
		break;
	case CMD_ERASE:
		f->step = STEP_ERASE;
		break;
	case CMD_LOCK:
		f->step = STEP_LOCK;
		break;
	case CMD_BUFFER:
		f->step = STEP_COUNT;
		break;
	default:
		return; /* other makers' commands, which drivers try when they look for a chip */
	}
	flash_set_mode(f, mode);
}

static void flash_write(struct flash *f, const struct io *io)
{
	u8 step = f->step, v = io->data[0];
	u64 count;

	if (step == STEP_COMMAND) {
		flash_command(f, v);
		return;
	}
	if (step == STEP_DATA) {
		flash_buffer(f, io);
		return;
	}
	f->step = STEP_COMMAND;
	switch (step) {
	case STEP_PROGRAM:
		memcpy(f->buffer, io->data, io->len);
		flash_program(f, io->offset, io->len);
		break;
	case STEP_LOCK:
		flash_lock(f, io->offset, v);
		break;
	case STEP_COUNT:
		count = (io_value(io) & 0xffff) + 1;
		if (count > BUFFER / WIDTH) {
			f->status |= STATUS_SEQUENCE;
			break;
		}
		memset(f->buffer, 0xff, sizeof(f->buffer));
		f->left = (u32)count;
		f->placed = false;
		f->step = STEP_DATA;
		break;
	case STEP_ERASE:
	case STEP_CONFIRM:
		if (v != CONFIRM)
			f->status |= STATUS_SEQUENCE;
		else if (step == STEP_ERASE)
			flash_erase(f, io->offset);
		else
			flash_program(f, f->window, sizeof(f->buffer));
		break;
	}
}

static void flash_io(struct device *dev, struct io *io, void *arg)
{
	if (io->write)
		flash_write(to_flash(dev), io);
	else
		flash_read(to_flash(dev), io);
}

/* --- the file ----------------------------------------------------------------------------------------- */

static int flash_parse(const char *arg, void **out)
{
	size_t len = strlen(arg);
	bool ro = len >= 3 && !strcmp(arg + len - 3, ",ro");
	struct flash_params *params;

	if (ro)
		len -= 3;
	if (!len) {
		log_error("--flash: the name of a file is missing");
		return -EINVAL;
	}
	params = calloc(1, sizeof(*params) + len + 1);
	if (!params) {
		log_error("--flash: out of memory");
		return -ENOMEM;
	}
	params->ro = ro;
	memcpy(params->path, arg, len);
	*out = params;
	return 0;
}

static int flash_check_size(struct flash *f, u64 size)
{
	u64 want = BLOCK;

	while (want < size && want < CFI_FLASH_MAX)
		want *= 2;
	f->size = size;
	if (size == want)
		return 0;
	if (!size)
		log_error("--flash %s: an empty file (truncate -s 64M makes it a flash of 64 MiB)", f->path);
	else if (size > CFI_FLASH_MAX)
		log_error("--flash %s: %" PRIu64 " bytes, but a flash has %" PRIu64 " MiB at the most",
			  f->path, size, (u64)(CFI_FLASH_MAX >> 20));
	else
		log_error("--flash %s: %" PRIu64 " bytes are no power of two from %" PRIu64
			  " KiB up (truncate -s %" PRIu64 "K makes it one)",
			  f->path, size, (u64)(BLOCK >> 10), want >> 10);
	return -EINVAL;
}

static int flash_open(struct flash *f)
{
	struct stat st;
	int err;

	f->fd = open(f->path, (f->ro ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (f->fd < 0 || fstat(f->fd, &st) < 0) {
		err = -errno;
		log_error("--flash %s: %s%s", f->path, strerror(-err),
			  !f->ro && (err == -EACCES || err == -EROFS || err == -EPERM)
				  ? " (FILE,ro needs no right to write)"
				  : "");
		return err;
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("--flash %s: not a regular file", f->path);
		return -EINVAL;
	}
	err = flash_check_size(f, (u64)st.st_size);
	if (err)
		return err;
	if (flock(f->fd, (f->ro ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
		err = -errno;
		log_error("--flash %s: %s", f->path,
			  err != -EWOULDBLOCK ? strerror(-err)
			  : f->ro	      ? "another VM writes it"
					      : "another VM has it (any number may share FILE,ro)");
		return err;
	}
	f->map = mmap(NULL, f->size, PROT_READ, f->ro ? MAP_PRIVATE : MAP_SHARED, f->fd, 0);
	if (f->map == MAP_FAILED) {
		err = -errno;
		f->map = NULL;
		log_error("--flash %s: cannot be mapped: %s", f->path, strerror(-err));
		return err;
	}
	return 0;
}

/* --- life --------------------------------------------------------------------------------------------- */

static void flash_power_on(struct flash *f)
{
	f->status = STATUS_READY;
	f->step = STEP_COMMAND;
	memset(f->lock, f->ro ? BLOCK_LOCKED | BLOCK_LOCKED_DOWN : 0, sizeof(f->lock));
}

/* A failure that has had its line; device.c says one of its own for -ENOMEM. */
static int said(int err)
{
	return err == -ENOMEM ? -EIO : err;
}

static int flash_create(struct device *dev, const void *params)
{
	const struct flash_params *p = params;
	const struct board_device *board = dev->board;
	struct flash *f = to_flash(dev);
	int err;

	f->fd = -1;
	if (!board || board->bus != BUS_MMIO) {
		log_error("--flash: this machine has no place for it");
		return -ENOTSUP;
	}
	f->path = p->path;
	f->ro = p->ro;
	if (!kvm_cap(dev->kvm, KVM_CAP_READONLY_MEM)) {
		log_error("--flash %s: this host's KVM lacks KVM_CAP_READONLY_MEM, which a flash needs",
			  f->path);
		return -ENOTSUP;
	}
	err = said(flash_open(f));
	if (!err)
		err = bus_map(dev, BUS_MMIO, board->base, f->size, flash_io, NULL, 0);
	if (!err)
		err = said(mem_add_slot(dev->kvm, board->base, f->size, f->map, true));
	f->slot = !err;
	flash_power_on(f);
	return err;
}

static void flash_reset(struct device *dev)
{
	struct flash *f = to_flash(dev);

	flash_power_on(f);
	flash_set_mode(f, MODE_ARRAY);
}

static int flash_describe(const struct device *dev, struct fdt *fdt)
{
	const struct flash *f = container_of(dev, struct flash, dev);

	dt_device(fdt, "flash", "cfi-flash", dev->board->base, f->size);
	dt_u32(fdt, "bank-width", WIDTH);
	dt_end(fdt);
	return fdt->err;
}

/* What is in the array is the file's to keep. */
static int flash_state(struct device *dev, struct state *s)
{
	static const char *const modes[MODES] = {"array", "status", "ID", "query"};
	struct flash *f = to_flash(dev);

	state_begin(s, dev->name, 1);
	if (state_printing(s)) {
		state_note(s, "file", "%s%s", f->path, f->ro ? ", read-only" : "");
		state_note(s, "reads", "%s", modes[f->mode]);
	}
	state_u8(s, "mode", &f->mode);
	state_u8(s, "step", &f->step);
	state_u8(s, "status", &f->status);
	state_u32(s, "left", &f->left);
	state_u32(s, "window", &f->window);
	state_bool(s, "placed", &f->placed);
	if (!state_printing(s))
		state_bytes(s, "buffer", f->buffer, sizeof(f->buffer));
	state_bytes(s, "lock", f->lock, (size_t)(f->size / BLOCK));
	state_end(s);
	if (!state_reading(s))
		return s->err;
	if (!s->err && (f->mode >= MODES || f->step >= STEPS || f->window % BUFFER || f->window >= f->size ||
			f->left > BUFFER / WIDTH)) {
		state_fail(s, -EBADMSG, "mode, step, left or window", "no state that a flash can be in");
	}
	if (s->err) {
		f->mode = MODE_ARRAY;
		flash_power_on(f);
		f->window = f->left = 0;
	}
	for (u64 i = 0; i < f->size / BLOCK; i++)
		f->lock[i] = f->ro ? BLOCK_LOCKED | BLOCK_LOCKED_DOWN
				   : f->lock[i] & (BLOCK_LOCKED | BLOCK_LOCKED_DOWN);
	f->status |= STATUS_READY;
	flash_set_mode(f, f->mode);
	return s->err;
}

static void flash_destroy(struct device *dev)
{
	struct flash *f = to_flash(dev);

	/* No vCPU is left that could read through the memslot; it goes with the VM. */
	if (f->map)
		munmap(f->map, f->size);
	if (f->fd >= 0)
		close(f->fd);
}

const struct device_ops cfi_flash_ops = {
	.name = "flash",
	.size = sizeof(struct flash),
	.option = {.name = "flash",
		   .kind = OPT_STRING,
		   .arg = "FILE[,ro]",
		   .help = "parallel NOR flash with the content of FILE, which the guest may change"},
	.parse = flash_parse,
	.create = flash_create,
	.reset = flash_reset,
	.describe = flash_describe,
	.state = flash_state,
	.destroy = flash_destroy,
};
