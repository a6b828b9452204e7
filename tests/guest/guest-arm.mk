# SPDX-License-Identifier: MIT
#
# The bare-metal payloads for arm64: freestanding, so the cross compiler alone makes them. Included by
# tests/tests.mk. From arm/payload/NAME.c comes NAME.img, an arm64 Image, and for the names below NAME.flat,
# an image without the Image's magic, for 512 KiB into RAM. They are run in the lab.

GUEST := $(O)/tests/guest
GUEST_CC ?= $(CC)
GUEST_OBJCOPY ?= $(CROSS_COMPILE)objcopy
GUEST_CFLAGS := -std=gnu11 -O1 -g0 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -march=armv8-a \
	-mgeneral-regs-only -mstrict-align -mno-outline-atomics -fno-asynchronous-unwind-tables \
	-fno-strict-aliasing -fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections -Wall \
	-Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-main -Wno-unused-parameter \
	-Itests/guest/arm/rt -Werror
GUEST_LINK := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	-Wl,--no-warn-rwx-segments -Wl,--gc-sections -T tests/guest/arm/rt/payload.lds

GUEST_FLAT := boot hello

GUEST_C := $(wildcard tests/guest/arm/payload/*.c)
GUEST_RT := $(filter-out start,$(basename $(notdir $(wildcard tests/guest/arm/rt/*.[cS]))))
# Of tests/guest itself.
GUEST_SHARED := common virtio virtio-bad virtio-types
GUEST_RT_OBJ := $(GUEST_SHARED:%=$(GUEST)/%.o) $(GUEST_RT:%=$(GUEST)/rt/%.o)
PAYLOADS := $(GUEST_C:tests/guest/arm/payload/%.c=$(GUEST)/%.img) $(GUEST_FLAT:%=$(GUEST)/%.flat)

.PHONY: guest-payloads
guest-payloads: $(PAYLOADS)

define guest-compile
	$(call say,GUEST,$<)
	@mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_CFLAGS) $(1) -MMD -MP -c -o $@ $<
endef
$(GUEST)/%.o: tests/guest/arm/%.c tests/guest/guest-arm.mk
	$(call guest-compile)
$(GUEST)/%.o: tests/guest/arm/%.S tests/guest/guest-arm.mk
	$(call guest-compile)
$(GUEST_SHARED:%=$(GUEST)/%.o): $(GUEST)/%.o: tests/guest/%.c tests/guest/guest-arm.mk
	$(call guest-compile)
$(GUEST)/rt/start-flat.o: tests/guest/arm/rt/start.S tests/guest/guest-arm.mk
	$(call guest-compile,-DFLAT)
.SECONDARY: $(GUEST_C:tests/guest/arm/%.c=$(GUEST)/%.o) $(GUEST_RT_OBJ) $(GUEST)/rt/start.o \
	$(GUEST)/rt/start-flat.o

define guest-link
	$(call say,GUEST,$@)
	$(Q)$(GUEST_CC) $(GUEST_LINK) -Wl,--defsym=LOAD=$(1) -o $@.elf $(filter %.o,$^)
	$(Q)$(GUEST_OBJCOPY) -O binary $@.elf $@
endef
$(GUEST)/%.img: $(GUEST)/rt/start.o $(GUEST)/payload/%.o $(GUEST_RT_OBJ) tests/guest/arm/rt/payload.lds
	$(call guest-link,0x80000000)
$(GUEST)/%.flat: $(GUEST)/rt/start-flat.o $(GUEST)/payload/%.o $(GUEST_RT_OBJ) tests/guest/arm/rt/payload.lds
	$(call guest-link,0x80080000)

-include $(wildcard $(GUEST)/*.d $(GUEST)/*/*.d)
