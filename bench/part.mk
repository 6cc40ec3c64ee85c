# The load generators, the reflector that measures it, and the clients of the network tests.
$(eval $(call tool,turnload,bench/turnload.c bench/gen_setup.c bench/gen_traffic.c bench/gen_kernel.c bench/gen_object.c bench/watch.c bench/rawio.c tests/net/tstun.c,,-lbpf))
# The generator's programs in the kernel, a compilation of their own; turnload carries them.
$(BUILD)/bench/bpf/gen.bpf.o: bench/bpf/gen.bpf.c bench/bpf/gen.h mk/flags.mk
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(BPF_CC) -c -o $@ $<
$(BUILD)/bench/gen_object.o: $(BUILD)/bench/bpf/gen.bpf.o
$(BUILD)/bench/gen_object.o: CPPFLAGS += -DGEN_OBJECT='"$(BUILD)/bench/bpf/gen.bpf.o"'
$(eval $(call tool,reflect,bench/reflect.c bench/rawio.c,))
$(eval $(call tool,mkflows,bench/mkflows.c,))
$(BUILD)/bench/warmrelay.o: PARTFLAGS = $(relay_CFLAGS) $(relay_EXTRA)
$(eval $(call tool,warmrelay,bench/warmrelay.c,relay))
# A journal of prepared allocations. It shares the relay's code, and with it DPDK's headers and libraries.
$(eval $(call tool,mkjournal,bench/mkjournal.c,relay))
$(BUILD)/bench/mkjournal.o: PARTFLAGS = $(relay_CFLAGS) $(relay_EXTRA)
$(eval $(call tool,turncheck,$(patsubst %,tests/net/%.c,turncheck check_table check_flows check_data check_limits check_hostile check_expiry tclient tstun),))
$(eval $(call tool,survive,$(patsubst %,tests/net/%.c,survive tclient tstun),))
$(eval $(call tool,flood,tests/net/flood.c tests/net/tstun.c bench/rawio.c,))
$(eval $(call tool,sumcheck,tests/net/sumcheck.c tests/net/tstun.c,))
$(eval $(call tool,xdpcheck,tests/net/xdpcheck.c,,-lbpf))
$(eval $(call tool,turnpair,tests/net/turnpair.c tests/net/tclient.c tests/net/tstun.c,))

# Taken here, as the user gave it: the name may mean something else further on.
BENCH_QUICK := $(if $(QUICK),$(QUICK),0)

.PHONY: bench-relay
bench-relay: $(addprefix $(BUILD)/,duplex-relay turnload reflect mkflows warmrelay mkjournal survive) ## the relay against testpmd and coturn (root; QUICK=1: about a minute)
	$(Q)BIN=$(BUILD) QUICK=$(BENCH_QUICK) bench/bench-relay

# Signalling: the load generator (OpenSSL comes with common), and what stands beside it.
comma := ,
SIPLOAD_SRC := $(patsubst %,bench/sipload_%.c,hist sip net load ops)
$(eval $(call tool,sipload,bench/sipload.c $(SIPLOAD_SRC),))
# The worker behind TCP: the program itself with one function replaced at link time.
$(eval $(call tool,tcpworker,bench/tcpworker.c signalling/main.c,signalling,-Wl$(comma)--wrap=listener_open))
# Its own parsing, frames and buckets.
BENCH_UNIT := $(BUILD)/tests/unit/bench/test_sipload
UNIT_TESTS += $(BENCH_UNIT)
$(BENCH_UNIT): $(BUILD)/%: $(BUILD)/%.o $(patsubst %.c,$(BUILD)/%.o,$(SIPLOAD_SRC)) $(BUILD)/lib-common.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(common_LIBS)
$(BUILD)/tests/unit/bench/%.o: PARTFLAGS = -Wno-missing-prototypes
# The parser beside libosip2's. `make programs` leaves it out where libosip2-dev is missing; bench-signalling asks for it.
$(BUILD)/bench/parse.o: PARTFLAGS = $(signalling_CFLAGS)
$(BUILD)/parse-time: $(BUILD)/bench/parse.o $(BUILD)/bench/sipload_sip.o $(BUILD)/lib-signalling.a $(BUILD)/lib-common.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(signalling_LIBS) $(common_LIBS) -losipparser2

.PHONY: bench-signalling
bench-signalling: $(addprefix $(BUILD)/,duplex-signalling tcpworker sipload parse-time) ## the signalling worker against Kamailio (root; QUICK=1: about a minute)
	$(Q)BIN=$(BUILD) QUICK=$(BENCH_QUICK) bench/bench-signalling.mjs
