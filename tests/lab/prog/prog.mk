# SPDX-License-Identifier: MIT
#
# The lab's programs: all of lkvm but main.c, with a main() of their own, static; L1 runs them. Included by
# tests/tests.mk. From NAME.c comes NAME.prog, beside the payloads, where the lab looks (LAB_PAYLOADS).
# And its tools (tests/lab/tool), which know nothing of lkvm and are small enough for a guest: NAME.tool.

# arm64's are here, with what all share; others' in a folder of theirs.
PROG_DIR := tests/lab/prog$(if $(filter-out arm,$(ARCHDIR)),/$(ARCHDIR))
PROG_HELP := tests/lab/prog/prog.c $(wildcard $(PROG_DIR)/raw-vm.c $(PROG_DIR)/chip.c)
PROG_SRC := $(filter-out $(PROG_HELP),$(wildcard $(PROG_DIR)/*.c))
PROG := $(PROG_SRC:$(PROG_DIR)/%.c=$(O)/tests/guest/%.prog)
PROG_HELP_OBJ := $(PROG_HELP:%.c=$(O)/%.o)

TOOL_SRC := $(wildcard tests/lab/tool/*.c)
TOOL := $(TOOL_SRC:tests/lab/tool/%.c=$(O)/tests/guest/%.tool)

.PHONY: lab-programs
lab-programs: $(PROG) $(TOOL)
$(TOOL): $(O)/tests/guest/%.tool: tests/lab/tool/%.c $(FLAGS_FILE)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LKVM_CPPFLAGS) $(LKVM_CFLAGS) $(CFLAGS) $(LDFLAGS) -static -no-pie -s -o $@ $<
.SECONDARY: $(PROG_SRC:%.c=$(O)/%.o) $(PROG_HELP_OBJ)
$(PROG): $(O)/tests/guest/%.prog: $(O)/$(PROG_DIR)/%.o $(PROG_HELP_OBJ) $(LIB_OBJ) $(O)/kvm-ioctl.o
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LKVM_LDFLAGS) $(LDFLAGS) -static -no-pie $(if $(SAN),,-s) \
		-o $@ $(filter-out $(LOADERS),$^) $(FEATURE_LIBS_STATIC) -lfdt -lz

-include $(PROG_SRC:%.c=$(O)/%.d) $(PROG_HELP_OBJ:.o=.d)
