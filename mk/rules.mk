# How things are built. Objects live under $(BUILD), never beside the sources.
#
#   $(eval $(call part,NAME,PKGS,LIBS))        NAME/*.c but main.c -> lib-NAME.a; NAME/main.c -> duplex-NAME
#   $(eval $(call tool,PROGRAM,SOURCES,PARTS)) one more program over some parts (bench, ctl)
# Tests: tests/unit/PART/test_X.c and tests/flow/PART/test_X.c -> one cmocka program each.
# Fuzzers: tests/fuzz/PART/fuzz_X.c, seeds in tests/fuzz/PART/seeds/X/.

V ?= 0
Q  := $(if $(filter 0,$(V)),@)
say = $(if $(filter 0,$(V)),@printf '  %-4s %s\n' '$(1)' '$(2)')

.SECONDARY:
.DELETE_ON_ERROR:

define part
$(1)_OBJ  := $$(patsubst %.c,$$(BUILD)/%.o,$$(filter-out $(1)/main.c,$$(wildcard $(1)/*.c)))
$(1)_PKGS := $(2)
$(1)_LIBS  = $$(call pkg-libs,$(2)) $(3)
$(1)_CFLAGS = $$(call pkg-cflags,$(2))
$$(BUILD)/$(1)/%.o: PARTFLAGS = $$($(1)_CFLAGS) $$($(1)_EXTRA)
$$(BUILD)/lib-$(1).a: $$($(1)_OBJ)
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
ifneq ($$(wildcard $(1)/main.c),)
$$(BUILD)/duplex-$(1): $$(BUILD)/$(1)/main.o $$(BUILD)/lib-$(1).a $$(BUILD)/lib-common.a
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$($(1)_LIBS) $$(common_LIBS)
PROGRAMS += $$(BUILD)/duplex-$(1)
endif

$(1)_UNIT := $$(patsubst %.c,$$(BUILD)/%,$$(wildcard tests/unit/$(1)/test_*.c))
$(1)_FLOW := $$(patsubst %.c,$$(BUILD)/%,$$(wildcard tests/flow/$(1)/test_*.c))
UNIT_TESTS += $$($(1)_UNIT)
FLOW_TESTS += $$($(1)_FLOW)
$$(BUILD)/tests/unit/$(1)/%.o $$(BUILD)/tests/flow/$(1)/%.o $$(BUILD)/tests/fuzz/$(1)/%.o: PARTFLAGS = $$($(1)_CFLAGS) $$($(1)_EXTRA) -Wno-missing-prototypes
$$($(1)_UNIT) $$($(1)_FLOW): $$(BUILD)/%: $$(BUILD)/%.o $$(BUILD)/lib-$(1).a $$(BUILD)/lib-common.a
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ -lcmocka $$($(1)_LIBS) $$(common_LIBS) $$(TESTLIBS)

# A fuzzer's object defines LLVMFuzzerTestOneInput; outside VARIANT=fuzz it is linked with a main that replays seeds.
$(1)_FUZZ := $$(patsubst %.c,$$(BUILD)/%,$$(wildcard tests/fuzz/$(1)/fuzz_*.c))
FUZZERS += $$($(1)_FUZZ)
$$($(1)_FUZZ): $$(BUILD)/%: $$(BUILD)/%.o $$(FUZZ_MAIN) $$(BUILD)/lib-$(1).a $$(BUILD)/lib-common.a
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$($(1)_LIBS) $$(common_LIBS)
endef

FUZZ_MAIN := $(if $(filter fuzz,$(VARIANT)),,$(BUILD)/tests/lib/replay_main.o)

define tool
$$(BUILD)/$(1): $$(patsubst %.c,$$(BUILD)/%.o,$(2)) $$(foreach p,$(3),$$(BUILD)/lib-$$(p).a) $$(BUILD)/lib-common.a
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(foreach p,$(3),$$($$(p)_LIBS)) $$(common_LIBS) $(4)
PROGRAMS += $$(BUILD)/$(1)
endef

$(BUILD)/%.o: %.c mk/flags.mk VERSION
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(PARTFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
