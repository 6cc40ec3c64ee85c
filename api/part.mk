# The REST control plane: duplex-api, and duplexctl over the same library.
$(eval $(call part,api,fcgi jansson libsodium openssl hiredis,-pthread))
$(eval $(call tool,duplexctl,$(patsubst %,api/ctl/%.c,main user relay relay_print signal signal_print ladder),api,$(call pkg-libs,libcurl)))
$(BUILD)/api/openapi.o: api/openapi.json
