$(eval $(call part,signalling,hiredis openssl libmicrohttpd,-linih))

# The other parser that ours is compared with.
$(BUILD)/tests/unit/signalling/test_sip_oracle: TESTLIBS := -losipparser2
