/* SPDX-License-Identifier: MIT */
/* ALSO-arm */
/* WRAP: irq_set_line irq_claim kvm_end kvm_guest_panicked pwrite64 */
/*
 * hw/cfi-flash.c as the drivers of Linux and EDK2 use it, and its memslot on the fake KVM.
 * test-cfi-flash-file.c has the file behind it.
 */
#include "flash-bed.h"

/* ---- what it is --------------------------------------------------------------------------------- */

/* cfi_probe: the ways in which it looks for chips, of which the last is ours. */
static void test_probe(void **state)
{
	up(MiB(1), "");
	/* Four chips of 8 bits: there is an answer, but not theirs. */
	wr(0, 0xf0f0f0f0);
	wr(0x55 * 4, 0x98989898);
	assert_int_not_equal(rd(0x40), 0x51515151);
	wr(0, 0xf0f0f0f0);
	wr(0, 0xffffffff);
	/* Two of 16. */
	wr(0, 0x00f000f0);
	wr(0x55 * 4, 0x00980098);
	assert_int_equal(rd(0x40), 0x00510051);
	assert_int_equal(rd(0x44), 0x00520052);
	assert_int_equal(rd(0x48), 0x00590059);
	/* Out of it again by either maker's reset, and through the unlock cycles of another one. */
	wr(0, 0x00f000f0);
	assert_int_equal(rd(0x40), 0x00510051);
	wr(0, 0x00ff00ff);
	assert_int_equal(rd(0x40), 0);
	wr(0x555 * 4, 0x00aa00aa);
	wr(0x2aa * 4, 0x00550055);
	wr(0x555 * 4, 0x00900090);
	assert_int_equal(rd(0), 0); /* no maker */
	assert_int_equal(rd(4), 0);
	wr(0, 0x00ff00ff);
	assert_int_equal(slots(), 1);
}

static void test_query(void **state)
{
	static const u64 sizes[] = {KiB(256), KiB(512), MiB(2), MiB(64)};

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		u32 primary, blocks;

		setup(NULL);
		up(sizes[i], "");
		cmd(0x55 * 4, 0x98);
		assert_int_equal(query(0x13) | query(0x14) << 8, 1);
		primary = query(0x15) | query(0x16) << 8;
		assert_int_equal(query(0x17) | query(0x18) | query(0x19) | query(0x1a), 0);
		assert_true(query(0x1f) && query(0x20) && query(0x21));
		assert_int_equal(2ull << query(0x27), sizes[i]);
		assert_int_equal(query(0x28) | query(0x29) << 8, 1); /* x16 */
		assert_int_equal(2ull << (query(0x2a) | query(0x2b) << 8), BUFFER);
		/* The sum of the regions is the chip, or Linux refuses it. */
		assert_int_equal(query(0x2c), 1);
		blocks = (query(0x2d) | query(0x2e) << 8) + 1;
		assert_int_equal((query(0x2f) | query(0x30) << 8) * 256 * 2, BLOCK);
		assert_int_equal(blocks * BLOCK, sizes[i]);
		assert_int_equal(query(primary), 'P');
		assert_int_equal(query(primary + 1), 'R');
		assert_int_equal(query(primary + 2), 'I');
		assert_int_equal(query(primary + 3), '1');
		assert_int_equal(query(primary + 4), '0');
		assert_int_equal(query(primary + 5), 0x20);
		assert_int_equal(query(primary + 9), 0); /* no suspending */
		assert_int_equal(query(primary + 14), 0);
		assert_int_equal(query(0), 0);
		assert_int_equal(query(0x100), 0);
		/* By halves and bytes, as each chip's lines are. */
		assert_int_equal(board_read(BUS_MMIO, BASE + 0x40, 2), 'Q');
		assert_int_equal(board_read(BUS_MMIO, BASE + 0x42, 2), 'Q');
		assert_int_equal(board_read(BUS_MMIO, BASE + 0x41, 1), 0);
		assert_int_equal(board_read(BUS_MMIO, BASE + 0x40, 8), 0x0052005200510051);
		teardown(NULL);
	}
	setup(NULL);
}

/* ---- the memslot -------------------------------------------------------------------------------- */

static void test_slot(void **state)
{
	static const u8 others[] = {0x70, 0x90, 0x98, 0x40, 0x10, 0x20, 0x60, 0xe8};
	const struct fake_slot *slot;
	u32 sets;

	up(MiB(1), "");
	file_put(0x1234, 0xcafebabe);
	slot = &fake_kvm_vm(0)->slot[0];
	assert_int_equal(slots(), 1);
	assert_int_equal(slot->gpa, BASE);
	assert_int_equal(slot->size, MiB(1));
	assert_int_equal(slot->flags, KVM_MEM_READONLY);
	assert_memory_equal(fake_kvm_mem(fake_kvm_vm(0), BASE + 0x1234, 4), "\xbe\xba\xfe\xca", 4);
	/* Nobody but the guest sees it as memory. */
	assert_null(guest_ptr(&board.kvm.mem, BASE, 4));
	assert_int_equal(guest_ram_size(&board.kvm.mem), 0);
	for (u32 i = 0; i < ARRAY_SIZE(others); i++) {
		cmd(0, others[i]);
		assert_int_equal(slots(), 0);
		assert_int_not_equal(rd(0x1234), 0xcafebabe);
		if (i >= 3)
			cmd(0, 0x3ff); /* the rest of it: a word, or what is no confirmation or count */
		cmd(0, 0xff);
		cmd(0, 0x50);
		assert_int_equal(slots(), 1);
		assert_int_equal(rd(0x1234), 0xcafebabe); /* by an exit that was under way */
	}
	/* No call without need: each waits for a grace period of the kernel's. */
	sets = fake_kvm_count("KVM_SET_USER_MEMORY_REGION");
	cmd(0, 0xff);
	cmd(0, 0x50);
	cmd(0, 0xf0);
	assert_int_equal(fake_kvm_count("KVM_SET_USER_MEMORY_REGION"), sets);
	cmd(0, 0x70);
	for (u32 i = 0; i < 100; i++) {
		assert_int_equal(program(4 * i, i), 0x80);
		cmd(0, 0x90);
	}
	assert_int_equal(fake_kvm_count("KVM_SET_USER_MEMORY_REGION"), sets + 1);
	board_reset(&cfi_flash_ops);
	assert_int_equal(slots(), 1);
}

/* A kernel that will not have the slot back: reads come out, and are answered. */
static void test_slot_fails(void **state)
{
	up(KiB(256), "");
	file_put(0, 0x12345678);
	cmd(0, 0x70);
	fake_kvm_fail(KVM_SET_USER_MEMORY_REGION, 0, ENOMEM);
	capture_begin(STDERR_FILENO);
	cmd(0, 0xff);
	assert_one_line(capture_end(), "cannot be mapped back in");
	assert_int_equal(rd(0), 0x12345678);
	capture_begin(STDERR_FILENO);
	for (u32 i = 0; i < 1000; i++)
		cmd(0, 0xff);
	assert_true(strlen(capture_end()) < 2000);
	assert_int_equal(slots(), 0);
	assert_int_equal(status(), 0x80);
}

/* ---- program and erase -------------------------------------------------------------------------- */

static void test_program(void **state)
{
	up(MiB(1), "");
	assert_int_equal(program(0x100, 0x12345678), 0x80);
	assert_int_equal(file_word(0x100), 0); /* zeros stay: it was not erased */
	assert_int_equal(erase(0), 0x80);
	for (u64 at = 0; at < BLOCK; at += 4096 - 4)
		assert_int_equal(file_word(at), UINT32_MAX);
	assert_int_equal(file_word(BLOCK), 0); /* the next block is another */
	assert_int_equal(program(0x100, 0x12345678), 0x80);
	assert_int_equal(file_word(0x100), 0x12345678);
	assert_int_equal(program(0x100, 0xffff0000), 0x80);
	assert_int_equal(file_word(0x100), 0x12340000);
	assert_int_equal(file_word(0xfc), UINT32_MAX);
	assert_int_equal(file_word(0x104), UINT32_MAX);
	cmd(0, 0xff);
	assert_memory_equal(fake_kvm_mem(fake_kvm_vm(0), BASE + 0x100, 4), "\0\0\x34\x12", 4);
	/* The other name of the command, and single bytes. */
	cmd(0x200, 0x10);
	board_write(BUS_MMIO, BASE + 0x201, 0xab, 1);
	assert_int_equal(status(), 0x80);
	assert_int_equal(file_word(0x200), 0xffffabff);
	/* The last block, by any address in it. */
	assert_int_equal(program(MiB(1) - 4, 0), 0x80);
	assert_int_equal(erase(MiB(1) - 4), 0x80);
	assert_int_equal(file_word(MiB(1) - 4), UINT32_MAX);
	assert_int_equal(file_word(MiB(1) - BLOCK), UINT32_MAX);
	assert_int_equal(file_word(MiB(1) - BLOCK - 4), 0);
	/* An erase that is not confirmed is none. */
	assert_int_equal(program(MiB(1) - 4, 5), 0x80);
	cmd(MiB(1) - 4, 0x20);
	cmd(MiB(1) - 4, 0x70);
	assert_int_equal(rd(0), 0x00b000b0);
	assert_int_equal(file_word(MiB(1) - 4), 5);
	/* The bits stay until they are cleared; operations go on. */
	assert_int_equal(status(), 0xb0);
	cmd(0, 0x40);
	wr(0, 0x1111);
	assert_int_equal(status(), 0xb0);
	assert_int_equal(file_word(0), 0x1111);
	cmd(MiB(1) - 4, 0x20);
	cmd(MiB(1) - 4, 0xd0);
	assert_int_equal(file_word(MiB(1) - 4), UINT32_MAX);
	cmd(0, 0x50);
	assert_int_equal(status(), 0x80);
}

static void test_buffer(void **state)
{
	up(MiB(1), "");
	assert_int_equal(erase(0), 0x80);
	/* EDK2: 32 words. */
	buffer(0x80, 32, 0x1000);
	assert_int_equal(file_word(0x80), UINT32_MAX); /* not before it is confirmed */
	cmd(0x80, 0xd0);
	assert_int_equal(status(), 0x80);
	assert_int_equal(file_word(0x7c), UINT32_MAX);
	for (u32 i = 0; i < 32; i++)
		assert_int_equal(file_word(0x80 + 4 * i), 0x1000 + i);
	assert_int_equal(file_word(0x100), UINT32_MAX);
	/* Linux: as much as the query table says. */
	buffer(2 * BUFFER, 512, 0x20000);
	cmd(2 * BUFFER, 0xd0);
	assert_int_equal(status(), 0x80);
	for (u32 i = 0; i < 512; i++)
		assert_int_equal(file_word(2 * BUFFER + 4 * i), 0x20000 + i);
	/* Over what there is: as with single words. In any order, and a word twice. */
	cmd(0x80, 0xe8);
	cmd(0x80, 2);
	wr(0x88, 0xffffffff);
	wr(0x80, 0xffff0001);
	wr(0x80, 0xfffff000);
	cmd(0x80, 0xd0);
	assert_int_equal(status(), 0x80);
	assert_int_equal(file_word(0x80), 0x1000);
	assert_int_equal(file_word(0x88), 0x1002);
	/* Not confirmed. */
	buffer(0x1000, 4, 7);
	cmd(0x1000, 0xff);
	assert_int_equal(status(), 0xb0);
	assert_int_equal(file_word(0x1000), 0x20000);
	cmd(0, 0x50);
	/* More words than there is buffer. */
	cmd(0, 0xe8);
	cmd(0, 512);
	assert_int_equal(status(), 0xb0);
	cmd(0, 0x50);
	/* A word that lies in another buffer, or half in one. */
	cmd(4 * BUFFER, 0xe8);
	cmd(4 * BUFFER, 7);
	wr(4 * BUFFER, 1);
	wr(5 * BUFFER, 2);
	assert_int_equal(status(), 0xb0);
	cmd(0, 0x50);
	cmd(4 * BUFFER, 0xe8);
	cmd(4 * BUFFER, 0);
	wr(5 * BUFFER - 2, 0);
	assert_int_equal(status(), 0xb0);
	cmd(0, 0x50);
	cmd(4 * BUFFER, 0xe8);
	cmd(4 * BUFFER, 1);
	wr(5 * BUFFER - 4, 3);
	wr(4 * BUFFER - 4, 4);
	assert_int_equal(status(), 0xb0);
	cmd(0, 0x50);
	assert_int_equal(file_word(4 * BUFFER), UINT32_MAX);
	assert_int_equal(file_word(5 * BUFFER - 4), UINT32_MAX);
	/* Wide words count as two. */
	cmd(4 * BUFFER, 0xe8);
	cmd(4 * BUFFER, 3);
	board_write(BUS_MMIO, BASE + 4 * BUFFER, 0x1111111122222222, 8);
	board_write(BUS_MMIO, BASE + 4 * BUFFER + 8, 0x3333333344444444, 8);
	cmd(4 * BUFFER, 0xd0);
	assert_int_equal(status(), 0x80);
	assert_int_equal(file_word(4 * BUFFER + 12), 0x33333333);
}

/* ---- locks -------------------------------------------------------------------------------------------- */

static void test_locks(void **state)
{
	up(MiB(1), "");
	assert_int_equal(erase(BLOCK), 0x80);
	for (u64 at = 0; at < MiB(1); at += BLOCK)
		assert_int_equal(lock_status(at), 0);
	lock(BLOCK, 0x01);
	assert_int_equal(lock_status(BLOCK), 1);
	assert_int_equal(lock_status(0), 0);
	assert_int_equal(lock_status(2 * BLOCK), 0);
	/* Linux makes EROFS of bit 1. */
	assert_int_equal(program(BLOCK, 1), 0x92);
	assert_int_equal(erase(BLOCK), 0xa2);
	buffer(2 * BLOCK - BUFFER, 4, 1);
	cmd(BLOCK, 0xd0);
	assert_int_equal(status(), 0x92);
	cmd(0, 0x50);
	assert_int_equal(file_word(BLOCK), UINT32_MAX);
	/* A word that is half in it. */
	cmd(BLOCK - 2, 0x40);
	wr(BLOCK - 2, 0);
	assert_int_equal(status(), 0x92);
	cmd(0, 0x50);
	cmd(2 * BLOCK - 2, 0x40);
	wr(2 * BLOCK - 2, 0);
	assert_int_equal(status(), 0x92);
	cmd(0, 0x50);
	assert_int_equal(file_word(2 * BLOCK - 4), UINT32_MAX);
	assert_int_equal(program(0, 0), 0x80); /* the others are free */
	lock(BLOCK, 0xd0);
	assert_int_equal(lock_status(BLOCK), 0);
	assert_int_equal(program(BLOCK, 1), 0x80);
	assert_int_equal(file_word(BLOCK), 1);
	/* Down is until a reset. */
	lock(BLOCK, 0x2f);
	assert_int_equal(lock_status(BLOCK), 3);
	lock(BLOCK, 0xd0);
	assert_int_equal(lock_status(BLOCK), 3);
	assert_int_equal(erase(BLOCK), 0xa2);
	board_reset(&cfi_flash_ops);
	assert_int_equal(lock_status(BLOCK), 0);
	assert_int_equal(erase(BLOCK), 0x80);
	/* What is no lock command. */
	cmd(BLOCK, 0x60);
	cmd(BLOCK, 0x03);
	assert_int_equal(status(), 0xb0);
	cmd(0, 0x50);
	/* The status of a block is at its word 2 alone. */
	lock(BLOCK, 0x01);
	cmd(0, 0x90);
	assert_int_equal(rd(BLOCK) | rd(BLOCK + 4) | rd(BLOCK + 12) | rd(8), 0);
}

static void test_read_only(void **state)
{
	struct buf saved = {0};

	up(KiB(512), ",ro");
	file_put(0x40, 0xdeadbeef);
	assert_int_equal(slots(), 1);
	assert_int_equal(rd(0x40), 0xdeadbeef);
	assert_int_equal(lock_status(0), 3);
	assert_int_equal(lock_status(BLOCK), 3);
	lock(BLOCK, 0xd0);
	assert_int_equal(lock_status(BLOCK), 3);
	assert_int_equal(program(0x40, 0), 0x92);
	assert_int_equal(erase(0), 0xa2);
	buffer(0, 8, 0);
	cmd(0, 0xd0);
	assert_int_equal(status(), 0x92);
	assert_int_equal(file_word(0x40), 0xdeadbeef);
	board_reset(&cfi_flash_ops);
	assert_int_equal(lock_status(0), 3);
	/* A saved state does not unlock it: its last bytes are the locks. */
	board_save(&cfi_flash_ops, STATE_SAVE, &saved);
	memset(saved.data + saved.len - 2, 0, 2);
	assert_int_equal(board_restore(&cfi_flash_ops, saved.data, saved.len), 0);
	assert_int_equal(lock_status(0) & lock_status(BLOCK), 3);
	buf_free(&saved);
	board_restore_hostile(&cfi_flash_ops);
	cmd(0, 0xff);
	cmd(0, 0xff);
	cmd(0, 0x50);
	assert_int_equal(lock_status(0), 3);
	assert_int_equal(file_word(0x40), 0xdeadbeef);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_query, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_program, setup, teardown),
		cmocka_unit_test_setup_teardown(test_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_locks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
