$(eval $(call part,common,hiredis openssl libmicrohttpd,-linih))
