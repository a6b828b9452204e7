# SPDX-License-Identifier: MIT
#
# make                 build lkvm            make lkvm-static    the same, static
# make check           every test            make check-quick    without the nested boots
# make demo            boot a stock kernel   make bench          figures, beside their bounds
# make install         PREFIX=, DESTDIR=     make help           every variable and target
#
# ARCH= CROSS_COMPILE= SYSROOT= O= CC= SAN= V= W= are explained by `make help`.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DELETE_ON_ERROR:

VERSION := 0.1.0

# --- what we build for -------------------------------------------------------------------------

HOST_ARCH := $(shell uname -m)
ARCH ?= $(HOST_ARCH)
# One line per architecture: what people call it -> its folder.
ARCH_x86_64 := x86
ARCH_x86-64 := x86
ARCH_x86 := x86
ARCH_aarch64 := arm
ARCH_arm64 := arm
ARCH_ppc64le := powerpc
ARCH_ppc64 := powerpc
ARCH_powerpc := powerpc
ARCHDIR := $(ARCH_$(ARCH))
ifeq ($(ARCHDIR),)
$(error ARCH=$(ARCH) is not one of x86, arm64, powerpc)
endif
ifeq ($(wildcard $(ARCHDIR)/machine.c),)
$(error ARCH=$(ARCH): lkvm has no machine for it yet)
endif

ifneq ($(filter undefined default,$(origin CC)),)
CC := $(CROSS_COMPILE)gcc
endif
LD := $(CROSS_COMPILE)ld
STRIP := $(CROSS_COMPILE)strip
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
INSTALL ?= install

comma := ,
O ?= build/$(ARCHDIR)$(if $(SAN),-$(subst $(comma),-,$(SAN)))
BIN := $(if $(filter command line environment,$(origin O)),$(O)/,$(if $(SAN),$(O)/))

Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-7s %s\n' $(1) $(2))

# --- flags ---------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wvla -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wno-unused-parameter \
	-Wimplicit-fallthrough
CFLAGS ?= -O2 -g
LKVM_CFLAGS := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread -fno-strict-aliasing \
	-fno-common -fstack-protector-strong -fPIE $(WARNINGS) $(if $(W),-Werror) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined) \
	$(if $(SYSROOT),--sysroot=$(SYSROOT))
LKVM_CPPFLAGS := -Iinclude -I$(O)/include -DLKVM_VERSION='"$(VERSION)"'
LKVM_LDFLAGS := -pthread $(if $(SAN),-fsanitize=$(SAN)) $(if $(SYSROOT),--sysroot=$(SYSROOT))

# --- optional libraries: probed once, kept in $(O)/features.mk -----------------------------------

FEATURES := $(O)/features.mk
NO_BUILD := clean distclean help install-man uninstall
ifneq ($(if $(MAKECMDGOALS),$(filter-out $(NO_BUILD),$(MAKECMDGOALS)),all),)
-include $(FEATURES)
endif

# --- sources: one wildcard per folder ------------------------------------------------------------

FOLDERS := util devices hw virtio host $(ARCHDIR)
SRC := $(wildcard *.c) $(foreach d,$(FOLDERS),$(wildcard $(d)/*.c))
OBJ := $(SRC:%.c=$(O)/%.o)
# What unit tests and fuzz targets link: all but main and the seam (tests/unit puts its fake there).
LIB_OBJ := $(filter-out $(O)/main.o $(O)/kvm-ioctl.o,$(OBJ))

.PHONY: all
all: $(BIN)lkvm

$(BIN)lkvm: $(OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LKVM_LDFLAGS) $(LDFLAGS) -pie -Wl,-z,relro,-z,now -o $@ $^ $(FEATURE_LIBS) -lfdt -lz

# Stripped, and with few segments: it is for an initramfs or a container, and starts 0.1 ms sooner so.
ifneq ($(BIN),)
.PHONY: lkvm-static
lkvm-static: $(BIN)lkvm-static
endif
$(BIN)lkvm-static: $(OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LKVM_LDFLAGS) $(LDFLAGS) -static -no-pie -Wl,-z,noseparate-code $(if $(SAN),,-s) \
		-o $@ $^ $(FEATURE_LIBS_STATIC) -lfdt -lz

# Objects are made again when the compiler or a flag changes.
FLAGS_NOW := $(CC) $(CFLAGS) $(CPPFLAGS) $(LKVM_CFLAGS) $(LKVM_CPPFLAGS) $(FEATURE_CFLAGS)
FLAGS_FILE := $(O)/flags
ifneq ($(file <$(FLAGS_FILE)),$(FLAGS_NOW))
.PHONY: $(FLAGS_FILE)
endif
$(FLAGS_FILE):
	@mkdir -p $(@D)
	$(file >$@,$(FLAGS_NOW))@:

$(O)/%.o: %.c $(FLAGS_FILE) $(FEATURES)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LKVM_CPPFLAGS) $(CPPFLAGS) $(FEATURE_CFLAGS) $(LKVM_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(FEATURES): tests/tools/probe-libs
	@mkdir -p $(@D)
	$(Q)CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' CFLAGS='$(if $(SYSROOT),--sysroot=$(SYSROOT))' \
		tests/tools/probe-libs $@

-include $(OBJ:.o=.d)

# --- tests, benchmarks, demo ---------------------------------------------------------------------

-include tests/tests.mk

# --- installing ------------------------------------------------------------------------------------

MAN := $(wildcard docs/*.1)
.PHONY: install uninstall install-man
install: $(BIN)lkvm install-man
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/bin
	$(INSTALL) -m 755 $(BIN)lkvm $(DESTDIR)$(PREFIX)/bin/lkvm
install-man:
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/share/man/man1
	$(INSTALL) -m 644 $(MAN) $(DESTDIR)$(PREFIX)/share/man/man1
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/lkvm $(MAN:docs/%=$(DESTDIR)$(PREFIX)/share/man/man1/%)

.PHONY: clean distclean help
clean:
	rm -rf $(O) $(BIN)lkvm $(BIN)lkvm-static
distclean:
	rm -rf build lkvm lkvm-static
help:
	@echo 'Targets:   all lkvm-static check check-quick demo bench install uninstall clean distclean'
	@echo 'Variables: ARCH=x86|arm64|powerpc      what lkvm runs on (this machine)'
	@echo '           CROSS_COMPILE=PREFIX-       tools of another architecture'
	@echo '           SYSROOT=DIR                 its headers and libraries'
	@echo '           O=DIR                       build there (build/ARCH, with lkvm at the top)'
	@echo '           CC=clang  CFLAGS=  LDFLAGS=  the usual'
	@echo '           SAN=address,undefined|thread  sanitizers (built in build/ARCH-SAN)'
	@echo '           V=1  W=1                    print commands; warnings are errors'
	@echo '           PREFIX=DIR DESTDIR=DIR      for install'
