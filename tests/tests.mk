# SPDX-License-Identifier: MIT
#
# Everything that proves lkvm, included by the Makefile. tests/check is the driver behind `make check`; it
# calls back into the targets below for what each suite needs, each in an O of its own.
#
#   check          all suites; installs what is missing first     check-quick    the cheap half: 2 minutes
#   check-SUITE    one suite: include lint unit tsan fuzz guest cli cross lab e500
#   check-all      check, and the suite e500, which builds a kernel the first time
#   fuzz           every fuzz target for FUZZ_SECONDS             bench          figures beside their bounds
#   demo           a stock Debian kernel under lkvm               lint           style, and warnings as errors

SUITES := include lint unit tsan fuzz guest cli cross lab
QUICK_SUITES := include lint unit guest cli
ALL_SUITES := $(SUITES) e500
FUZZ_SECONDS ?= 60

# --- checking ------------------------------------------------------------------------------------

CHECK := TEST_O='$(O)' LKVM='$(abspath $(BIN)lkvm)' LKVM_STATIC='$(abspath $(BIN)lkvm-static)' \
	MAKE='$(MAKE)' CC='$(CC)' FUZZ_SECONDS='$(FUZZ_SECONDS)' tests/check

# These goals bring what is missing themselves; they must get past a machine that lacks a library.
INSTALLING := check check-quick check-all lint bench fuzz demo $(ALL_SUITES:%=check-%)
ifneq ($(filter $(INSTALLING),$(MAKECMDGOALS)),)
export LKVM_PROBE_QUIET := 1
else
export LKVM_PROBE_QUIET :=
endif

.PHONY: check check-quick check-all $(ALL_SUITES:%=check-%)
check:
	+$(Q)$(CHECK) $(SUITES)
check-quick:
	+$(Q)CHECK_QUICK=1 $(CHECK) $(QUICK_SUITES)
check-all:
	+$(Q)$(CHECK) $(ALL_SUITES)
$(ALL_SUITES:%=check-%):
	+$(Q)$(CHECK) $(@:check-%=%)

.PHONY: lint fuzz bench demo
lint:
	+$(Q)$(CHECK) include lint
fuzz:
	+$(Q)$(CHECK) --fuzz
bench:
	+$(Q)$(CHECK) --bench
demo:
	+$(Q)$(CHECK) --demo

# --- objects of tests: as ours, with the whole tree to include from ----------------------------------

# private: what an object depends on must not see these.
$(O)/tests/%.o: private LKVM_CPPFLAGS += -I. -Itests/unit -include tests/unit/time64.h
$(O)/tests/%.o: private LKVM_CFLAGS += -Wno-missing-prototypes

# --- unit: one program a test-*.c, with all of lkvm but main and the seam, and the fake of the seam ----

# A line in the first 10 of a test, "/* WRAP: open mmap */", has the linker send these calls to __wrap_NAME.
# "/* TSAN */" there puts it in the set that is run under ThreadSanitizer too; "/* ARM-TSAN */" with arm64's
# machine.
# tests/unit is for all architectures and x86. Others have tests, and their half of the fake, in a folder
# below it, and take of tests/unit what says "/* ANY-ARCH */" there, or "/* ALSO-FOLDER */". What says
# "/* BIG-ENDIAN */" is made for powerpc too, when it is asked for, and run where that is big-endian.
UNIT_SRC := $(wildcard tests/unit/test-*.c)
UNIT_FAKE := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c))
ifneq ($(ARCHDIR),x86)
unit_marked = $(shell awk 'FNR == 11 { nextfile } /$(1)/ { print FILENAME; nextfile }' $(UNIT_ALL))
UNIT_ALL := $(UNIT_SRC)
UNIT_SRC := $(call unit_marked,ANY-ARCH|ALSO-$(ARCHDIR)) $(wildcard tests/unit/$(ARCHDIR)/test-*.c)
UNIT_MORE := $(if $(filter powerpc,$(ARCHDIR)),$(filter-out $(UNIT_SRC),$(call unit_marked,BIG-ENDIAN)))
UNIT_FAKE := $(filter-out %-x86.c,$(UNIT_FAKE)) \
	$(filter-out $(UNIT_SRC),$(wildcard tests/unit/$(ARCHDIR)/*.c))
endif
UNIT := $(UNIT_SRC:%.c=$(O)/%)
UNIT_FAKE_OBJ := $(UNIT_FAKE:%.c=$(O)/%.o)
UNIT_OBJ := $(UNIT_SRC:%.c=$(O)/%.o) $(UNIT_MORE:%.c=$(O)/%.o) $(UNIT_FAKE_OBJ)
# With times of 64 bits, 32-bit C libraries have some of them under other names (tests/unit/time64.h).
unit_wraps = $(foreach w,$(shell sed -n '1,10s/.*WRAP: *\(.*[^ ]\) *\*\/.*/\1/p' $(1)),\
	-Wl$(comma)--wrap=$(if $(TIME64_$(w)),$(if $(LONG_IS_4),$(TIME64_$(w)),$(w)),$(w)))
LONG_IS_4 = $(filter 4,$(shell echo __SIZEOF_LONG__ | $(CC) -E -P -))
TIME64_clock_gettime := __clock_gettime64
TIME64_nanosleep := __nanosleep64
TIME64_ioctl := __ioctl_time64
TIME64_glob64 := __glob64_time64
TIME64_stat64 := __stat64_time64

.PHONY: unit-programs
unit-programs: $(UNIT)
.SECONDARY: $(UNIT_OBJ)
$(UNIT) $(UNIT_MORE:%.c=$(O)/%): $(O)/%: $(O)/%.o $(UNIT_FAKE_OBJ) $(LIB_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LKVM_LDFLAGS) $(LDFLAGS) -pie $(call unit_wraps,$*.c) -o $@ $^ $(FEATURE_LIBS) \
		-lcmocka -lfdt -lz

-include $(UNIT_OBJ:.o=.d)

# --- fuzz: one libFuzzer target a fuzz-*.c, linked as a unit test is; O is one made with clang -----------

# Those of tests/fuzz are built for x86, also what is in them for all architectures. Others have theirs, and
# helpers, in a folder below it. A line with WRAP is as in a unit test.
FUZZ_DIR := tests/fuzz$(if $(filter-out x86,$(ARCHDIR)),/$(ARCHDIR))
FUZZ_SRC := $(wildcard $(FUZZ_DIR)/fuzz-*.c)
FUZZ_HELP := $(filter-out $(FUZZ_SRC),$(wildcard $(FUZZ_DIR)/*.c)) $(UNIT_FAKE)
FUZZ := $(FUZZ_SRC:%.c=$(O)/%)
FUZZ_OBJ := $(FUZZ_SRC:%.c=$(O)/%.o) $(FUZZ_HELP:%.c=$(O)/%.o)
.PHONY: fuzz-programs
fuzz-programs: $(FUZZ)
.SECONDARY: $(FUZZ_OBJ)
$(FUZZ): $(O)/%: $(O)/%.o $(FUZZ_HELP:%.c=$(O)/%.o) $(LIB_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LKVM_LDFLAGS) $(LDFLAGS) -fsanitize=fuzzer,address,undefined \
		$(call unit_wraps,$*.c) -o $@ $^ $(FEATURE_LIBS) -lfdt -lz

-include $(FUZZ_OBJ:.o=.d)

# --- guest payloads ----------------------------------------------------------------------------------

ifeq ($(ARCHDIR),x86)
include tests/guest/guest.mk
endif
ifeq ($(ARCHDIR),arm)
include tests/guest/guest-arm.mk
endif
include tests/lab/prog/prog.mk
include tests/bench/bench$(if $(filter arm,$(ARCHDIR)),-arm).mk

# --- the include rule of docs/design.md ---------------------------------------------------------------

# The list of sources and how they are compiled, for tests/tools/check-include.
.PHONY: list-sources
list-sources: $(UAPI)
	@printf '%s\n' '$(LKVM_CPPFLAGS)' $(SRC)
