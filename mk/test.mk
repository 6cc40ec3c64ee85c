# Tests. Every target ends with one line, `N passed, N failed`, printed by tests/run, and fails when a test failed or none ran.

RUN_TESTS := tests/run
WEB_STAMP := $(if $(wildcard web/package.json),web/node_modules/.duplex-stamp)
SUITE_api    := $(wildcard tests/api/*.test.mjs tests/api/*.sh)
SUITE_sip    := $(wildcard tests/sip/*.test.mjs tests/sip/*.sh)
SUITE_net    := $(wildcard tests/net/*.test.mjs tests/net/test_*.sh)
SUITE_system := $(wildcard tests/system/*.test.mjs tests/system/test_*.sh)
SUITE_e2e    := $(wildcard tests/e2e/*.test.mjs)
SUITE_web    := $(if $(wildcard tests/web/*.test.ts),web/test.mjs)

SUITES := unit flow fuzz web api sip net system e2e
QUICK  := unit flow fuzz web
BLACK  := api sip net system e2e

# The arguments for tests/run: a group with its time limit for each file and how many may run at once.
group_unit   = --group unit:60:2 $(UNIT_TESTS)
group_flow   = --group flow:60:2 $(FLOW_TESTS)
group_fuzz   = --group fuzz:60:2 $(FUZZERS)
group_web    = --group web:120:1 $(SUITE_web)
group_api    = --group api:180:1 $(SUITE_api)
group_sip    = --group sip:180:1 $(SUITE_sip)
group_net    = --group net:300:1 $(SUITE_net)
group_system = --group system:300:1 $(SUITE_system)
group_e2e    = --group e2e:600:1 $(SUITE_e2e)
groups = $(foreach s,$(1),$(group_$(s)))

needs_unit := $(UNIT_TESTS)
needs_flow := $(FLOW_TESTS)
needs_fuzz := $(FUZZERS)
needs_web  := $(WEB_STAMP)
needs_api  := programs npm-tests
needs_sip  := programs npm-tests
needs_net  := programs
needs_system := programs web npm-tests
needs_e2e  := programs web npm-tests

.PHONY: test
test: ready ## install what is missing, build, run every suite
	$(Q)$(MAKE) --no-print-directory test-all
.PHONY: test-all
test-all: $(sort $(foreach s,$(SUITES),$(needs_$(s))))
	$(Q)$(RUN_TESTS) $(call groups,$(SUITES))

.PHONY: check
check: $(sort $(foreach s,$(QUICK),$(needs_$(s)))) ## the quick part: unit, flow, fuzz seeds, page; no root, under a minute
	$(Q)$(RUN_TESTS) $(call groups,$(QUICK))

define suite
.PHONY: check-$(1)
check-$(1): $$(needs_$(1))
	$$(Q)$$(RUN_TESTS) $$(call groups,$(1))
endef
$(foreach s,$(filter-out web,$(SUITES)),$(eval $(call suite,$(s))))
.PHONY: check-unit check-flow check-fuzz check-api check-sip check-net check-system check-e2e
check-unit: ## cmocka programs, one a source file
check-flow: ## modules on a virtual clock
check-fuzz: ## replay the seeds and past crashes of every fuzzer
check-api: ## black box: REST
check-sip: ## black box: SIP over WebSocket
check-net: ## black box: the relay on a network (root)
check-system: ## black box: start, stop, front door (root)
check-e2e: ## two browsers call each other (root)

# The same tests over instrumented programs; a finding ends the program and so fails its test.
.PHONY: asan
asan: ## unit, flow, fuzz seeds and the black boxes of API and SIP under AddressSanitizer and UBSan
	$(Q)$(MAKE) --no-print-directory VARIANT=asan check-asan
.PHONY: check-asan
check-asan: $(needs_unit) $(needs_flow) $(needs_fuzz) $(needs_api)
	$(Q)DUPLEX_BUILD=$(BUILD) DUPLEX_SIGNALLING=$(BUILD)/duplex-signalling $(RUN_TESTS) $(call groups,unit flow fuzz api sip)

# Churn of allocations for minutes instead of seconds.
MIN ?= 10
.PHONY: soak-relay
soak-relay: programs ## churn of allocations with data for MIN=10 minutes: memory flat, ports returned, counters add up (root)
	$(Q)SOAK_S=$$(($(MIN) * 60)) $(RUN_TESTS) --group soak:$$(($(MIN) * 60 + 300)):1 tests/net/test_relay_soak.sh

# Each fuzzer for TIME seconds, from its seeds; new inputs go to build/fuzz/corpus, a crash to build/fuzz/crashes.
TIME ?= 60
.PHONY: fuzz
fuzz: ## run every fuzzer for TIME=60 seconds
	$(Q)$(MAKE) --no-print-directory VARIANT=fuzz fuzz-run
.PHONY: fuzz-run
fuzz-run: $(FUZZERS)
	$(Q)tools/fuzz-run $(TIME) $(FUZZERS)

# The JavaScript packages that tests use.
.PHONY: npm-tests
npm-tests: tests/node_modules/.duplex-stamp
tests/node_modules/.duplex-stamp: tests/package.json tests/package-lock.json
	$(call say,NPM,tests)
	$(Q)cd tests && npm ci --no-audit --no-fund --loglevel=error
	$(Q)touch $@
