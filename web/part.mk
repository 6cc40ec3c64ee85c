# The caller's page. `make web` builds web/dist; the units of its logic are tests/web (node:test).
WEB_DIST := web/dist/index.html
WEB_SRC  := $(shell find web/src -type f) web/build.mjs web/tsconfig.json

# npm ci only when the lock file changed: the stamp lies inside node_modules, so removing that folder is enough to start afresh.
web/node_modules/.duplex-stamp: web/package-lock.json
	$(call say,NPM,web)
	$(Q)cd web && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.duplex-stamp

$(WEB_DIST): $(WEB_SRC) web/node_modules/.duplex-stamp VERSION
	$(call say,WEB,web/dist)
	$(Q)cd web && node build.mjs

.PHONY: web check-web lint-web
web: $(WEB_DIST) ## build the page into web/dist
check-web: web/node_modules/.duplex-stamp ## units of the page's logic
	$(Q)cd web && node test.mjs
lint-web: web/node_modules/.duplex-stamp ## type check of the page
	$(Q)cd web && npm run --silent lint
