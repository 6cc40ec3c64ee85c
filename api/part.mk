# The REST control plane: duplex-api, and duplexctl over the same library.
$(eval $(call part,api,fcgi jansson libsodium openssl hiredis,-pthread))
$(eval $(call tool,duplexctl,api/ctl/main.c api/ctl/user.c,api))
$(BUILD)/api/openapi.o: api/openapi.json
