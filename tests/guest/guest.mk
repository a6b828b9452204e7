# SPDX-License-Identifier: MIT
#
# The bare-metal payloads: freestanding, so any gcc for this machine makes them; no 32-bit libc is needed.
# Included by tests/tests.mk. From payload/NAME.c come NAME.mb (multiboot, 32 bits), and for the names below
# NAME.pvh (PVH note in ELF32), NAME.pvh64 (in ELF64), NAME.elf64 and NAME.bz; payload/NAME.S is a flat image.

GUEST := $(O)/tests/guest
GUEST_CC ?= gcc
GUEST_CFLAGS := -std=gnu11 -O1 -g0 -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
	-fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -mgeneral-regs-only -Wall -Wextra -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -Wno-main -Wno-unused-parameter -Itests/guest/rt -Werror
GUEST_32 := -m32 -march=i686
GUEST_64 := -m64 -mno-red-zone -mcmodel=small
GUEST_LINK := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	-Wl,--no-warn-rwx-segments

GUEST_FLAT_FLAGS := -m32 -nostdlib -static -no-pie -Wl,--oformat=binary -Wl,-Ttext=0 -Wl,--build-id=none

# What every protocol must be able to start.
GUEST_BOOT := boot hello
# What needs 64 bits.
GUEST_ELF64 := $(GUEST_BOOT) exits high-ram

GUEST_RT := rt irq vectors ap smp
GUEST_C := $(wildcard tests/guest/payload/*.c)
GUEST_FLAT := $(patsubst tests/guest/payload/%.S,$(GUEST)/%.flat,$(wildcard tests/guest/payload/*.S))
GUEST_MB := $(patsubst tests/guest/payload/%.c,$(GUEST)/%.mb,$(filter-out %/high-ram.c,$(GUEST_C)))
GUEST_PVH := $(GUEST_BOOT:%=$(GUEST)/%.pvh) $(GUEST_BOOT:%=$(GUEST)/%.pvh64)
GUEST_E64 := $(GUEST_ELF64:%=$(GUEST)/%.elf64)
GUEST_BZ := $(GUEST_BOOT:%=$(GUEST)/%.bz)
GUEST_GZ := $(foreach k,pvh elf64 mb bz,$(GUEST)/boot.$(k).gz)
PAYLOADS := $(GUEST_MB) $(GUEST_PVH) $(GUEST_E64) $(GUEST_BZ) $(GUEST_FLAT) $(GUEST_GZ)

.PHONY: guest-payloads
guest-payloads: $(PAYLOADS)

GUEST_VIRTIO := virtio virtio-bad virtio-types
GUEST_RT_32 := $(GUEST)/32/common.o $(GUEST_VIRTIO:%=$(GUEST)/32/%.o) $(GUEST_RT:%=$(GUEST)/32/rt/%.o)
GUEST_RT_64 := $(GUEST)/64/common.o $(GUEST_RT:%=$(GUEST)/64/rt/%.o)

define guest-compile
	$(call say,GUEST,$<)
	@mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_CFLAGS) $(1) -MMD -MP -c -o $@ $<
endef
$(GUEST)/32/%.o: tests/guest/%.c tests/guest/guest.mk
	$(call guest-compile,$(GUEST_32))
$(GUEST)/32/%.o: tests/guest/%.S tests/guest/guest.mk
	$(call guest-compile,$(GUEST_32))
$(GUEST)/64/%.o: tests/guest/%.c tests/guest/guest.mk
	$(call guest-compile,$(GUEST_64))
$(GUEST)/64/%.o: tests/guest/%.S tests/guest/guest.mk
	$(call guest-compile,$(GUEST_64))
.SECONDARY: $(GUEST_C:tests/guest/%.c=$(GUEST)/32/%.o) $(GUEST_ELF64:%=$(GUEST)/64/payload/%.o) \
	$(patsubst %,$(GUEST)/32/rt/%.o,start-multiboot boot-multiboot start-pvh boot-pvh $(GUEST_RT)) \
	$(patsubst %,$(GUEST)/64/rt/%.o,start-linux64 boot-linux $(GUEST_RT))

define guest-link
	$(call say,GUEST,$@)
	$(Q)$(GUEST_CC) $(1) $(GUEST_LINK) -T $(filter %.lds,$^) -o $@ $(filter %.o,$^)
endef
$(GUEST)/%.mb: $(GUEST)/32/rt/start-multiboot.o $(GUEST)/32/rt/boot-multiboot.o $(GUEST)/32/payload/%.o \
		$(GUEST_RT_32) tests/guest/rt/payload32.lds
	$(call guest-link,$(GUEST_32))
$(GUEST)/%.pvh: $(GUEST)/32/rt/start-pvh.o $(GUEST)/32/rt/boot-pvh.o $(GUEST)/32/payload/%.o \
		$(GUEST_RT_32) tests/guest/rt/payload32.lds
	$(call guest-link,$(GUEST_32))
$(GUEST)/%.elf64: $(GUEST)/64/rt/start-linux64.o $(GUEST)/64/rt/boot-linux.o $(GUEST)/64/payload/%.o \
		$(GUEST_RT_64) tests/guest/rt/payload64.lds
	$(call guest-link,$(GUEST_64))
# The 32-bit code in the container that a vmlinux has.
$(GUEST)/%.pvh64: $(GUEST)/%.pvh
	$(Q)objcopy -I elf32-i386 -O elf64-x86-64 $< $@
$(GUEST)/%.bz: $(GUEST)/%.elf64 tests/guest/rt/bzimage-head.S
	$(call say,GUEST,$@)
	$(Q)objcopy -O binary $< $@.pm
	$(Q)$(GUEST_CC) $(GUEST_FLAT_FLAGS) -DPM_SIZE=$$(stat -c %s $@.pm) -DCMDLINE_MAX=255 -o $@.head \
		tests/guest/rt/bzimage-head.S
	$(Q)cat $@.head $@.pm >$@
$(GUEST)/%.flat: tests/guest/payload/%.S tests/guest/guest.mk
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(GUEST_CC) $(GUEST_FLAT_FLAGS) -o $@ $<
$(GUEST)/%.gz: $(GUEST)/%
	$(Q)gzip -9nc $< >$@

-include $(wildcard $(GUEST)/*/*.d $(GUEST)/*/*/*.d)
