# SPDX-License-Identifier: MIT
#
# make                 build lkvm            make lkvm-static    the same, static
# make check           every test            make check-quick    the cheap half
# make demo            boot a stock kernel   make bench          figures, beside their bounds
# make install         PREFIX=, DESTDIR=     make help           every variable and target
#
# ARCH= CROSS_COMPILE= SYSROOT= DEVROOT= O= CC= SAN= V= W= are explained by `make help`.

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
ARCH_ppc := powerpc
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

# The folder's name when it is another architecture's than this machine's; then, without CROSS_COMPILE, what
# is built is for this machine all the same: objects that only tests on the fake KVM can use.
FOREIGN := $(filter-out $(ARCH_$(HOST_ARCH)),$(ARCHDIR))
PAPER := $(if $(CROSS_COMPILE),,$(FOREIGN))

comma := ,
O ?= build/$(ARCHDIR)$(if $(PAPER),-paper)$(if $(SAN),-$(subst $(comma),-,$(SAN)))
# lkvm itself is at the top of the tree only when it is this machine's and nothing special.
BIN := $(if $(filter command line environment,$(origin O))$(SAN)$(FOREIGN),$(O)/)

Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-7s %s\n' $(1) $(2))

# --- flags ---------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wvla -Wpointer-arith -Wwrite-strings -Wundef -Wformat=2 -Wno-unused-parameter \
	-Wimplicit-fallthrough
CFLAGS ?= -O2 -g
LKVM_CFLAGS := -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 -pthread \
	-fno-strict-aliasing -fno-common -fstack-protector-strong -fPIE $(WARNINGS) $(if $(W),-Werror) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined) \
	$(if $(SYSROOT),--sysroot=$(SYSROOT))
LKVM_CPPFLAGS := -Iinclude -I$(O)/include $(if $(PAPER),-isystem $(O)/uapi) -DLKVM_VERSION='"$(VERSION)"'
LKVM_LDFLAGS := -pthread $(if $(SAN),-fsanitize=$(SAN)) $(if $(SYSROOT),--sysroot=$(SYSROOT))
# Unpacked packages of the other architecture: libfdt-dev and the like, without its libc.
dev_dirs = $(wildcard $(foreach d,$(DEVROOT),$(addprefix $(d)/,$(1) usr/$(1) usr/$(1)/*-linux-gnu)))
DEV_INCLUDE := $(addprefix -isystem ,$(call dev_dirs,include))
DEV_LIB := $(addprefix -L,$(call dev_dirs,lib))
LKVM_CPPFLAGS += $(DEV_INCLUDE)
LKVM_LDFLAGS += $(DEV_LIB)

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

ifneq ($(PAPER),)
$(BIN)lkvm $(BIN)lkvm-static:
	@echo 'lkvm: ARCH=$(ARCH) on $(HOST_ARCH) takes CROSS_COMPILE=, the prefix of its tools' >&2; exit 1
else
$(BIN)lkvm: $(OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LKVM_LDFLAGS) $(LDFLAGS) -pie -Wl,-z,relro,-z,now -o $@ $^ $(FEATURE_LIBS) -lfdt -lz

# A static program loads no libraries: it is without those that others load when they need them.
LOADERS := $(O)/host/slirp-load.o

# Stripped, and with few segments: it is for an initramfs or a container, and starts 0.1 ms sooner so.
$(BIN)lkvm-static: $(OBJ) start.ld
	$(call say,LINK,$@)
	$(Q)$(CC) $(LKVM_LDFLAGS) $(LDFLAGS) -static -no-pie -Wl,-z,noseparate-code \
		-Wl,-T,start.ld $(if $(SAN),,-s) -o $@ $(filter-out $(LOADERS) %.ld,$^) \
		$(FEATURE_LIBS_STATIC) -lfdt -lz
endif
ifneq ($(BIN),)
.PHONY: lkvm-static
lkvm-static: $(BIN)lkvm-static
endif
# Compiled and no more.
.PHONY: objects
objects: $(OBJ)

# <linux/kvm.h> is the same everywhere and includes <asm/kvm.h>, which is not. Without a compiler of the other
# architecture that one header, with what it includes, is laid over this machine's.
UAPI_arm := /usr/aarch64-linux-gnu/include/asm linux-libc-dev-arm64-cross \
	kvm.h kvm_para.h ptrace.h sve_context.h hwcap.h
UAPI_powerpc := /usr/powerpc64le-linux-gnu/include/asm linux-libc-dev-ppc64el-cross \
	kvm.h kvm_para.h epapr_hcalls.h ptrace.h
UAPI_x86 := /usr/x86_64-linux-gnu/include/asm linux-libc-dev-amd64-cross \
	kvm.h kvm_para.h ptrace.h ptrace-abi.h processor-flags.h
UAPI_FROM := $(word 1,$(UAPI_$(PAPER)))
UAPI := $(addprefix $(O)/uapi/asm/,$(wordlist 3,99,$(UAPI_$(PAPER))))
$(UAPI): $(O)/uapi/asm/%:
	@mkdir -p $(@D)
	@test -e $(UAPI_FROM)/$* || { echo 'lkvm: $(UAPI_FROM)/$* is not there: apt-get install' \
		'$(word 2,$(UAPI_$(PAPER)))' >&2; exit 1; }
	@ln -sf $(UAPI_FROM)/$* $@

# Objects are made again when the compiler or a flag changes.
FLAGS_NOW := $(CC) $(CFLAGS) $(CPPFLAGS) $(LKVM_CFLAGS) $(LKVM_CPPFLAGS) $(FEATURE_CFLAGS)
FLAGS_FILE := $(O)/flags
ifneq ($(file <$(FLAGS_FILE)),$(FLAGS_NOW))
.PHONY: $(FLAGS_FILE)
endif
$(FLAGS_FILE):
	@mkdir -p $(@D)
	$(file >$@,$(FLAGS_NOW))@:

$(O)/%.o: %.c $(FLAGS_FILE) $(FEATURES) $(UAPI)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LKVM_CPPFLAGS) $(CPPFLAGS) $(FEATURE_CFLAGS) $(LKVM_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(FEATURES): tests/tools/probe-libs
	@mkdir -p $(@D)
	$(Q)CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' \
		CFLAGS='$(if $(SYSROOT),--sysroot=$(SYSROOT)) $(DEV_INCLUDE) $(DEV_LIB)' \
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
	@echo 'Targets:   all lkvm-static install uninstall clean distclean'
	@echo '           check check-quick check-all check-e500 demo bench'
	@echo '           objects unit-programs'
	@echo 'Variables: ARCH=x86|arm64|powerpc      what lkvm runs on (this machine)'
	@echo '           CROSS_COMPILE=PREFIX-       tools of another architecture; without it only'
	@echo '                                       objects and unit-programs can be made of it'
	@echo '           SYSROOT=DIR                 its headers and libraries, libc and all'
	@echo '           DEVROOT="DIR..."            its libfdt and zlib (packages unpacked there), no libc'
	@echo '           O=DIR                       build there (build/ARCH, with lkvm at the top)'
	@echo '           CC=clang  CFLAGS=  LDFLAGS=  the usual'
	@echo '           SAN=address,undefined|thread  sanitizers (built in build/ARCH-SAN)'
	@echo '           V=1  W=1                    print commands; warnings are errors'
	@echo '           PREFIX=DIR DESTDIR=DIR      for install'
