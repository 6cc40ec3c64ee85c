# Static checks; each prints what is wrong and fails.

SHELL_SCRIPTS = $(shell grep -rlE '^\#!.*(ba)?sh$$' --include='*' packaging tests tools .ci bench nginx --exclude-dir=node_modules 2>/dev/null) $(wildcard packaging/lib/*.sh)

.PHONY: lint lint-c lint-shell lint-web lint-api
lint: lint-c lint-shell lint-web lint-api ## layers, banned calls, sizes, shellcheck, TypeScript, OpenAPI
lint-c:
	$(Q)tools/check-layers
	$(Q)tools/checksrc
	$(Q)tools/check-headers $(CPPFLAGS) $(CFLAGS)
lint-shell:
	$(Q)shellcheck -x $(sort $(SHELL_SCRIPTS))
lint-api: npm-tests
	$(Q)if [ -x tools/check-openapi ]; then tools/check-openapi api/openapi.json; fi
