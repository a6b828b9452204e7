# SPDX-License-Identifier: MIT
#
# The arm64 side of bench.mk: what tests/bench/run measures with, in the lab's L1. Included by
# tests/tests.mk.

BENCH := $(O)/tests/bench
BENCH_TRIPS := 20000
.PHONY: bench-programs
bench-programs: $(BENCH)/floor $(BENCH)/measure $(BENCH)/first.img $(BENCH)/none.img $(BENCH)/mmio.img \
	$(BENCH)/spin.img

define bench-program
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 $(WARNINGS) -static -o $@ $<
endef
$(BENCH)/floor: tests/bench/arm/floor.c tests/bench/bench-arm.mk
	$(call bench-program)
$(BENCH)/measure: tests/bench/measure.c tests/bench/bench-arm.mk
	$(call bench-program)

define bench-img
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-Ttext=0 $(1) -o $@.elf $<
	$(Q)$(CROSS_COMPILE)objcopy -O binary $@.elf $@
endef
$(BENCH)/first.img: tests/bench/arm/first.S tests/bench/arm/image.inc.S tests/bench/bench-arm.mk
	$(call bench-img)
$(BENCH)/spin.img: tests/bench/arm/spin.S tests/bench/bench-arm.mk
	$(call bench-img)
$(BENCH)/none.img: tests/bench/arm/trips.S tests/bench/bench-arm.mk
	$(call bench-img,-DCOUNT=0)
$(BENCH)/mmio.img: tests/bench/arm/trips.S tests/bench/bench-arm.mk
	$(call bench-img,-DCOUNT=$(BENCH_TRIPS))
