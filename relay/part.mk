# duplex-relay: the TURN server. DPDK is linked shared; its device drivers are loaded by EAL from the plugin folder.
$(eval $(call part,relay,libdpdk openssl,-lpthread))
# Packet headers are written and read through different types.
relay_EXTRA := -fno-strict-aliasing
