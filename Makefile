# Duplex. `make help` lists the targets; flags live in mk/flags.mk, rules in mk/rules.mk, each part's sources in PART/part.mk.
.PHONY: all
all: programs web ## build everything: the programs and the page

include mk/flags.mk
include mk/rules.mk
include common/part.mk
-include api/part.mk signalling/part.mk relay/part.mk bench/part.mk
-include web/part.mk
include mk/test.mk
include mk/lint.mk

.PHONY: programs
programs: $(PROGRAMS) ## build the programs only

.PHONY: deps
deps: ## install the Debian packages and the system user that are missing
	$(Q)packaging/deps

# Settings of an instance, on the command line or in the environment; see packaging/lib/settings.sh.
SETTINGS := $(foreach v,INSTANCE HTTPS_PORT HTTP_PORT DOMAIN WORKERS RELAY_CORES TAP SUBNET IFACE BIND RING_TIMEOUT_S LOG_LEVEL VARIANT PUBLIC_PORT NODE PEER REDIS_LISTEN JOIN,$(if $($(v)),$(v)=$($(v))))
AS_ROOT  := $(if $(filter-out 0,$(shell id -u)),$(if $(shell command -v sudo),sudo))
DUPLEX_RUN = $(AS_ROOT) packaging/duplex-run

# Installing comes before the rest of the Makefile can be trusted (pkg-config may be missing), hence a make of its own.
.PHONY: ready
ready: deps
	$(Q)$(MAKE) --no-print-directory all

.PHONY: run up
run: ready ## install, build and start everything in the foreground; Ctrl-C stops it
	$(Q)$(DUPLEX_RUN) run $(SETTINGS)
up: ready ## the same in the background
	$(Q)$(DUPLEX_RUN) up $(SETTINGS)

.PHONY: down status logs
down: ## stop what `make up` started; data stays
	$(Q)$(DUPLEX_RUN) down $(SETTINGS)
status: ## what runs, and where
	$(Q)$(DUPLEX_RUN) status $(SETTINGS)
logs: ## follow the merged log of a running instance
	$(Q)$(DUPLEX_RUN) logs $(SETTINGS)

.PHONY: clean
clean: ## remove all that was built
	$(Q)rm -rf build web/dist

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z][a-z0-9 _-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  Settings: HTTPS_PORT=8443 DOMAIN=localhost WORKERS=<cores> RELAY_CORES=1 IFACE=<none> INSTANCE=<folder-hash>'
	@echo '  VARIANT=release|debug|asan|tsan|fuzz|cov picks the build; V=1 shows the commands.'
