/* SPDX-License-Identifier: MIT */
/* ANY-ARCH */
/* WRAP: nanosleep */
/*
 * Locks of images: between VMs, beside QEMU, whose writers are to be kept away from and whose readers are
 * not, and one that goes while it is waited for.
 */
#include "block-bed.h"

static u32 naps;
static int other; /* an open file that is closed when somebody goes to sleep; 0: none */

int __real_nanosleep(const struct timespec *time, struct timespec *left);

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	naps++;
	if (other)
		close(other);
	other = 0;
	return __real_nanosleep(time, left);
}

static void test_locks(void **state)
{
	struct block_config rw = {.path = "l.img", .format = "raw"}, ro = rw;
	struct bed a, b;

	ro.ro = true;
	bed_make("l.img", 4096, 0);
	assert_int_equal(bed_open_cfg(&a, &rw), 0);
	bed_refused(&rw, -EBUSY, "disk l.img: in use");
	bed_refused(&ro, -EBUSY, "disk l.img: in use: another VM or program has it open for writing");
	bed_close(&a);
	assert_int_equal(bed_open_cfg(&a, &ro), 0);
	assert_int_equal(bed_open_cfg(&b, &ro), 0);
	bed_refused(&rw, -EBUSY, "disk l.img: in use");
	bed_close(&a);
	bed_close(&b);
	assert_int_equal(bed_open_cfg(&a, &rw), 0);
	bed_close(&a);
}

/* As QEMU's: shared, on a byte for what is done (100 and up) and one for what others may not do (200 and up).
 */
static int lock_bytes(const char *path, const u32 *at, u32 n)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd > 0);
	for (u32 i = 0; i < n; i++) {
		struct flock lock = {
			.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = (off_t)at[i], .l_len = 1};

		assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	}
	return fd;
}

static void test_locks_by_bytes(void **state)
{
	struct block_config rw = {.path = "b.img", .format = "raw"}, ro = rw;
	int fd;
	struct bed a, b;

	ro.ro = true;
	bed_make("b.img", 4096, 0);
	/* One that writes */
	fd = lock_bytes("b.img", (const u32[]){100, 101, 103, 201, 203}, 5);
	bed_refused(&rw, -EBUSY, "disk b.img: in use");
	bed_refused(&ro, -EBUSY, "disk b.img: in use: another VM or program has it open for writing");
	close(fd);
	/* and one that reads */
	fd = lock_bytes("b.img", (const u32[]){100, 201, 203}, 3);
	bed_refused(&rw, -EBUSY, "disk b.img: in use");
	assert_int_equal(bed_open_cfg(&a, &ro), 0);
	assert_int_equal(bed_open_cfg(&b, &ro), 0);
	close(fd);
	bed_close(&a);
	bed_close(&b);
}

/* Holds for QEMU as it is, too. */
static void test_locks_of_qemu(void **state)
{
	struct block_config rw = {.path = "q.img", .format = "raw"}, ro = rw;
	const struct timespec nap = {0, 1000000};
	struct bed bed;

	ro.ro = true;
	if (run("qemu-io --version"))
		skip();
	bed_make("q.img", 65536, 0);
	for (u32 reader = 0; reader < 2; reader++) {
		FILE *io = popen(reader ? "qemu-io -r -f raw q.img >io.txt 2>&1"
					: "qemu-io -f raw q.img >io.txt 2>&1",
				 "w");
		struct flock held = {.l_type = F_UNLCK};
		int fd = open("q.img", O_RDWR | O_CLOEXEC);

		assert_non_null(io);
		for (u32 tries = 0; held.l_type == F_UNLCK && tries < 10000; tries++) {
			held = (struct flock){
				.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};
			assert_int_equal(fcntl(fd, F_OFD_GETLK, &held), 0);
			__real_nanosleep(&nap, NULL);
		}
		close(fd);
		assert_int_not_equal(held.l_type, F_UNLCK);
		bed_refused(&rw, -EBUSY, "disk q.img: in use");
		if (reader) {
			assert_int_equal(bed_open_cfg(&bed, &ro), 0);
			bed_close(&bed);
		} else {
			bed_refused(&ro, -EBUSY, "has it open for writing");
		}
		pclose(io);
	}
	/* And the other way round: it keeps away from what we have. */
	assert_int_equal(bed_open_cfg(&bed, &ro), 0);
	assert_int_not_equal(run("qemu-io -f raw -c 'write 0 512' q.img"), 0);
	assert_int_equal(run("qemu-io -r -f raw -c 'read 0 512' q.img"), 0);
	bed_close(&bed);
	assert_int_equal(bed_open_cfg(&bed, &rw), 0);
	assert_int_not_equal(run("qemu-io -r -f raw -c 'read 0 512' q.img"), 0);
	bed_close(&bed);
}

/* A lock that goes soon after, as that of a VM that was killed, is waited for. */
static void test_lock_goes(void **state)
{
	struct block_config cfg = {.path = "gone.img", .format = "raw"};
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct bed bed;

	bed_make("gone.img", 4096, 0);
	other = open("gone.img", O_RDWR | O_CLOEXEC);
	assert_true(other > 0);
	assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), 0);
	naps = 0;
	assert_int_equal(bed_open_cfg(&bed, &cfg), 0);
	assert_int_equal(naps, 1);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_locks_by_bytes),
		cmocka_unit_test(test_locks_of_qemu),
		cmocka_unit_test(test_lock_goes),
	};

	return cmocka_run_group_tests(tests, bed_setup, bed_teardown);
}
