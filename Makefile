# Duplex. `make help` lists the targets; flags live in mk/flags.mk, rules in mk/rules.mk, each part's sources in PART/part.mk.
.PHONY: all
all: programs

include mk/flags.mk
include mk/rules.mk
include common/part.mk
-include api/part.mk signalling/part.mk relay/part.mk bench/part.mk

.PHONY: programs
programs: $(PROGRAMS) ## build every program
