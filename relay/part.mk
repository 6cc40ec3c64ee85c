comma := ,
# duplex-relay: the TURN server. DPDK is linked shared; its device drivers are loaded by EAL from the plugin folder.
# libbpf is what DPDK's AF_XDP driver uses too; of it we replace one function (relay/xdp.c), which must be found before libbpf's own.
$(eval $(call part,relay,libdpdk libbpf openssl,-lpthread -Wl$(comma)--export-dynamic-symbol=bpf_xdp_attach))
# Packet headers are written and read through different types.
relay_EXTRA := -fno-strict-aliasing -fno-tree-slp-vectorize

# The XDP program runs in the kernel and is a compilation of its own; the relay carries it.
BPF_CC := clang-14 -target bpf -O2 -g -Wall -Wextra -Werror -I. -isystem /usr/include/$(shell $(CC) -print-multiarch)
$(BUILD)/relay/xdp/relay.bpf.o: relay/xdp/relay.bpf.c relay/xdp/params.h mk/flags.mk
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(BPF_CC) -c -o $@ $<
$(BUILD)/relay/xdp_object.o: $(BUILD)/relay/xdp/relay.bpf.o
$(BUILD)/relay/xdp_object.o: CPPFLAGS += -DXDP_OBJECT='"$(BUILD)/relay/xdp/relay.bpf.o"'
