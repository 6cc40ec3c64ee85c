# Static checks; each prints what is wrong and fails.

SHELL_SCRIPTS = $(shell grep -rlE '^\#!.*(ba)?sh$$' --include='*' packaging tests tools .ci bench nginx --exclude-dir=node_modules 2>/dev/null) $(wildcard packaging/lib/*.sh)

.PHONY: lint lint-layers lint-source lint-headers lint-shell lint-api
lint: lint-layers lint-source lint-headers lint-shell lint-web lint-api ## layers, banned calls, sizes, headers, shellcheck, TypeScript, OpenAPI
lint-layers:
	$(Q)tools/check-layers
lint-source:
	$(Q)tools/checksrc
lint-headers:
	$(Q)tools/check-headers $(CPPFLAGS) $(CFLAGS)
lint-shell:
	$(Q)shellcheck -x $(sort $(SHELL_SCRIPTS))
lint-api:
	$(Q)node tools/check-openapi.mjs api/openapi.json
