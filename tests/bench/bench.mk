# SPDX-License-Identifier: MIT
#
# What `make bench` measures with: the floor (static, as the binary it is compared to), the clock, and guests.
# Included by tests/tests.mk.

BENCH := $(O)/tests/bench
BENCH_TRIPS := 200000
.PHONY: bench-programs
bench-programs: $(BENCH)/floor $(BENCH)/measure \
	$(BENCH)/diskload $(BENCH)/netload $(BENCH)/ring $(BENCH)/first.flat $(BENCH)/none.flat \
	$(BENCH)/pio.flat $(BENCH)/mmio.flat $(GUEST)/hello.pvh64 $(GUEST)/poke.mb

$(BENCH)/%: tests/bench/%.c tests/bench/bench.mk
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 $(WARNINGS) -static -o $@ $<

# Our own ring code, compiled as lkvm is, beside a loop by hand.
$(BENCH)/ring: $(O)/tests/bench/ring.o $(filter-out $(O)/main.o,$(OBJ))
	$(call say,LINK,$@)
	$(Q)$(CC) $(LKVM_LDFLAGS) $(LDFLAGS) -pie -o $@ $^ $(FEATURE_LIBS) -lfdt -lz

define bench-flat
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_FLAT_FLAGS) $(1) -o $@ $<
endef
$(BENCH)/first.flat: tests/bench/payload/first.S tests/bench/bench.mk
	$(call bench-flat)
$(BENCH)/none.flat: tests/bench/payload/trips.S tests/bench/bench.mk
	$(call bench-flat,-DCOUNT=0)
$(BENCH)/pio.flat: tests/bench/payload/trips.S tests/bench/bench.mk
	$(call bench-flat,-DCOUNT=$(BENCH_TRIPS) -DPIO)
$(BENCH)/mmio.flat: tests/bench/payload/trips.S tests/bench/bench.mk
	$(call bench-flat,-DCOUNT=$(BENCH_TRIPS))

-include $(O)/tests/bench/ring.d
