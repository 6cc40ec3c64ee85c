# The REST control plane: duplex-api, and duplexctl over the same library.
$(eval $(call part,api,fcgi jansson libsodium openssl hiredis,-pthread))
$(BUILD)/api/openapi.o: api/openapi.json
