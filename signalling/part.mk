$(eval $(call part,signalling,hiredis openssl libmicrohttpd,-linih))
