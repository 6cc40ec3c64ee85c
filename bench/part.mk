# The load generator, and the benchmarks that compare Duplex with its peers.
$(eval $(call tool,turnload,bench/turnload.c bench/gen_setup.c bench/gen_traffic.c bench/rawio.c tests/net/tstun.c,))
